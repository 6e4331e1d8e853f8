"""An .espdl as a graph of esp-ppq, rebuilt from the file alone; needs the extra ``espdl``.

esp-ppq simulates a quantised network in floating point: real numbers go through an operator and are rounded to the
steps of its output. Here they are float64, as in its own high-precision mode (``*_H_PRE_INT16``), because float32 does
not hold a sum of products of 16 bits. Then every sum is exact, and the one rounding behind it is the only one.

Weights are q * 2^exponent, exact in float64 too. Tables are taken from the file, not computed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from esp_ppq.core import (
    OperationQuantizationConfig,
    QuantizationPolicy,
    QuantizationProperty,
    QuantizationStates,
    RoundingPolicy,
    TargetPlatform,
    TensorQuantizationConfig,
)
from esp_ppq.executor import TorchExecutor
from esp_ppq.executor.base import register_operation_handler
from esp_ppq.IR import BaseGraph
from esp_ppq.IR.quantize import QuantableOperation

from pytest_tinyml.engines.espdlweights import array_of, filters_of, table_of
from pytest_tinyml.errors import UnsupportedOperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from pytest_tinyml.stores.espdlgraph import EspdlGraph, Family

NAME: Final = "espdl"
_TABLE: Final = "TinymlTable"
_PLATFORMS: Final[dict[Family, Any]] = {
    "esp32": TargetPlatform.ESPDL_C_H_PRE_INT16,
    "esp32s3": TargetPlatform.ESPDL_S3_H_PRE_INT16,
    "esp32p4": TargetPlatform.ESPDL_H_PRE_INT16,
}
_ROUNDING: Final[dict[Family, Any]] = {
    "esp32": RoundingPolicy.ROUND_HALF_UP,
    "esp32s3": RoundingPolicy.ROUND_HALF_UP,
    "esp32p4": RoundingPolicy.ROUND_HALF_EVEN,
}
_POLICY: Final = QuantizationPolicy(
    QuantizationProperty.SYMMETRICAL
    + QuantizationProperty.LINEAR
    + QuantizationProperty.PER_TENSOR
    + QuantizationProperty.POWER_OF_2
)
_TO_FRONT: Final = (0, 3, 1, 2)
_TO_BACK: Final = (0, 2, 3, 1)


class Executor:
    """An .espdl, ready to be run.

    Args:
        graph: of the file.
        model: its name, for messages.

    Raises:
        UnsupportedOperatorError: an operator that is not rebuilt.
    """

    def __init__(self, graph: EspdlGraph, model: str) -> None:
        """Build the graph."""
        self._espdl = graph
        built = _Builder(graph, model).build()
        self._executor = TorchExecutor(graph=built, device="cpu")

    def run(self, tensors: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the scores of input tensors: the output's dtype, [N, C].

        Args:
            tensors: the input's dtype, [N, *input.shape[1:]].
        """
        source, target = self._espdl.input, self._espdl.output
        values = torch.from_numpy(tensors.astype(np.float64) * source.scale)
        with torch.no_grad():
            (result,) = self._executor.forward(values)
        scores: npt.NDArray[np.float64] = result.numpy().reshape(len(tensors), -1)
        # The division by a power of two is exact, and so is what it gives.
        exact = scores if target.dtype == "float32" else scores / target.scale
        return exact.astype(target.dtype)


def _look_up(op: Any, values: list[Any], ctx: Any = None, **_: Any) -> Any:  # noqa: ANN401 - of esp-ppq, no types
    """Compute an operator by its table, as esp-dl/dl/base/dl_base_lut.cpp does."""
    del ctx
    (tensor,) = values
    table, shift = op.attributes["table"], op.attributes["shift"]
    place = torch.round(tensor / op.attributes["scale"]).to(torch.int64) - op.attributes["least"]
    if shift:
        nearest, half = place >> shift, 1 << (shift - 1)
        rest = place - (nearest << shift)
        up = (rest > half) | ((rest == half) & (bool(not op.attributes["half_even"]) | ((nearest & 1) == 1)))
        place = nearest + up.to(torch.int64)
    return table[place]


class _Builder:
    def __init__(self, graph: EspdlGraph, model: str) -> None:
        self.espdl, self.model = graph, model
        self.graph = BaseGraph(name=model)
        self.platform = _PLATFORMS[graph.family]
        self.variables: dict[str, Any] = {}
        self.position = 0
        self.node = graph.nodes[0]
        register_operation_handler(_look_up, _TABLE, self.platform)

    def build(self) -> Any:  # noqa: ANN401
        entry = self.graph.create_variable(name="entry")
        self.graph.mark_variable_as_graph_input(entry)
        self.variables[self.espdl.input_name] = entry
        for position, node in enumerate(self.espdl.nodes):
            self.position, self.node = position, node
            make = _Builder.table if self.espdl.bits == 8 and "lut" in node.attributes else _MAKERS.get(node.kind)  # noqa: PLR2004
            if make is None:
                raise UnsupportedOperatorError(self.model, NAME, position, node.kind, "it is not rebuilt for esp-ppq")
            make(self)
        self.graph.mark_variable_as_graph_output(self.variables[self.espdl.output_name])
        return self.graph

    def _config(self, name: str | None) -> Any:  # noqa: ANN401
        """Return how a tensor is rounded: to the steps of an activation, or not at all."""
        exact = name is None or self.espdl.activations[name].dtype == "float32"
        exponent = 0 if name is None else self.espdl.activations[name].exponent
        half = 1 << (self.espdl.bits - 1)
        return TensorQuantizationConfig(
            policy=_POLICY,
            rounding=_ROUNDING[self.espdl.family],
            num_of_bits=self.espdl.bits,
            quant_min=-half,
            quant_max=half - 1,
            scale=torch.tensor(2.0**exponent, dtype=torch.float64),
            offset=torch.tensor(0.0, dtype=torch.float64),
            state=QuantizationStates.FP32 if exact else QuantizationStates.ACTIVATED,
        )

    def _operation(
        self,
        kind: str,
        source: Any,  # noqa: ANN401
        attributes: Mapping[str, Any],
        *parameters: Any,  # noqa: ANN401
        rounded_to: str | None = None,
    ) -> Any:  # noqa: ANN401
        """Append an operation and return its output; parameters are arrays."""
        plain = self.graph.create_operation(op_type=kind, attributes=dict(attributes), platform=self.platform)
        exact = [self._config(None) for _ in range(1 + len(parameters))]
        config = OperationQuantizationConfig(exact, [self._config(rounded_to)])
        operation = QuantableOperation(convert_from=plain, quantize_config=config, platform=self.platform)
        self.graph.operations[plain.name] = operation
        operands = [
            source,
            *(
                self.graph.create_variable(value=torch.from_numpy(np.ascontiguousarray(array)), is_parameter=True)
                for array in parameters
            ),
        ]
        for operand in operands:
            operand.dest_ops.append(operation)
            operation.inputs.append(operand)
        return self.graph.create_variable(source_op=operation)

    @property
    def _output(self) -> str:
        return self.node.outputs[0]

    def _finish(self, variable: Any) -> None:  # noqa: ANN401
        self.variables[self._output] = variable

    def _source(self) -> Any:  # noqa: ANN401
        return self.variables[self.node.inputs[0]]

    def _real(self, name: str, array: npt.NDArray[Any], axis: int) -> npt.NDArray[np.float64]:
        """Return a parameter's numbers; its exponents are those of one axis, or one for all."""
        exponents = np.array(self.espdl.constants[name].exponents, dtype=np.float64)
        shape = [1] * array.ndim
        shape[axis] = len(exponents)
        return np.asarray(array.astype(np.float64) * np.exp2(exponents).reshape(shape))

    def _weighted(self, weights: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
        names = self.node.inputs[2:3]
        return [weights, *(self._real(name, array_of(self.espdl.constants[name]), 0) for name in names if name)]

    def _activated(self, kind: str, source: Any, attributes: Mapping[str, Any], *parameters: Any) -> Any:  # noqa: ANN401
        """Append an operation and the activation that is fused with it; only the latter is rounded."""
        if self.node.attributes.get("activation", "Linear") == "Relu":
            source = self._operation(kind, source, attributes, *parameters)
            kind, attributes, parameters = "Relu", {}, ()
        return self._operation(kind, source, attributes, *parameters, rounded_to=self._output)

    def convolution(self) -> None:
        source = self._source()
        constant = self.espdl.constants[self.node.inputs[1]]
        depthwise = int(str(self.node.attributes.get("group", 1))) > 1
        filters = filters_of(constant, depthwise=depthwise)
        filters = filters.transpose(2, 0, 1)[:, None] if depthwise else filters.transpose(0, 3, 1, 2)
        front = self._operation("Transpose", source, {"perm": list(_TO_FRONT)})
        parameters = self._weighted(self._real(constant.name, filters, 0))
        result = self._activated("Conv", front, self._attributes(), *parameters)
        self._finish(self._operation("Transpose", result, {"perm": list(_TO_BACK)}))

    def _attributes(self) -> dict[str, Any]:
        """Return the node's attributes as esp-ppq takes them from an ONNX file."""
        own = {"activation", "quant_type", "lut"}
        items = self.node.attributes.items()
        return {name: list(value) if isinstance(value, tuple) else value for name, value in items if name not in own}

    def pool(self) -> None:
        source = self._source()
        front = self._operation("Transpose", source, {"perm": list(_TO_FRONT)})
        result = self._operation(self.node.kind, front, self._attributes(), rounded_to=self._output)
        self._finish(self._operation("Transpose", result, {"perm": list(_TO_BACK)}))

    def dense(self) -> None:
        source = self._source()
        constant = self.espdl.constants[self.node.inputs[1]]
        filters = filters_of(constant, depthwise=False)
        weights = self._real(constant.name, filters.reshape(len(filters), -1), 0)
        self._finish(self._activated("Gemm", source, {"transB": 1}, *self._weighted(weights)))

    def table(self) -> None:
        source = self._source()
        table, shift = table_of(self.espdl.constants[str(self.node.attributes["lut"])], self.espdl.bits)
        attributes = {
            "table": torch.from_numpy(table.astype(np.float64) * 2.0 ** self.espdl.activations[self._output].exponent),
            "scale": 2.0 ** self.espdl.activations[self.node.inputs[0]].exponent,
            "least": -(1 << (self.espdl.bits - 1)),
            "shift": shift,
            "half_even": self.espdl.family == "esp32p4",
        }
        self._finish(self._operation(_TABLE, source, attributes))

    def relu(self) -> None:
        source = self._source()
        self._finish(self._operation("Relu", source, {}, rounded_to=self._output))

    def rescale(self) -> None:
        source = self._source()
        self._finish(self._operation("Identity", source, {}, rounded_to=self._output))

    def transpose(self) -> None:
        source = self._source()
        self._finish(self._operation("Transpose", source, {"perm": self._attributes()["perm"]}))

    def flatten(self) -> None:
        source = self._source()
        self._finish(self._operation("Flatten", source, {"axis": self._attributes().get("axis", 1)}))

    def reshape(self) -> None:
        """Give another shape; the first dimension is the batch, of any size here."""
        source = self._source()
        if self.node.kind == "Reshape":
            shape = array_of(self.espdl.constants[self.node.inputs[1]]).tolist()
        else:
            shape = list(self.espdl.activations[self._output].dims)
        operand = np.array([-1 if not at else size for at, size in enumerate(shape)], dtype=np.int64)
        if -1 in operand[1:]:
            operand[0] = 0
        self._finish(self._operation("Reshape", source, {}, operand))

    def softmax(self) -> None:
        source = self._source()
        self._finish(self._operation("Softmax", source, {"axis": -1}))


_MAKERS: Final[Mapping[str, Callable[[_Builder], None]]] = {
    "AveragePool": _Builder.pool,
    "Conv": _Builder.convolution,
    "Flatten": _Builder.flatten,
    "Gemm": _Builder.dense,
    "GlobalAveragePool": _Builder.pool,
    "Identity": _Builder.rescale,
    "LUT": _Builder.table,
    "MaxPool": _Builder.pool,
    "Relu": _Builder.relu,
    "RequantizeLinear": _Builder.rescale,
    "Reshape": _Builder.reshape,
    "Softmax": _Builder.softmax,
    "Squeeze": _Builder.reshape,
    "Transpose": _Builder.transpose,
    "Unsqueeze": _Builder.reshape,
}
