"""Models cut short: every point gives the tensor that the whole model has there, on TensorFlow Lite Micro itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.engines.flatgraph import load
from pytest_tinyml.engines.truncate import changed, cut, cut_points
from pytest_tinyml.errors import ModelError
from pytest_tinyml.stores.models import list_models, load_model
from pytest_tinyml.stores.tflite import read_graph
from tests.unit.branched_models import branched
from tests.unit.enginelib import tflm
from tests.unit.shaped_models import shaped_model
from tests.unit.tflite_models import Builder, convnet, dense, keras_mlp, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.records import Model


def _int16() -> Model:
    data = shaped_model("int16", "ten")
    graph = read_graph(data, "int16")
    return replace(record(keras_mlp()), data=data, input=graph.input, output=graph.output)


MODELS: dict[str, Callable[[], Model]] = {
    "convnet": lambda: record(convnet()),
    "keras": lambda: record(keras_mlp()),
    "branched": lambda: record(branched()),
    "int16": _int16,
    "float": lambda: load_model("s4-float"),
    "softmax": lambda: load_model("s0-ptq"),
}


def _tensors(model: Model, count: int = 3) -> Any:
    rng = np.random.default_rng(5)
    shape = (count, *model.input.shape)
    if model.input.dtype == "float32":
        return rng.random(shape, dtype=np.float32)
    info = np.iinfo(model.input.dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(model.input.dtype)


def _inside(model: Model, tensor: int, inputs: Any) -> list[Any]:
    """Return an intermediate tensor of the whole model, which the interpreter was told to preserve."""
    runtime = pytest.importorskip("tflite_micro", reason="published for Linux x86-64 only").runtime
    interpreter = runtime.Interpreter.from_bytes(
        model.data, arena_size=1 << 20, intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors
    )
    seen = []
    for each in inputs:
        interpreter.set_input(each, 0)
        interpreter.invoke()
        seen.append(np.array(interpreter.GetTensor(tensor, 0)["tensor_data"]).reshape(-1))
    return seen


@pytest.mark.parametrize("name", MODELS)
def test_cut_gives_the_tensor(name: str, tmp_path: Path) -> None:
    """What a cut model gives is what the whole model has at that place."""
    model = MODELS[name]()
    inputs = _tensors(model)
    points = cut_points(model)
    for point in points[:-1]:
        short = cut(model, point, tmp_path)
        scores = tflm(short, inputs)
        assert short.path.read_bytes() == short.data
        assert (short.input, short.preprocess) == (model.input, model.preprocess)
        for row, expected in zip(scores, _inside(model, point.tensor, inputs), strict=True):
            np.testing.assert_array_equal(row, expected)
    assert cut(model, points[-1], tmp_path) is model


def test_points_of_branches() -> None:
    """A point knows what it depends on: not the other branch, and not what comes later."""
    points = cut_points(record(branched()))
    assert [(point.operator, point.kind) for point in points] == [
        (0, "FULLY_CONNECTED"),
        (1, "FULLY_CONNECTED"),
        (2, "FULLY_CONNECTED"),
        (3, "FULLY_CONNECTED"),
        (4, "ADD"),
        (5, "SPLIT"),
        (5, "SPLIT"),
        (6, "ADD"),
    ]
    assert [point.needs for point in points[:5]] == [(0,), (0, 1), (0, 2), (0, 2, 3), (0, 1, 2, 3, 4)]
    by_operator = {point.operator: point for point in points}
    assert set(by_operator[4].sources) == {by_operator[1].tensor, by_operator[3].tensor}
    assert len(by_operator[6].sources) == 2


def test_computed_shapes_are_no_points() -> None:
    """What computes a RESHAPE's shape is not looked at, and does not hide what the RESHAPE reads."""
    points = cut_points(record(keras_mlp()))
    assert [point.kind for point in points] == ["RESHAPE", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"]
    assert [len(point.sources) for point in points] == [0, 1, 1, 1]
    assert points[0].needs == (0, 1, 2, 3)


def test_nothing_unused_is_left(tmp_path: Path) -> None:
    """Constants, operators and operator codes behind the cut are not in the file."""
    model = record(convnet())
    short = cut(model, cut_points(model)[0], tmp_path)
    graph = load(short.data, "short")
    assert short.operators == ("CONV_2D",)
    assert (len(graph.sub.tensors), len(graph.model.buffers), len(graph.model.operatorCodes)) == (4, 3, 1)
    assert graph.model.signatureDefs is None
    assert len(short.data) < len(model.data) / 3


def test_cut_is_reproducible(tmp_path: Path) -> None:
    """The same cut is the same file, so that what was built for it is found again."""
    model = record(convnet())
    points = cut_points(model)
    assert cut(model, points[3], tmp_path).sha256 == cut(model, points[3], tmp_path / "again").sha256


def test_batch_of_several_is_refused(tmp_path: Path) -> None:
    """A tensor that no board could give is refused with its shape."""
    net = Builder()
    source = net.tensor([1, 4, 6], scale=1 / 255, zero=-128)
    shape = net.tensor([2], kind=2, data=np.asarray([4, 6], np.int32))
    rows = net.tensor([4, 6], scale=1 / 255, zero=-128)
    options = net.fb.ReshapeOptionsT()
    options.newShape = np.asarray([4, 6], np.int32)
    net.operator("RESHAPE", [source, shape], [rows], options)
    back = net.tensor([1, 24], scale=1 / 255, zero=-128)
    flat = net.tensor([2], kind=2, data=np.asarray([1, 24], np.int32))
    options = net.fb.ReshapeOptionsT()
    options.newShape = np.asarray([1, 24], np.int32)
    net.operator("RESHAPE", [rows, flat], [back], options)
    model = record(net.finish(source, dense(net, back, 3, 1)))
    with pytest.raises(ModelError, match=r"has the shape \[4, 6\]"):
        cut(model, cut_points(model)[0], tmp_path)


def test_changed_constants(tmp_path: Path) -> None:
    """A constant is replaced by another of its size, and by nothing else."""
    model = record(keras_mlp(softmax=False))
    graph = load(model.data, "keras")
    weights = int(graph.sub.operators[-1].inputs[1])
    zeros = np.zeros((5, 16), np.int8)
    inputs = _tensors(model)
    scores = tflm(changed(model, {weights: zeros}, "zeros", tmp_path), inputs)
    assert len(np.unique(scores, axis=0)) == 1
    with pytest.raises(ValueError, match="79 bytes for tensor"):
        changed(model, {weights: np.zeros(79, np.int8)}, "short", tmp_path)


def test_espdl_is_refused() -> None:
    """An .espdl file has no points, and is not taken for a damaged .tflite."""
    with pytest.raises(ModelError, match=r"is an \.espdl file"):
        cut_points(load_model(next(row.name for row in list_models() if load_model(row.name).format == "espdl")))
