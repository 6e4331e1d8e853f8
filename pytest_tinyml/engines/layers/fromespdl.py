"""Front end of engine ``espdl-c``: an .espdl becomes calls to kernels of ``firmware/engines/layers/pot``.

Shapes are ESP-DL's: channels last, batch 1. They are computed from the input on, because esp-ppq writes wrong ones for
transposed activations. What the kernels rely on is checked: that tensors fit together, and no sum can overflow.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from pytest_tinyml.engines.espdlweights import array_of, filters_of, overflows, table_of
from pytest_tinyml.engines.layers import ESPDL_C
from pytest_tinyml.engines.layers.ir import Network, Step, Value, ValueType
from pytest_tinyml.engines.layers.potexp import of_bits
from pytest_tinyml.engines.layers.potshape import RANK, reshaped, transposed
from pytest_tinyml.engines.layers.potwindow import Window, convolution_window, pool_window
from pytest_tinyml.engines.support import refusal
from pytest_tinyml.errors import ModelError
from pytest_tinyml.stores.espdl import read_espdl as parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from pytest_tinyml.records import Model
    from pytest_tinyml.stores.espdlgraph import Constant, EspdlGraph, Node

_HEADERS: Final = ("tml_pot.h",)
_MAX_CLASSES: Final = 1 << 16


def read_espdl(model: Model) -> Network:
    """Read an .espdl.

    Raises:
        ModelError: not an .espdl, damaged, or tensors that do not fit together.
        UnsupportedOperatorError: an operator, or a variant of one, that no kernel computes.
    """
    return network_of(parse(model.data, model.name), model.name)


def network_of(graph: EspdlGraph, name: str) -> Network:
    """Return the network of an .espdl that has been read; `name` is for messages. Raises what `read_espdl` does."""
    return _Reader(graph, name).network()


class _Reader:
    """One pass over one graph."""

    def __init__(self, graph: EspdlGraph, name: str) -> None:
        self.graph, self.name = graph, name
        self.values: list[Value] = []
        self.index: dict[str, int] = {}
        self.position = 0
        self.node: Node = graph.nodes[0]
        self.feature: ValueType = "int8" if graph.bits == 8 else "int16"  # noqa: PLR2004 - 8 or 16
        self.suffix = f"s{graph.bits}"
        self.half_even = int(graph.family == "esp32p4")

    def network(self) -> Network:
        entry = self._activation(self.graph.input_name, self.graph.input.shape, self.feature)
        if self.graph.input.dtype != self.feature:
            msg = f"{self.name}: its input is {self.graph.input.dtype}, its operators take {self.feature}"
            raise ModelError(msg)
        steps = []
        for position, node in enumerate(self.graph.nodes):
            self.position, self.node = position, node
            steps.append(self._read(node))
        output = self.index.get(self.graph.output_name, -1)
        expected = (self.graph.output.shape, self.graph.output.dtype)
        if output < 0 or (self.values[output].shape, self.values[output].dtype) != expected:
            msg = f"{self.name}: its output {self.graph.output_name!r} is not what its operators compute"
            raise ModelError(msg)
        return Network(
            engine=ESPDL_C,
            headers=_HEADERS,
            values=tuple(self.values),
            steps=tuple(steps),
            input=entry,
            output=output,
        )

    def _read(self, node: Node) -> Step:
        if len(node.outputs) != 1 or not node.inputs:
            self._refuse("it has several outputs, or no input")
        # ESP-DL takes the table of any operator of 8 bits; of 16 bits, only LUT has one.
        read = _Reader.table if self.feature == "int8" and "lut" in node.attributes else _READERS.get(node.kind)
        if read is None:
            self._refuse("the integer kernels have no such operator")
        try:
            return read(self)
        except (KeyError, ValueError, IndexError) as error:
            # What an operator says of itself is not checked by the parser: a missing attribute, a shape that cannot be.
            msg = f"{self.name}: operator {self.position} {node.kind}: {type(error).__name__}: {error}"
            raise ModelError(msg) from error

    def _refuse(self, reason: str) -> NoReturn:
        raise refusal(self.name, "espdl", ESPDL_C, self.position, self.node.kind, reason)

    def _activation(self, name: str, shape: tuple[int, ...], dtype: ValueType) -> int:
        self.values.append(Value(name=name, dtype=dtype, shape=shape))
        self.index[name] = len(self.values) - 1
        return self.index[name]

    def _source(self) -> Value:
        name = self.node.inputs[0]
        if name not in self.index:
            self._refuse(f"its input {name!r} is not an activation")
        value = self.values[self.index[name]]
        if value.dtype != self.feature:
            self._refuse(f"its input is {value.dtype}")
        return value

    def _data(self, array: npt.NDArray[Any], dtype: ValueType, name: str) -> int:
        data = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<"))
        self.values.append(Value(name=name, dtype=dtype, shape=data.shape, data=data.tobytes()))
        return len(self.values) - 1

    def _constant(self, at: int) -> Constant | None:
        if at >= len(self.node.inputs) or not self.node.inputs[at]:
            return None
        return self.graph.constants[self.node.inputs[at]]

    def _ints(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        value = self.node.attributes.get(name, default)
        return value if isinstance(value, tuple) else (int(value),)

    def _exponent(self, name: str) -> int:
        return self.graph.activations[name].exponent

    def _rise(self) -> int:
        """Return how much coarser the output's steps are than the input's, as a power of two."""
        return self._exponent(self.node.outputs[0]) - self._exponent(self.node.inputs[0])

    def _step(
        self,
        function: str,
        shape: tuple[int, ...],
        params: Mapping[str, int | float | tuple[int, ...]],
        *more: int,
        dtype: ValueType | None = None,
        in_place: bool = False,
    ) -> Step:
        source = self.index[self.node.inputs[0]]
        return Step(
            index=self.position,
            operator=self.node.kind,
            function=f"tml_pot_{function}_{self.suffix}" if function else "",
            inputs=(source, *more),
            output=self._activation(self.node.outputs[0], shape, dtype or self.feature),
            params=params,
            in_place=in_place,
        )

    def _low(self, activation: str) -> int:
        if activation not in {"Linear", "Relu"}:
            self._refuse(f"its activation {activation} is not computed")
        return 0 if activation == "Relu" else int(np.iinfo(self.feature).min)

    def convolution(self) -> Step:
        source = self._source()
        if len(source.shape) != RANK:
            self._refuse("only convolutions in two dimensions are computed")
        channels = source.shape[3]
        group = int(self._ints("group", (1,))[0])
        if group not in {1, channels} or (group > 1 and self.graph.constants[self.node.inputs[1]].dims[3] != 1):
            self._refuse(f"its {group} groups of {channels} channels are not computed")
        depthwise = group > 1
        filters = filters_of(self.graph.constants[self.node.inputs[1]], depthwise=depthwise)
        depth = filters.shape[2] if depthwise else filters.shape[3]
        if depth != channels:
            self._refuse(f"its weights are for {depth} channels, its input has {channels}")
        kernel, count = (filters.shape[:2], channels) if depthwise else (filters.shape[1:3], len(filters))
        window = convolution_window(self.node, source.shape, kernel, count)
        per_channel = filters.reshape(-1, depth).T if depthwise else filters.reshape(len(filters), -1)
        return self._weighted("depthwise" if depthwise else "conv", window, filters, per_channel)

    def dense(self) -> Step:
        source = self._source()
        if self._ints("transA", (0,))[0] or self._ints("transB", (0,))[0]:
            self._refuse("transposed operands are not computed")
        filters = filters_of(self.graph.constants[self.node.inputs[1]], depthwise=False)
        if filters.shape[1:3] != (1, 1) or filters.shape[3] != source.shape[-1]:
            self._refuse(f"its weights {filters.shape} do not fit its input {source.shape}")
        rows = prod(source.shape[:-1])
        window = Window.of_rows(rows, source.shape[-1], (*source.shape[:-1], len(filters)))
        return self._weighted("conv", window, filters, filters.reshape(len(filters), -1))

    def _weighted(
        self, function: str, window: Window, filters: npt.NDArray[Any], per_channel: npt.NDArray[Any]
    ) -> Step:
        """Return a step of sums of products; `per_channel` is [N, ...], all weights of each output channel."""
        weights = self.graph.constants[self.node.inputs[1]]
        if weights.dtype != self.feature:
            self._refuse(f"its weights are {weights.dtype}, its input {self.feature}")
        count = len(per_channel)
        if len(weights.exponents) not in {1, count}:
            self._refuse(f"its {count} channels have {len(weights.exponents)} scales")
        below, above = self._exponent(self.node.inputs[0]), self._exponent(self.node.outputs[0])
        shifts = tuple(above - below - exponent for exponent in weights.exponents)
        bias = self._constant(2)
        accumulator: ValueType = "int32" if self.feature == "int8" else "int64"
        offset = np.zeros(count, dtype=np.int64)
        if bias is not None:
            if bias.dtype != accumulator or bias.dims != (count,):
                self._refuse(f"its bias is {bias.dtype} {bias.dims}; expected {accumulator} ({count},)")
            if any(have - below not in weights.exponents for have in bias.exponents):
                self._refuse("its bias has another scale than its products")
            offset = array_of(bias).astype(np.int64)
        if overflows(per_channel, offset, shifts, self.graph.bits):
            self._refuse("its sums can exceed the accumulator of ESP-DL's kernels")
        extra = [
            self._data(filters, self.feature, "weights"),
            -1 if bias is None else self._data(offset, accumulator, "bias"),
            -1 if len(shifts) == 1 else self._data(np.array(shifts), "int32", "shifts"),
        ]
        low = self._low(str(self.node.attributes.get("activation", "Linear")))
        params = {**window.convolution, "shift": shifts[0], "low": low, "half_even": self.half_even}
        return self._step(function, window.shape, params, *extra)

    def pool(self) -> Step:
        source = self._source()
        kind = self.node.kind
        window = pool_window(self.node, source.shape)
        if kind == "MaxPool":
            if self._rise():
                self._refuse("its output has another scale than its input")
            return self._step("max_pool", window.shape, window.pool | {"shift": 0, "include_pad": 0, "half_even": 0})
        include = int(self._ints("count_include_pad", (0,))[0])
        more = {"shift": self._rise(), "include_pad": include, "half_even": self.half_even}
        return self._step("avg_pool", window.shape, window.pool | more)

    def table(self) -> Step:
        source = self._source()
        table, shift = table_of(self.graph.constants[str(self.node.attributes["lut"])], self.graph.bits)
        params = {"count": prod(source.shape), "step_shift": shift, "half_even": self.half_even}
        return self._step("lut", source.shape, params, self._data(table, self.feature, "table"))

    def rescale(self) -> Step:
        source = self._source()
        low = self._low("Relu" if self.node.kind == "Relu" else "Linear")
        params = {"count": prod(source.shape), "shift": self._rise(), "low": low, "half_even": self.half_even}
        return self._step("rescale", source.shape, params, in_place=True)

    def transpose(self) -> Step:
        source = self._source()
        moved = transposed(self.node, source.shape)
        if moved.in_order:
            return self._step("", moved.shape, {})
        return self._step("transpose", moved.shape, {"dims": moved.dims, "strides": moved.strides})

    def reshape(self) -> Step:
        source = self._source()
        operand = self._constant(1) if self.node.kind == "Reshape" else None
        wanted = None if operand is None else tuple(int(n) for n in array_of(operand))
        shape = reshaped(self.node, source.shape, wanted or self.graph.activations[self.node.outputs[0]].dims)
        if self._rise():
            self._refuse("its output has another scale than its input")
        return self._step("", shape, {})

    def softmax(self) -> Step:
        source = self._source()
        depth = source.shape[-1]
        if int(self._ints("axis", (-1,))[0]) not in {-1, len(source.shape) - 1} or depth > _MAX_CLASSES:
            self._refuse("only over the last dimension, of at most 65,536")
        mantissas, exponents = of_bits(self.graph.bits, self._exponent(self.node.inputs[0]))
        params = {"rows": prod(source.shape[:-1]), "depth": depth, "headroom": depth.bit_length()}
        return self._step(
            "softmax",
            source.shape,
            params,
            self._data(np.array(mantissas), "int64", "mantissas"),
            self._data(np.array(exponents), "int32", "exponents"),
            dtype="float32",
        )


_READERS: Final[Mapping[str, Callable[[_Reader], Step]]] = {
    "AveragePool": _Reader.pool,
    "Conv": _Reader.convolution,
    "Flatten": _Reader.reshape,
    "Gemm": _Reader.dense,
    "GlobalAveragePool": _Reader.pool,
    "Identity": _Reader.reshape,
    "LUT": _Reader.table,
    "MaxPool": _Reader.pool,
    "Relu": _Reader.rescale,
    "RequantizeLinear": _Reader.rescale,
    "Reshape": _Reader.reshape,
    "Softmax": _Reader.softmax,
    "Squeeze": _Reader.reshape,
    "Transpose": _Reader.transpose,
    "Unsqueeze": _Reader.reshape,
}
OPERATORS: Final = frozenset(_READERS)
"""What the integer kernels compute, besides every operator that has a table of 8 bits."""
