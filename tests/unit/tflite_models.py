"""Small .tflite files made with the schema alone, for tests that must not need TensorFlow."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as fb

from pytest_tinyml.engines.flatbuild import FLOAT, INT32, Builder, convolution, dense, pool
from pytest_tinyml.records import Model, PreprocessSpec, TensorSpec

__all__ = [
    "FLOAT",
    "Builder",
    "convnet",
    "convolution",
    "dense",
    "keras_flatten",
    "keras_mlp",
    "pool",
    "record",
    "softmax_model",
    "softmax_options",
]


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
