"""Engine ``aot-float``: the float kernels against TensorFlow Lite Micro, operator by operator, and what is refused."""

from __future__ import annotations

import ctypes
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as fb

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.engines.layers.fromfloat import OPERATORS, read_float
from pytest_tinyml.engines.layers.generate import with_kernels, write
from pytest_tinyml.engines.modelfile import model_source
from pytest_tinyml.engines.select import engine_of as engine_name
from pytest_tinyml.errors import ModelError, UnsupportedOperatorError
from tests.unit.enginelib import engine_of, load_engine, run, tflm
from tests.unit.tflite_models import FLOAT, Builder, convnet, keras_flatten, record, softmax_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.records import Model

KERNELS = assets_dir("firmware") / "engines" / "layers" / "f32"
ACTIVATIONS = fb.ActivationFunctionType


def weights(net: Builder, shape: tuple[int, ...], seed: int) -> int:
    """Add a constant of normally distributed floats."""
    data = np.random.default_rng(seed).normal(0, 0.5, shape).astype(np.float32)
    return net.tensor(shape, kind=FLOAT, data=data)


def window(options: Any, *, stride: tuple[int, int] = (1, 1), same: bool = False, activation: int = 0) -> Any:
    """Fill in what convolutions and poolings have in common."""
    options.padding = fb.Padding.SAME if same else fb.Padding.VALID
    options.strideH, options.strideW = stride
    options.fusedActivationFunction = activation
    return options


def convolution(net: Builder, source: int, result: tuple[int, ...], kernel: tuple[int, ...], **how: Any) -> int:
    """Add a CONV_2D with weights [out, h, w, in], or a DEPTHWISE_CONV_2D with [1, h, w, out]."""
    depthwise = kernel[0] == 1 and how.pop("depthwise", False)
    dilation = how.pop("dilation", (1, 1))
    options = window(fb.DepthwiseConv2DOptionsT() if depthwise else fb.Conv2DOptionsT(), **how)
    options.dilationHFactor, options.dilationWFactor = dilation
    if depthwise:
        options.depthMultiplier = kernel[3] // int(net.tensors[source].shape[3])
    output = net.tensor(result, kind=FLOAT)
    inputs = [source, weights(net, kernel, 1), weights(net, (result[3],), 2)]
    net.operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", inputs, [output], options)
    return output


def pooling(net: Builder, source: int, result: tuple[int, ...], size: tuple[int, int], **how: Any) -> int:
    """Add a MAX_POOL_2D, or an AVERAGE_POOL_2D."""
    kind = how.pop("kind", "MAX_POOL_2D")
    options = window(fb.Pool2DOptionsT(), **how)
    options.filterHeight, options.filterWidth = size
    output = net.tensor(result, kind=FLOAT)
    net.operator(kind, [source], [output], options)
    return output


def elements(net: Builder, source: int, kind: str) -> int:
    """Add an operator that maps element by element."""
    output = net.tensor([int(n) for n in net.tensors[source].shape], kind=FLOAT)
    net.operator(kind, [source], [output])
    return output


def dense(net: Builder, source: int, units: int, *, bias: bool = True, activation: int = 0) -> int:
    """Add a FULLY_CONNECTED."""
    width = int(net.tensors[source].shape[-1])
    options = fb.FullyConnectedOptionsT()
    options.fusedActivationFunction = activation
    output = net.tensor([1, units], kind=FLOAT)
    inputs = [source, weights(net, (units, width), 3), weights(net, (units,), 4) if bias else -1]
    net.operator("FULLY_CONNECTED", inputs, [output], options)
    return output


def softmax(net: Builder, source: int, beta: float = 1.0) -> int:
    """Add a SOFTMAX."""
    output = net.tensor([int(n) for n in net.tensors[source].shape], kind=FLOAT)
    net.operator("SOFTMAX", [source], [output], softmax_options(beta))
    return output


def added(net: Builder, source: int) -> int:
    """Add two convolutions of one input to each other: both must be kept until then."""
    left = convolution(net, source, (1, 7, 6, 3), (3, 1, 1, 3))
    right = convolution(net, source, (1, 7, 6, 3), (3, 3, 3, 3), same=True)
    output = net.tensor([1, 7, 6, 3], kind=FLOAT)
    options = fb.AddOptionsT()
    options.fusedActivationFunction = ACTIVATIONS.RELU6
    net.operator("ADD", [left, right], [output], options)
    return output


def small_cnn(net: Builder, source: int) -> int:
    """Add convolution, pooling and two dense layers."""
    image = convolution(net, source, (1, 7, 6, 8), (8, 3, 3, 3), same=True)
    flat = keras_flatten_float(net, pooling(net, image, (1, 3, 3, 8), (2, 2), stride=(2, 2)))
    return dense(net, dense(net, flat, 16, activation=ACTIVATIONS.RELU), 5)


CASES: dict[str, Callable[[Builder, int], int]] = {
    "conv valid": lambda net, x: convolution(net, x, (1, 5, 4, 8), (8, 3, 3, 3)),
    "conv same, odd stride": lambda net, x: convolution(
        net, x, (1, 3, 3, 5), (5, 3, 2, 3), same=True, stride=(3, 2), activation=ACTIVATIONS.RELU
    ),
    "conv dilated": lambda net, x: convolution(net, x, (1, 3, 4, 2), (2, 3, 2, 3), dilation=(2, 2)),
    "conv dilated, same": lambda net, x: convolution(net, x, (1, 7, 6, 2), (2, 3, 3, 3), same=True, dilation=(3, 2)),
    "depthwise": lambda net, x: convolution(
        net, x, (1, 4, 3, 6), (1, 3, 3, 6), depthwise=True, same=True, stride=(2, 2), activation=ACTIVATIONS.RELU6
    ),
    "max pool": lambda net, x: pooling(net, x, (1, 3, 3, 3), (2, 2), stride=(2, 2)),
    "max pool, same": lambda net, x: pooling(net, x, (1, 4, 2, 3), (3, 4), stride=(2, 3), same=True),
    "average pool": lambda net, x: pooling(net, x, (1, 5, 4, 3), (3, 3), kind="AVERAGE_POOL_2D"),
    "average pool, same": lambda net, x: pooling(
        net, x, (1, 4, 3, 3), (3, 3), stride=(2, 2), same=True, kind="AVERAGE_POOL_2D", activation=ACTIVATIONS.RELU
    ),
    "dense": lambda net, x: dense(net, keras_flatten_float(net, x), 9, activation=ACTIVATIONS.RELU_N1_TO_1),
    "dense without bias": lambda net, x: dense(net, keras_flatten_float(net, x), 9, bias=False),
    "relu": lambda net, x: elements(net, x, "RELU"),
    "relu6": lambda net, x: elements(net, x, "RELU6"),
    "added": added,
    "all": small_cnn,
}
"""Networks whose every sum is TensorFlow Lite Micro's, to the last bit."""
NEARLY: dict[str, Callable[[Builder, int], int]] = {
    "softmax": lambda net, x: softmax(net, dense(net, keras_flatten_float(net, x), 10)),
    "softmax, beta": lambda net, x: softmax(net, x, beta=0.5),
    "logistic": lambda net, x: elements(net, x, "LOGISTIC"),
}
"""Networks with an exponential, which the C library of TensorFlow Lite Micro's wheel rounds otherwise now and then."""


def keras_flatten_float(net: Builder, source: int) -> int:
    """Add SHAPE, STRIDED_SLICE, PACK and RESHAPE of a float tensor."""
    net.tensors[source].quantization = fb.QuantizationParametersT()
    net.tensors[source].quantization.scale, net.tensors[source].quantization.zeroPoint = [1.0], [0]
    result = keras_flatten(net, source)
    for tensor in (source, result):
        net.tensors[tensor].quantization, net.tensors[tensor].type = None, FLOAT
    return result


def made(name: str) -> Model:
    """Return a network of the tables above, on [1, 7, 6, 3]."""
    net = Builder()
    source = net.tensor([1, 7, 6, 3], kind=FLOAT)
    return record(net.finish(source, (CASES | NEARLY)[name](net, source)), name)


def outputs(model: Model, folder: Path) -> tuple[Any, Any]:
    """Return TensorFlow Lite Micro's outputs and ours, for 200 inputs of all sizes."""
    generated = with_kernels(write(read_float(model), model_source(model), folder))
    engine = engine_of(load_engine(generated, folder, strict=True))
    rng = np.random.default_rng(5)
    sizes = 10 ** rng.uniform(-2, 1, (200, 1, 1, 1, 1))
    tensors = (rng.normal(0, 1, (200, *model.input.shape)) * sizes).astype(np.float32)
    assert engine.name == b"aot-float"
    assert generated.arena_bytes == engine.arena_used(None) == engine.arena_capacity(None)
    return tflm(model, tensors), run(engine, model, tensors)


@pytest.mark.parametrize("name", CASES)
def test_equals_tflm(tmp_path: Path, name: str) -> None:
    """The same sums in the same order: not one bit is different."""
    expected, actual = outputs(made(name), tmp_path)
    assert len(np.unique(expected, axis=0)) > 150  # the outputs do depend on the inputs
    assert expected.view(np.uint32).tolist() == actual.view(np.uint32).tolist()


@pytest.mark.parametrize("name", NEARLY)
def test_nearly_equals_tflm(tmp_path: Path, name: str) -> None:
    """An exponential may be rounded otherwise, no more."""
    expected, actual = outputs(made(name), tmp_path)
    assert float(np.abs(expected - actual).max()) <= 2.5e-7
    assert float((expected != actual).mean()) < 0.05


def test_every_operator_is_tested() -> None:
    """The tables above have whatever the kernels compute."""
    used = {
        name.removesuffix("_")
        for case in (*CASES, *NEARLY)
        for name in (step.operator for step in read_float(made(case)).steps)
    }
    assert OPERATORS - used == {"RELU_N1_TO_1"}  # as a fused activation only


def test_exponential(tmp_path: Path) -> None:
    """Against numpy's in double: the nearest float, over the whole range, but for one in ten thousand."""
    library = tmp_path / "exp.so"
    flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared"]
    subprocess.run(["cc", *flags, str(KERNELS / "tml_f32.c"), "-o", str(library)], check=True, timeout=120)
    function = ctypes.CDLL(str(library)).tml_exp_f32
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    x = np.concatenate(
        [np.linspace(-87.3, 88.7, 50_001, dtype=np.float32), np.linspace(-1e-3, 1e-3, 2001, dtype=np.float32)]
    )
    expected = np.exp(x.astype(np.float64)).astype(np.float32)
    actual = np.array([function(float(value)) for value in x], dtype=np.float32)
    assert int((expected != actual).sum()) <= 5
    assert np.max(np.abs(expected.view(np.int32) - actual.view(np.int32))) <= 1
    assert [1.0, 0.0, np.inf] == [function(value) for value in (0.0, -104.0, 89.0)]
    assert np.isnan(function(float("nan")))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    """No path and no time is in what is generated."""
    model = made("all")
    for name in ("one", "two"):
        write(read_float(model), model_source(model), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert ["layers_engine_config.h", "layers_network.c", "tml_model.c"] == files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_refusals_name_the_operator(tmp_path: Path) -> None:
    """What no kernel computes is refused with its index, its name, and a board that can."""
    net = Builder()
    source = net.tensor([1, 7, 6, 3], kind=FLOAT)
    bad = record(net.finish(source, elements(net, elements(net, source, "RELU"), "TANH")))
    with pytest.raises(UnsupportedOperatorError, match=r"operator 1 TANH.*--board tflm"):
        read_float(bad)
    net = Builder()
    source = net.tensor([1, 7, 6, 4], kind=FLOAT)
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 CONV_2D.*grouped"):
        read_float(record(net.finish(source, convolution(net, source, (1, 5, 4, 8), (8, 3, 3, 2)))))
    with pytest.raises(UnsupportedOperatorError, match="must be float32"):
        read_float(record(convnet()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", [1, 2], ids=["weights", "bias"])
def test_weights_that_are_no_numbers_are_refused(value: float, which: int) -> None:
    """What a training that diverged leaves is named before a compiler sees it."""
    net = Builder()
    source = net.tensor([1, 6], kind=FLOAT)
    output = dense(net, source, 3)
    buffer = net.tensors[net.operators[0].inputs[which]].buffer
    constant = np.frombuffer(bytes(net.buffers[buffer].data), "<f4").copy()
    constant[1] = value
    net.buffers[buffer].data = np.frombuffer(constant.tobytes(), np.uint8)
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 FULLY_CONNECTED.*not all finite"):
        read_float(record(net.finish(source, output)))


def test_damaged_files_are_refused() -> None:
    """Wherever a file is cut off, and whichever byte is another one, the error is one of ours."""
    data = made("all").data
    rng = np.random.default_rng(9)
    for _ in range(300):
        spoilt = bytearray(data)
        spoilt[int(rng.integers(8, 2000))] = int(rng.integers(256))
        model = made("all")
        try:
            read_float(type(model)(**{**{f: getattr(model, f) for f in model.__slots__}, "data": bytes(spoilt)}))
        except ModelError:
            continue


def test_which_models_are_float() -> None:
    """Float at both ends is this engine's, anything else another's."""
    assert engine_name(made("dense")) == "aot-float"
    assert engine_name(record(convnet())) == "aot"
