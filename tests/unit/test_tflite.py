"""Reading .tflite files: damaged ones and those that no board takes are refused with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import ModelError
from pytest_tinyml.records import TensorSpec
from pytest_tinyml.stores.tflite import read_graph

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = (assets_dir("models") / "s4" / "s4-ptq.tflite").read_bytes()
FLOAT = (assets_dir("models") / "s4" / "s4-float.tflite").read_bytes()


def edited(data: bytes, change: Callable[[Any], object]) -> bytes:
    """Return a .tflite file with a change made to its object tree (``schema.ModelT``)."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    change(model)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def source(model: Any) -> Any:
    """Return the first input tensor."""
    graph = model.subgraphs[0]
    return graph.tensors[graph.inputs[0]]


def test_s4() -> None:
    """A committed model is read as it was made: 28x28x1, one convolution, int8 with the input scale of pixel / 255."""
    graph = read_graph(DATA, "s4")
    scale = float(np.float32(1.0 / 255.0))
    assert TensorSpec(dtype="int8", shape=(1, 28, 28, 1), scale=scale, zero_point=-128) == graph.input
    assert TensorSpec(dtype="int8", shape=(1, 10), scale=1.0 / 256.0, zero_point=-128) == graph.output
    assert ("CONV_2D", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX") == graph.operators
    # 26 x 26 x 12 outputs of a 3 x 3 filter, and 13 x 13 x 12 inputs to 10 neurons.
    assert 26 * 26 * 12 * 9 + 13 * 13 * 12 * 10 == graph.macs


def test_float() -> None:
    """A float model has no scale and no zero point."""
    assert TensorSpec(dtype="float32", shape=(1, 28, 28, 1)) == read_graph(FLOAT, "s4").input


def test_dynamic_batch_is_fine() -> None:
    """A signature with batch -1, as Keras writes it, is accepted where the shape itself has batch 1."""

    def change(model: Any) -> None:
        source(model).shapeSignature = [-1, 28, 28, 1]

    assert (1, 28, 28, 1) == read_graph(edited(DATA, change), "s4").input.shape


def test_int16_and_uint8() -> None:
    """The other element types of boards are accepted."""

    def change(model: Any) -> None:
        source(model).type = schema.TensorType.INT16

    assert read_graph(edited(DATA, change), "s4").input.dtype == "int16"


def test_custom_operator() -> None:
    """A custom operator is shown with its own name, one of a newer schema with its number."""

    def change(model: Any) -> None:
        codes = model.operatorCodes
        codes[0].builtinCode = schema.BuiltinOperator.CUSTOM
        codes[0].customCode = b"Mine"
        codes[1].builtinCode = 9999

    names = set(read_graph(edited(DATA, change), "s4").operators)
    assert {"CUSTOM:Mine", "BUILTIN_9999"} <= names


def set_source(**values: object) -> Callable[[Any], object]:
    """Return a change that sets attributes of the input tensor."""

    def change(model: Any) -> None:
        for name, value in values.items():
            setattr(source(model), name, value)

    return change


def set_graph(**values: object) -> Callable[[Any], object]:
    """Return a change that sets attributes of the subgraph."""

    def change(model: Any) -> None:
        for name, value in values.items():
            setattr(model.subgraphs[0], name, value)

    return change


def set_scales(*scales: float) -> Callable[[Any], object]:
    """Return a change that sets the scales of the input tensor."""

    def change(model: Any) -> None:
        quantisation = source(model).quantization
        quantisation.scale, quantisation.zeroPoint = list(scales), [0] * len(scales)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: setattr(model, "subgraphs", []), "holds no subgraph"),
        (set_graph(inputs=[0, 1]), "has 2 input tensors; exactly 1 can be fed and compared"),
        (set_graph(inputs=[]), "has 0 input tensors"),
        (set_graph(outputs=[0, 1, 2]), "has 3 output tensors"),
        (set_graph(inputs=[99]), r"is damaged: input tensor 99 of \d+"),
        (set_graph(inputs=[-1]), "is damaged: input tensor -1"),
        (set_graph(operators=[]), "holds no operator"),
        (set_source(shapeSignature=[1, -1, -1, 1]), r"input tensor '.*' has the dynamic shape \[1, -1, -1, 1\]"),
        (set_source(shape=[1, 0, 28, 1], shapeSignature=None), r"has the dynamic shape \[1, 0, 28, 1\]"),
        (set_source(shape=[8, 28, 28, 1]), r"has the shape \[8, 28, 28, 1\]; expected \[1, \.\.\.\]"),
        (set_source(shape=[]), r"has the shape \[\]"),
        (set_source(shape=[1] * 7), r"with 1 to 6 dimensions"),
        (set_source(type=schema.TensorType.STRING), "has the element type string; expected one of int8, uint8, int16"),
        (set_source(type=77), "has the element type type 77"),
        (set_source(quantization=None), "is int8 with 0 scales; expected 1"),
        (set_scales(0.1, 0.2), r"is int8 with 2 scales; expected 1 \(quantisation per tensor\)"),
        (set_scales(0.0), "has the scale 0.0; expected a positive number"),
        (set_scales(float("nan")), "has the scale nan"),
        (lambda model: setattr(model, "operatorCodes", model.operatorCodes[:1]), r"operator \d has code \d of 1"),
    ],
)
def test_refused(change: Callable[[Any], object], message: str) -> None:
    """A well-formed file that cannot be run on a board is refused with the reason."""
    with pytest.raises(ModelError, match=rf"own\.tflite: .*{message}"):
        read_graph(edited(DATA, change), "own.tflite")


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", r"b'' in 0 bytes"),
        (b"\x1c\0\0\0TFL2....", "b'TFL2'"),
        (b"\x89HDF\r\n\x1a\n" * 9, ""),
        (DATA[:7], "7 bytes"),
    ],
)
def test_not_a_tflite(data: bytes, got: str) -> None:
    """A file without the identifier is called what it is: not a .tflite."""
    with pytest.raises(
        ModelError, match=rf"own: not a \.tflite file: expected the identifier b'TFL3' at offset 4.*{got}"
    ):
        read_graph(data, "own")


@pytest.mark.parametrize("keep", [8, 9, 30, 200, 1000, len(DATA) // 2, len(DATA) - 2000])
def test_truncated(keep: int) -> None:
    """A truncated file is refused wherever it ends within what is needed."""
    with pytest.raises(ModelError, match=r"damaged|truncated"):
        read_graph(DATA[:keep], "own")


@given(st.binary(max_size=400))
@settings(max_examples=300, derandomize=True)
def test_garbage(tail: bytes) -> None:
    """Random bytes behind the identifier are never anything but a ModelError."""
    with pytest.raises(ModelError):
        read_graph(b"\x1c\0\0\0TFL3" + tail, "own")


@given(st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.integers(0, 255)), min_size=1, max_size=12))
@settings(max_examples=300, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_overwritten_bytes(changes: list[tuple[int, int]]) -> None:
    """Overwritten bytes give a model or a ModelError, never another exception and never an endless loop."""
    data = bytearray(DATA)
    for position, value in changes:
        data[position] = value
    try:
        graph = read_graph(bytes(data), "own")
    except ModelError:
        return
    assert graph.input.shape[0] == 1
