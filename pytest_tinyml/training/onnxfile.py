"""A float .tflite as ONNX, which esp-ppq reads: channels first, the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.engines.flatgraph import schema
from pytest_tinyml.engines.graph import folded
from pytest_tinyml.engines.support import refusal
from pytest_tinyml.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from pytest_tinyml.engines.flatgraph import Graph
    from pytest_tinyml.errors import UnsupportedOperatorError
    from pytest_tinyml.records import Model

OPSET: Final = 18
_IR_VERSION: Final = 9
"""What goes with the opset; onnx would write its newest, which other programs may not know yet."""
_TO_FRONT: Final = (0, 3, 1, 2)
_TO_BACK: Final = (0, 2, 3, 1)
_RANK: Final = 4


def onnx_of(model: Model) -> bytes:
    """Translate a float .tflite.

    Tensors [1, H, W, C] become [1, C, H, W]; where a RESHAPE needs the old order, there is a Transpose before it.

    Raises:
        ModelError: the model is not float32 from end to end, or damaged.
        UnsupportedOperatorError: an operator that is not translated.
    """
    if model.format != "tflite" or model.input.dtype != "float32" or model.output.dtype != "float32":
        kind = f"{model.input.dtype} .{model.format}"
        msg = f"{model.name}: only float models can be quantised for ESP-DL; this is {kind}"
        raise ModelError(msg)
    with folded(model.data, model.name) as graph:
        return _Translator(model, graph).translate()


class _Translator:
    """One pass over one graph; values are named after the tensors' indices."""

    def __init__(self, model: Model, graph: Graph) -> None:
        import onnx  # noqa: PLC0415 - of an extra

        self.onnx, self.model, self.graph = onnx, model, graph
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.position, self.kind = 0, ""

    def translate(self) -> bytes:
        source, target = int(self.graph.sub.inputs[0]), int(self.graph.sub.outputs[0])
        for position, operator in enumerate(self.graph.sub.operators):
            self.position, self.kind = self.graph.origin[position], self.graph.kind(operator)
            translate = _TRANSLATORS.get(self.kind)
            if translate is None:
                raise self._refusal("it is not translated to ONNX")
            translate(self, operator)
        make, real = self.onnx.helper, self.onnx.TensorProto.FLOAT
        graph = make.make_graph(
            self.nodes,
            self.model.name,
            [make.make_tensor_value_info(self._name(source), real, self._front(source))],
            [make.make_tensor_value_info(self._name(target), real, self._front(target))],
            self.constants,
        )
        made = make.make_model(graph, opset_imports=[make.make_opsetid("", OPSET)], ir_version=_IR_VERSION)
        self.onnx.checker.check_model(made)
        return bytes(made.SerializeToString())

    def _refusal(self, reason: str) -> UnsupportedOperatorError:
        return refusal(self.model.name, "float32", "espdl", self.position, self.kind, reason)

    def _shape(self, index: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self.graph.sub.tensors[index].shape)

    def _front(self, index: int) -> list[int]:
        shape = self._shape(index)
        return [shape[axis] for axis in _TO_FRONT] if len(shape) == _RANK else list(shape)

    @staticmethod
    def _name(index: int) -> str:
        return f"tensor_{index}"

    def _data(self, index: int) -> npt.NDArray[np.float32]:
        tensor = self.graph.sub.tensors[index]
        data = self.graph.model.buffers[tensor.buffer].data
        if tensor.type != schema().TensorType.FLOAT32 or data is None or not len(data):
            raise self._refusal("its weights must be constant and float32")
        return np.frombuffer(np.asarray(data, dtype=np.uint8).tobytes(), dtype="<f4").reshape(self._shape(index))

    def _constant(self, array: npt.NDArray[Any]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _node(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:  # noqa: ANN401
        name = output or f"value_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _activated(self, kind: str, inputs: Sequence[str], operator: Any, **attributes: Any) -> None:  # noqa: ANN401
        """Append an operator and the activation that TensorFlow Lite has fused with it."""
        output = self._name(int(operator.outputs[0]))
        code = operator.builtinOptions.fusedActivationFunction
        functions = schema().ActivationFunctionType
        if code == functions.NONE:
            self._node(kind, inputs, output, **attributes)
        elif code == functions.RELU:
            self._node("Relu", [self._node(kind, inputs, **attributes)], output)
        else:
            reason = f"its activation {code} is not one of ESP-DL's; a ReLU is"
            raise self._refusal(reason)

    def _operands(self, operator: Any, order: tuple[int, ...]) -> list[str]:  # noqa: ANN401
        weights = self._constant(self._data(int(operator.inputs[1])).transpose(order))
        names = [self._name(int(operator.inputs[0])), weights]
        if len(operator.inputs) > 2 and operator.inputs[2] >= 0:  # noqa: PLR2004 - data, weights and bias
            names.append(self._constant(self._data(int(operator.inputs[2]))))
        return names

    def _window(
        self,
        operator: Any,  # noqa: ANN401
        kernel: tuple[int, ...],
        dilation: tuple[int, int] = (1, 1),
    ) -> dict[str, list[int]]:
        options = operator.builtinOptions
        source, result = self._shape(int(operator.inputs[0])), self._shape(int(operator.outputs[0]))
        strides = (int(options.strideH), int(options.strideW))
        # TensorFlow Lite's ComputePadding (padding.h): what SAME lacks, the smaller half before.
        lacking = [
            max(0, (out - 1) * stride + (size - 1) * spread + 1 - have)
            for out, stride, size, spread, have in zip(result[1:3], strides, kernel, dilation, source[1:3], strict=True)
        ]
        if options.padding == schema().Padding.VALID:
            lacking = [0, 0]
        before = [count // 2 for count in lacking]
        return {
            "kernel_shape": list(kernel),
            "strides": list(strides),
            "pads": before + [count - half for count, half in zip(lacking, before, strict=True)],
        }

    def convolution(self, operator: Any) -> None:  # noqa: ANN401
        options = operator.builtinOptions
        depthwise = self.kind == "DEPTHWISE_CONV_2D"
        weights = self._shape(int(operator.inputs[1]))
        channels = self._shape(int(operator.inputs[0]))[3]
        if weights[3] != channels:
            raise self._refusal("groups of channels, and several filters per channel, are none of ESP-DL's")
        dilation = (int(options.dilationHFactor), int(options.dilationWFactor))
        window = self._window(operator, weights[1:3], dilation)
        # Filters are [out, h, w, in] of CONV_2D and [1, h, w, out] of DEPTHWISE_CONV_2D; ONNX has [out, in, h, w].
        names = self._operands(operator, (3, 0, 1, 2) if depthwise else _TO_FRONT)
        group = channels if depthwise else 1
        self._activated("Conv", names, operator, group=group, dilations=list(dilation), **window)

    def dense(self, operator: Any) -> None:  # noqa: ANN401
        source = self._shape(int(operator.inputs[0]))
        names = self._operands(operator, (0, 1))
        if len(source) != 2:  # noqa: PLR2004 - Gemm takes matrices; TensorFlow Lite flattens
            names[0] = self._flat(int(operator.inputs[0]))
        self._activated("Gemm", names, operator, transB=1)

    def _flat(self, index: int) -> str:
        name = self._name(index)
        if len(self._shape(index)) == _RANK:
            name = self._node("Transpose", [name], perm=list(_TO_BACK))
        return self._node("Flatten", [name], axis=1)

    def pool(self, operator: Any) -> None:  # noqa: ANN401
        options = operator.builtinOptions
        window = self._window(operator, (int(options.filterHeight), int(options.filterWidth)))
        kind = "MaxPool" if self.kind == "MAX_POOL_2D" else "AveragePool"
        self._activated(kind, [self._name(int(operator.inputs[0]))], operator, **window)

    def mean(self, operator: Any) -> None:  # noqa: ANN401
        axes = self.graph.constant(int(operator.inputs[1]))
        source = int(operator.inputs[0])
        if axes is None or len(self._shape(source)) != _RANK or sorted(int(a) % _RANK for a in axes) != [1, 2]:
            raise self._refusal("only the mean over height and width is translated")
        output = self._name(int(operator.outputs[0]))
        keep = len(self._shape(int(operator.outputs[0]))) == _RANK
        name = self._node("GlobalAveragePool", [self._name(source)], output if keep else "")
        if not keep:
            self._node("Flatten", [name], output, axis=1)

    def reshape(self, operator: Any) -> None:  # noqa: ANN401
        source, target = int(operator.inputs[0]), int(operator.outputs[0])
        output, shape = self._name(target), self._shape(target)
        name = self._name(source)
        if len(self._shape(source)) == _RANK:
            name = self._node("Transpose", [name], perm=list(_TO_BACK))
        if len(shape) == 2:  # noqa: PLR2004 - [1, N]
            self._node("Flatten", [name], output, axis=1)
            return
        operand = self._constant(np.array(shape, dtype=np.int64))
        if len(shape) != _RANK:
            self._node("Reshape", [name, operand], output)
            return
        self._node("Transpose", [self._node("Reshape", [name, operand])], output, perm=list(_TO_FRONT))

    def elements(self, operator: Any) -> None:  # noqa: ANN401
        self._node(_ELEMENTWISE[self.kind], [self._name(int(operator.inputs[0]))], self._name(int(operator.outputs[0])))

    def softmax(self, operator: Any) -> None:  # noqa: ANN401
        if operator.builtinOptions.beta != 1.0 or len(self._shape(int(operator.inputs[0]))) == _RANK:
            raise self._refusal("only beta 1 over the last of up to three dimensions is translated")
        self._node("Softmax", [self._name(int(operator.inputs[0]))], self._name(int(operator.outputs[0])), axis=-1)


_ELEMENTWISE: Final = {"LOGISTIC": "Sigmoid", "RELU": "Relu", "TANH": "Tanh"}
_TRANSLATORS: Final[Mapping[str, Callable[[_Translator, Any], None]]] = {
    "AVERAGE_POOL_2D": _Translator.pool,
    "CONV_2D": _Translator.convolution,
    "DEPTHWISE_CONV_2D": _Translator.convolution,
    "FULLY_CONNECTED": _Translator.dense,
    "LOGISTIC": _Translator.elements,
    "MAX_POOL_2D": _Translator.pool,
    "MEAN": _Translator.mean,
    "RELU": _Translator.elements,
    "RESHAPE": _Translator.reshape,
    "SOFTMAX": _Translator.softmax,
    "TANH": _Translator.elements,
}
