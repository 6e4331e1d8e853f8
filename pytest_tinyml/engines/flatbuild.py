"""Writing small .tflite files with the schema alone: int8 networks with random weights, in TensorFlow's own layout."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.engines.flatgraph import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

FLOAT: Final = 0
INT32: Final = 2
INT8: Final = 9
"""Element types, numbered as in the schema."""


@dataclass
class Builder:
    """One subgraph under construction; tensors and operators are numbered in the order of their calls.

    Attributes:
        tensors: ``TensorT`` of the schema.
        operators: ``OperatorT``.
        codes: ``OperatorCodeT``, one per operator.
        buffers: ``BufferT``; the first is the empty one that the format wants.
    """

    tensors: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)
    codes: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema().BufferT()])

    @cached_property
    def fb(self) -> Any:  # noqa: ANN401 - the schema's classes carry no types
        """The schema."""
        return schema()

    def tensor(
        self,
        shape: Sequence[int],
        *,
        kind: int = INT8,
        scale: float | npt.NDArray[np.float32] | None = None,
        zero: int = 0,
        data: npt.NDArray[Any] | None = None,
        signature: Sequence[int] | None = None,
    ) -> int:
        """Add a tensor and return its index.

        Args:
            shape: batch first.
            kind: element type.
            scale: of quantised tensors; an array for one per channel.
            zero: zero point of all channels.
            data: of constants.
            signature: the shape with -1 for what may vary.
        """
        tensor = self.fb.TensorT()
        tensor.name, tensor.type = f"t{len(self.tensors)}", kind
        tensor.shape = np.asarray(shape, dtype=np.int32)
        tensor.shapeSignature = None if signature is None else np.asarray(signature, dtype=np.int32)
        if scale is not None:
            tensor.quantization = self.fb.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(np.asarray(scale, dtype=np.float32))
            tensor.quantization.zeroPoint = np.full(len(tensor.quantization.scale), zero, dtype=np.int64)
        if data is not None:
            buffer = self.fb.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), dtype=np.uint8)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,  # noqa: ANN401
        version: int = 1,
    ) -> None:
        """Add an operator; the options' name without its T is their type."""
        code = self.fb.OperatorCodeT()
        code.builtinCode = getattr(self.fb.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self.codes.append(code)
        operator = self.fb.OperatorT()
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs = np.asarray(inputs, dtype=np.int32)
        operator.outputs = np.asarray(outputs, dtype=np.int32)
        if options is not None:
            operator.builtinOptionsType = getattr(self.fb.BuiltinOptions, type(options).__name__.removesuffix("T"))
            operator.builtinOptions = options
        self.operators.append(operator)

    def finish(self, source: int, result: int) -> bytes:
        """Return the file with one input and one output tensor; the same network gives the same bytes."""
        import flatbuffers  # noqa: PLC0415 - only writing needs it

        graph = self.fb.SubGraphT()
        graph.name, graph.tensors, graph.operators = "main", self.tensors, self.operators
        graph.inputs, graph.outputs = np.asarray([source], np.int32), np.asarray([result], np.int32)
        model = self.fb.ModelT()
        model.version, model.description = 3, "random weights"
        model.operatorCodes, model.subgraphs, model.buffers = self.codes, [graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def dense(
    net: Builder,
    source: int,
    units: int,
    seed: int,
    *,
    bias_error: float = 0.0,
    per_channel: bool = True,
    output_scale: float = 0.11,
    relu: bool = False,
) -> int:
    """Add a FULLY_CONNECTED with random int8 weights and return its output tensor, int8 [1, units].

    Args:
        net: receives it.
        source: its input, int8 [1, ...].
        units: neurons.
        seed: of weights and biases.
        bias_error: relative error of the biases' scales, as quantisation-aware training leaves one.
        per_channel: one scale per neuron, as TensorFlow 2.21 has it, or one for all.
        output_scale: of the output.
        relu: with ReLU, and then a zero point of -128.
    """
    rng = np.random.default_rng(seed)
    width = int(net.tensors[source].shape[-1])
    input_scale = np.float64(net.tensors[source].quantization.scale[0])
    weights = rng.integers(-127, 128, (units, width)).astype(np.int8)
    scales = rng.uniform(0.002, 0.004, units if per_channel else 1).astype(np.float32)
    kernel = net.tensor(weights.shape, scale=scales, data=weights)
    bias = net.tensor(
        [units],
        kind=INT32,
        scale=(input_scale * scales * (1 + bias_error)).astype(np.float32),
        data=rng.integers(-3000, 3000, units).astype(np.int32),
    )
    result = net.tensor([1, units], scale=output_scale, zero=-128 if relu else -4, signature=[-1, units])
    options = net.fb.FullyConnectedOptionsT()
    if relu:
        options.fusedActivationFunction = net.fb.ActivationFunctionType.RELU
    net.operator("FULLY_CONNECTED", [source, kernel, bias], [result], options, version=4)
    return result


def convolution(
    net: Builder,
    source: int,
    seed: int,
    *,
    channels: int = 0,
    window: int = 3,
    same: bool = False,
    output_scale: float = 0.02,
) -> int:
    """Add a CONV_2D with ReLU, or a DEPTHWISE_CONV_2D if no channels are given; returns its output tensor.

    Args:
        net: receives it.
        source: its input, int8 [1, H, W, C].
        seed: of weights and biases.
        channels: of the output.
        window: side of the kernel.
        same: padding that keeps H and W; else the output is smaller by ``window - 1``.
        output_scale: of the output, whose zero point is -128.
    """
    rng = np.random.default_rng(seed)
    _, height, width, inputs = (int(n) for n in net.tensors[source].shape)
    depthwise, channels = not channels, channels or inputs
    shape = (1, window, window, inputs) if depthwise else (channels, window, window, inputs)
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    scales = rng.uniform(0.004, 0.008, channels).astype(np.float32)
    kernel = net.tensor(shape, scale=scales, data=weights)
    net.tensors[kernel].quantization.quantizedDimension = 3 if depthwise else 0
    bias = net.tensor(
        [channels],
        kind=INT32,
        scale=(np.float64(net.tensors[source].quantization.scale[0]) * scales).astype(np.float32),
        data=rng.integers(-300, 300, channels).astype(np.int32),
    )
    lost = 0 if same else window - 1
    result = net.tensor([1, height - lost, width - lost, channels], scale=output_scale, zero=-128)
    options = net.fb.DepthwiseConv2DOptionsT() if depthwise else net.fb.Conv2DOptionsT()
    options.padding = net.fb.Padding.SAME if same else net.fb.Padding.VALID
    options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
    options.fusedActivationFunction = net.fb.ActivationFunctionType.RELU
    if depthwise:
        options.depthMultiplier = 1
    net.operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [source, kernel, bias], [result], options, version=3)
    return result


def pool(net: Builder, source: int, kind: str) -> int:
    """Add a MAX_POOL_2D or AVERAGE_POOL_2D over 2 x 2 and return its output tensor, int8 [1, H // 2, W // 2, C]."""
    _, height, width, channels = (int(n) for n in net.tensors[source].shape)
    quantization = net.tensors[source].quantization
    result = net.tensor(
        [1, height // 2, width // 2, channels], scale=quantization.scale, zero=int(quantization.zeroPoint[0])
    )
    options = net.fb.Pool2DOptionsT()
    options.padding = net.fb.Padding.VALID
    options.filterWidth = options.filterHeight = options.strideW = options.strideH = 2
    net.operator(kind, [source], [result], options, version=2)
    return result


def flatten(net: Builder, source: int) -> int:
    """Add a RESHAPE to [1, N] and return its output tensor, the same int8 values."""
    quantization = net.tensors[source].quantization
    width = int(np.prod(net.tensors[source].shape[1:]))
    shape = net.tensor([2], kind=INT32, data=np.asarray([1, width], np.int32))
    result = net.tensor([1, width], scale=quantization.scale, zero=int(quantization.zeroPoint[0]))
    options = net.fb.ReshapeOptionsT()
    options.newShape = np.asarray([1, width], np.int32)
    net.operator("RESHAPE", [source, shape], [result], options)
    return result
