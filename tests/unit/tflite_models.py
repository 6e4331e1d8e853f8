"""Small .tflite files made with the schema alone, for tests that must not need TensorFlow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as fb

from pytest_tinyml.records import Model, PreprocessSpec, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

INT8, INT32, FLOAT = 9, 2, 0


@dataclass
class Builder:
    """One subgraph under construction; tensors and operators are numbered in the order of their calls."""

    tensors: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)
    codes: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [fb.BufferT()])

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
        """Add a tensor and return its index."""
        tensor = fb.TensorT()
        tensor.name, tensor.type = f"t{len(self.tensors)}", kind
        tensor.shape = np.asarray(shape, dtype=np.int32)
        tensor.shapeSignature = None if signature is None else np.asarray(signature, dtype=np.int32)
        if scale is not None:
            tensor.quantization = fb.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(np.asarray(scale, dtype=np.float32))
            tensor.quantization.zeroPoint = np.full(len(tensor.quantization.scale), zero, dtype=np.int64)
        if data is not None:
            buffer = fb.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), dtype=np.uint8)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, version: int = 1
    ) -> None:
        """Add an operator; the options' name without its T is their type."""
        code = fb.OperatorCodeT()
        code.builtinCode = getattr(fb.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self.codes.append(code)
        operator = fb.OperatorT()
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs = np.asarray(inputs, dtype=np.int32)
        operator.outputs = np.asarray(outputs, dtype=np.int32)
        if options is not None:
            operator.builtinOptionsType = getattr(fb.BuiltinOptions, type(options).__name__.removesuffix("T"))
            operator.builtinOptions = options
        self.operators.append(operator)

    def finish(self, source: int, result: int) -> bytes:
        """Return the file with one input and one output tensor."""
        graph = fb.SubGraphT()
        graph.name, graph.tensors, graph.operators = "main", self.tensors, self.operators
        graph.inputs, graph.outputs = np.asarray([source], np.int32), np.asarray([result], np.int32)
        model = fb.ModelT()
        model.version, model.description = 3, "test"
        model.operatorCodes, model.subgraphs, model.buffers = self.codes, [graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def softmax_options(beta: float = 1.0) -> Any:
    """Return SoftmaxOptions."""
    options = fb.SoftmaxOptionsT()
    options.beta = beta
    return options


def softmax_model(rows: int, depth: int, scale: float, zero: int = 0, beta: float = 1.0) -> bytes:
    """Return a model that is one int8 SOFTMAX over [rows, depth]."""
    net = Builder()
    source = net.tensor([rows, depth], scale=scale, zero=zero)
    result = net.tensor([rows, depth], scale=1 / 256, zero=-128)
    net.operator("SOFTMAX", [source], [result], softmax_options(beta), version=2)
    return net.finish(source, result)


def dense(
    net: Builder,
    source: int,
    units: int,
    seed: int,
    *,
    bias_error: float = 0.0,
    per_channel: bool = True,
    output_scale: float = 0.11,
) -> int:
    """Add a FULLY_CONNECTED with random int8 weights and return its output tensor."""
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
    result = net.tensor([1, units], scale=output_scale, zero=-4, signature=[-1, units])
    net.operator("FULLY_CONNECTED", [source, kernel, bias], [result], fb.FullyConnectedOptionsT(), version=4)
    return result


def convolution(net: Builder, source: int, seed: int, *, channels: int = 0, window: int = 3, same: bool = False) -> int:
    """Add a CONV_2D with ReLU, or a DEPTHWISE_CONV_2D if no channels are given; returns its output tensor."""
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
    result = net.tensor([1, height - lost, width - lost, channels], scale=0.02, zero=-128)
    options = fb.DepthwiseConv2DOptionsT() if depthwise else fb.Conv2DOptionsT()
    options.padding = fb.Padding.SAME if same else fb.Padding.VALID
    options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
    options.fusedActivationFunction = fb.ActivationFunctionType.RELU
    if depthwise:
        options.depthMultiplier = 1
    net.operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [source, kernel, bias], [result], options, version=3)
    return result


def pool(net: Builder, source: int, kind: str) -> int:
    """Add a MAX_POOL_2D or AVERAGE_POOL_2D over 2 x 2 and return its output tensor."""
    _, height, width, channels = (int(n) for n in net.tensors[source].shape)
    quantization = net.tensors[source].quantization
    result = net.tensor(
        [1, height // 2, width // 2, channels], scale=quantization.scale, zero=int(quantization.zeroPoint[0])
    )
    options = fb.Pool2DOptionsT()
    options.padding = fb.Padding.VALID
    options.filterWidth = options.filterHeight = options.strideW = options.strideH = 2
    net.operator(kind, [source], [result], options, version=2)
    return result


def convnet() -> bytes:
    """Return [1, 9, 9, 3] -> every operator that vendors have kernels for -> 5, in odd sizes that leave remainders."""
    net = Builder()
    source = net.tensor([1, 9, 9, 3], scale=1 / 255, zero=-128)
    image = convolution(net, source, 1, channels=5, same=True)
    image = pool(net, image, "MAX_POOL_2D")
    image = convolution(net, image, 2, same=True)
    image = convolution(net, image, 3, channels=6, window=1)
    image = convolution(net, image, 4, channels=7, window=3)
    image = pool(net, image, "AVERAGE_POOL_2D")
    hidden = dense(net, keras_flatten(net, image), 9, 5, per_channel=True, output_scale=0.002)
    hidden = dense(net, hidden, 12, 6, per_channel=False, output_scale=0.002)
    return net.finish(source, dense(net, hidden, 5, 7, per_channel=True, output_scale=0.002))


def keras_flatten(net: Builder, source: int) -> int:
    """Add what Keras 3's Flatten converts to: SHAPE, STRIDED_SLICE, PACK and a RESHAPE without options."""
    shape = [int(n) for n in net.tensors[source].shape]
    width = int(np.prod(shape[1:]))
    begin, end, stride = (net.tensor([1], kind=INT32, data=np.asarray([n], np.int32)) for n in (0, 1, 1))
    rest = net.tensor([], kind=INT32, data=np.asarray(width, np.int32))
    whole = net.tensor([len(shape)], kind=INT32)
    batch = net.tensor([], kind=INT32)
    packed = net.tensor([2], kind=INT32)
    quantization = net.tensors[source].quantization
    result = net.tensor(
        [1, width], scale=quantization.scale, zero=int(quantization.zeroPoint[0]), signature=[-1, width]
    )
    kind = fb.ShapeOptionsT()
    kind.outType = INT32
    net.operator("SHAPE", [source], [whole], kind)
    options = fb.StridedSliceOptionsT()
    options.shrinkAxisMask = 1
    net.operator("STRIDED_SLICE", [whole, begin, end, stride], [batch], options)
    pack = fb.PackOptionsT()
    pack.valuesCount = 2
    net.operator("PACK", [batch, rest], [packed], pack)
    net.operator("RESHAPE", [source, packed], [result])
    return result


def keras_mlp(*, softmax: bool = True, bias_error: float = 3e-7, per_channel: bool = True) -> bytes:
    """Return [1, 4, 6] -> Flatten as Keras 3 writes it -> 16 -> 5 (-> softmax), with all that a user's file brings."""
    net = Builder()
    source = net.tensor([1, 4, 6], scale=1 / 255, zero=-128, signature=[-1, 4, 6])
    hidden = dense(net, keras_flatten(net, source), 16, 1, bias_error=bias_error, per_channel=per_channel)
    result = dense(net, hidden, 5, 2, bias_error=bias_error, per_channel=per_channel)
    if softmax:
        logits, result = result, net.tensor([1, 5], scale=1 / 256, zero=-128, signature=[-1, 5])
        net.operator("SOFTMAX", [logits], [result], softmax_options(), version=2)
    return net.finish(source, result)


def record(data: bytes, name: str = "tiny", preprocess: PreprocessSpec | None = None) -> Model:
    """Return the record of a file made here."""
    model = fb.ModelT.InitFromObj(fb.Model.GetRootAsModel(data, 0))
    graph = model.subgraphs[0]

    def spec(index: int) -> TensorSpec:
        tensor = graph.tensors[index]
        shape = tuple(int(n) for n in tensor.shape)
        if tensor.type == FLOAT:
            return TensorSpec(dtype="float32", shape=shape)
        quantization = tensor.quantization
        return TensorSpec(
            dtype="int8", shape=shape, scale=float(quantization.scale[0]), zero_point=int(quantization.zeroPoint[0])
        )

    return Model(
        name=name,
        path=Path(f"{name}.tflite"),
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        input=spec(int(graph.inputs[0])),
        output=spec(int(graph.outputs[0])),
        preprocess=preprocess or PreprocessSpec(),
    )
