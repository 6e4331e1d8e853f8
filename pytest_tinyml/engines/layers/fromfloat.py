"""Front end of engine ``aot-float``: a float .tflite becomes calls to kernels of ``firmware/engines/layers/f32``."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.engines.flatgraph import schema
from pytest_tinyml.engines.graph import folded
from pytest_tinyml.engines.layers import AOT_FLOAT
from pytest_tinyml.engines.layers.ir import Network, Step, Value
from pytest_tinyml.engines.support import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from pytest_tinyml.engines.flatgraph import Graph
    from pytest_tinyml.errors import UnsupportedOperatorError
    from pytest_tinyml.records import Model

_LOWEST, _HIGHEST = (float(limit) for limit in (np.finfo(np.float32).min, np.finfo(np.float32).max))
_ACTIVATIONS: Final = {
    "NONE": (_LOWEST, _HIGHEST),
    "RELU": (0.0, _HIGHEST),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
_ELEMENTWISE: Final = {"RELU": "RELU", "RELU6": "RELU6", "RELU_N1_TO_1": "RELU_N1_TO_1"}
_HEADERS: Final = ("tml_f32.h",)


def read_float(model: Model) -> Network:
    """Read a float .tflite.

    Raises:
        ModelError: not a .tflite, damaged, or not float32 from end to end.
        UnsupportedOperatorError: an operator, or a variant of one, that no kernel computes.
    """
    with folded(model.data, model.name) as graph:
        return _Reader(model, graph).network()


class _Reader:
    """One pass over one graph."""

    def __init__(self, model: Model, graph: Graph) -> None:
        self.model, self.graph = model, graph
        self.values: list[Value] = []
        self.index: dict[int, int] = {}
        self.position = 0
        self.kind = ""

    def network(self) -> Network:
        entry = self._activation(int(self.graph.sub.inputs[0]))
        steps = []
        for position, operator in enumerate(self.graph.sub.operators):
            self.position, self.kind = self.graph.origin[position], self.graph.kind(operator)
            read = _READERS.get(self.kind)
            if read is None:
                raise self._refusal("the float kernels have no such operator")
            steps.append(read(self, operator))
        return Network(
            engine=AOT_FLOAT,
            headers=_HEADERS,
            values=tuple(self.values),
            steps=tuple(steps),
            input=entry,
            output=self.index[int(self.graph.sub.outputs[0])],
        )

    def _refusal(self, reason: str) -> UnsupportedOperatorError:
        return refusal(self.model.name, "float32", AOT_FLOAT, self.position, self.kind, reason)

    def _tensor(self, index: int) -> Any:  # noqa: ANN401 - the schema's classes carry no types
        tensor = self.graph.sub.tensors[index]
        if tensor.type != schema().TensorType.FLOAT32:
            raise self._refusal("its tensors must be float32")
        return tensor

    def _shape(self, index: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self._tensor(index).shape)

    def _activation(self, index: int) -> int:
        if index not in self.index:
            name = self.graph.sub.tensors[index].name
            text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
            self.index[index] = self._add(Value(name=text, dtype="float32", shape=self._shape(index)))
        return self.index[index]

    def _add(self, value: Value) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def _data(self, index: int) -> npt.NDArray[np.float32] | None:
        """Return a constant, or None if it is an activation."""
        tensor = self._tensor(index)
        data = self.graph.model.buffers[tensor.buffer].data
        if data is None or not len(data):
            return None
        array = np.frombuffer(np.asarray(data, dtype=np.uint8).tobytes(), dtype="<f4").reshape(self._shape(index))
        if not np.isfinite(array).all():
            # C has no constants for them, and a training that ended so is nothing to measure.
            raise self._refusal("its weights are not all finite (NaN or infinity)")
        return array

    def _weights(self, operator: Any, order: tuple[int, ...]) -> int:  # noqa: ANN401
        weights = self._data(int(operator.inputs[1]))
        if weights is None:
            raise self._refusal("its weights must be constant")
        array = np.ascontiguousarray(weights.transpose(order), dtype="<f4")
        return self._add(Value(name="weights", dtype="float32", shape=array.shape, data=array.tobytes()))

    def _bias(self, operator: Any) -> int:  # noqa: ANN401
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:  # noqa: PLR2004 - data, weights and bias
            return -1
        bias = self._data(int(operator.inputs[2]))
        if bias is None:
            raise self._refusal("its bias must be constant")
        return self._add(Value(name="bias", dtype="float32", shape=bias.shape, data=bias.astype("<f4").tobytes()))

    def _limits(self, code: int) -> dict[str, float]:
        names = {value: name for name, value in vars(schema().ActivationFunctionType).items() if name.isupper()}
        if names.get(code) not in _ACTIVATIONS:
            reason = f"its activation {names.get(code, code)} is not computed"
            raise self._refusal(reason)
        low, high = _ACTIVATIONS[names[code]]
        return {"low": low, "high": high}

    def _step(
        self,
        operator: Any,  # noqa: ANN401
        function: str,
        params: Mapping[str, int | float],
        *more: int,
        in_place: bool = False,
        count: int = 1,
    ) -> Step:
        inputs = [self._activation(int(index)) for index in operator.inputs[:count]]
        return Step(
            index=self.position,
            operator=self.kind,
            function=function,
            inputs=(*inputs, *more),
            output=self._activation(int(operator.outputs[0])),
            params=dict(params),
            in_place=in_place,
        )

    def _window(
        self,
        operator: Any,  # noqa: ANN401
        kernel: tuple[int, ...],
        dilation: tuple[int, int] = (1, 1),
    ) -> dict[str, int | float]:
        options = operator.builtinOptions
        source, result = self._shape(int(operator.inputs[0])), self._shape(int(operator.outputs[0]))
        strides = (int(options.strideH), int(options.strideW))
        # TensorFlow Lite's ComputePadding (padding.h): what SAME lacks, the smaller half before.
        pads = [
            max(0, (out - 1) * stride + (size - 1) * spread + 1 - have) // 2
            for out, stride, size, spread, have in zip(result[1:3], strides, kernel, dilation, source[1:3], strict=True)
        ]
        if options.padding == schema().Padding.VALID:
            pads = [0, 0]
        names = ("in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "kernel_h", "kernel_w", "stride_h", "stride_w")
        return {
            **dict(zip(names, (*source[1:], *result[1:], *kernel, *strides), strict=True)),
            **dict(zip(("dilation_h", "dilation_w", "pad_top", "pad_left"), (*dilation, *pads), strict=True)),
            "multiplier": 1,
            **self._limits(options.fusedActivationFunction),
        }

    def convolution(self, operator: Any) -> Step:  # noqa: ANN401
        kernel = self._shape(int(operator.inputs[1]))
        options = operator.builtinOptions
        params = self._window(operator, kernel[1:3], (int(options.dilationHFactor), int(options.dilationWFactor)))
        if kernel[3] != params["in_c"]:
            raise self._refusal("grouped convolutions are not computed")
        return self._step(operator, "tml_conv_f32", params, self._weights(operator, (1, 2, 3, 0)), self._bias(operator))

    def depthwise(self, operator: Any) -> Step:  # noqa: ANN401
        kernel = self._shape(int(operator.inputs[1]))
        options = operator.builtinOptions
        params = self._window(operator, kernel[1:3], (int(options.dilationHFactor), int(options.dilationWFactor)))
        params["multiplier"] = kernel[3] // int(params["in_c"])
        return self._step(
            operator, "tml_depthwise_f32", params, self._weights(operator, (0, 1, 2, 3)), self._bias(operator)
        )

    def dense(self, operator: Any) -> Step:  # noqa: ANN401
        options = operator.builtinOptions
        out, depth = self._shape(int(operator.inputs[1]))
        rows = prod(self._shape(int(operator.inputs[0]))) // depth
        if options.weightsFormat:
            raise self._refusal("shuffled weights are not computed")
        params = {"rows": rows, "in": depth, "out": out, **self._limits(options.fusedActivationFunction)}
        return self._step(operator, "tml_dense_f32", params, self._weights(operator, (1, 0)), self._bias(operator))

    def pool(self, operator: Any) -> Step:  # noqa: ANN401
        options = operator.builtinOptions
        params = self._window(operator, (int(options.filterHeight), int(options.filterWidth)))
        return self._step(
            operator, "tml_max_pool_f32" if self.kind == "MAX_POOL_2D" else "tml_average_pool_f32", params
        )

    def softmax(self, operator: Any) -> Step:  # noqa: ANN401
        shape = self._shape(int(operator.inputs[0]))
        params = {"rows": prod(shape[:-1]), "depth": shape[-1], "beta": float(operator.builtinOptions.beta)}
        return self._step(operator, "tml_softmax_f32", params, in_place=True)

    def elements(self, operator: Any) -> Step:  # noqa: ANN401
        low, high = _ACTIVATIONS[_ELEMENTWISE.get(self.kind, "NONE")]
        function = "tml_logistic_f32" if self.kind == "LOGISTIC" else "tml_clamp_f32"
        params = {"count": prod(self._shape(int(operator.outputs[0]))), "low": low, "high": high}
        return self._step(operator, function, params, in_place=True)

    def add(self, operator: Any) -> Step:  # noqa: ANN401
        shapes = {self._shape(int(index)) for index in (*operator.inputs, *operator.outputs)}
        if len(shapes) != 1 or any(self._data(int(index)) is not None for index in operator.inputs):
            raise self._refusal("it adds only two activations of one shape")
        limits = self._limits(operator.builtinOptions.fusedActivationFunction)
        params = {"count": prod(next(iter(shapes))), **limits}
        return self._step(operator, "tml_add_f32", params, in_place=True, count=2)

    def reshape(self, operator: Any) -> Step:  # noqa: ANN401
        return self._step(operator, "", {})


_READERS: Final[Mapping[str, Callable[[_Reader, Any], Step]]] = {
    "ADD": _Reader.add,
    "AVERAGE_POOL_2D": _Reader.pool,
    "CONV_2D": _Reader.convolution,
    "DEPTHWISE_CONV_2D": _Reader.depthwise,
    "FULLY_CONNECTED": _Reader.dense,
    "LOGISTIC": _Reader.elements,
    "MAX_POOL_2D": _Reader.pool,
    "RELU": _Reader.elements,
    "RELU6": _Reader.elements,
    "RELU_N1_TO_1": _Reader.elements,
    "RESHAPE": _Reader.reshape,
    "SOFTMAX": _Reader.softmax,
}
OPERATORS: Final = frozenset(_READERS)
"""What the float kernels compute."""
