"""The normalisations of a .tflite graph: each does its one thing, and none changes a result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as fb

from pytest_tinyml.engines import graph as normalisations
from pytest_tinyml.engines.flatgraph import Graph, dump, load
from pytest_tinyml.errors import ModelError, UnsupportedOperatorError
from tests.unit.tflite_models import FLOAT, Builder, dense, keras_mlp, softmax_model, softmax_options

RESULT_PRESERVING = (
    normalisations.fold_shape_operators,
    normalisations.fix_batch,
    normalisations.complete_reshape_options,
    normalisations.align_bias_scales,
)


def _kinds(graph: Graph) -> list[str]:
    return [graph.kind(op) for op in graph.sub.operators]


def _run(data: bytes, count: int = 200) -> list[bytes]:
    runtime: Any = pytest.importorskip("tflite_micro", reason="published for Linux x86-64 only").runtime
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 16)
    rng = np.random.default_rng(1)
    outputs = []
    for _ in range(count):
        interpreter.set_input(rng.integers(-128, 128, (1, 4, 6)).astype(np.int8), 0)
        interpreter.invoke()
        outputs.append(np.asarray(interpreter.get_output(0)).tobytes())
    return outputs


@pytest.mark.parametrize("function", RESULT_PRESERVING)
@pytest.mark.parametrize("per_channel", [False, True])
def test_preserves_results(function: Any, *, per_channel: bool) -> None:
    """TensorFlow Lite Micro gives the same bytes before and after, and the file did change."""
    data = keras_mlp(per_channel=per_channel)
    graph = load(data, "tiny")
    untouched = dump(graph)
    function(graph)
    rewritten = dump(graph)
    assert rewritten != untouched
    assert _run(data) == _run(rewritten)


def test_folds_the_shape_operators_of_a_flatten() -> None:
    """SHAPE, STRIDED_SLICE and PACK become a constant; the operators that remain know their old indices."""
    graph = load(keras_mlp(), "tiny")
    normalisations.fold_shape_operators(graph)
    assert ["RESHAPE", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"] == _kinds(graph)
    assert [3, 4, 5, 6] == graph.origin
    shape = graph.constant(int(graph.sub.operators[0].inputs[1]))
    assert shape is not None
    assert [1, 24] == shape.tolist()


def test_leaves_a_shape_that_it_cannot_compute() -> None:
    """A RESHAPE whose shape comes from something else is not touched."""
    net = Builder()
    source = net.tensor([1, 6], scale=0.1)
    shape = net.tensor([2], kind=2)
    cast = net.tensor([2], kind=2)
    result = net.tensor([1, 6], scale=0.1)
    net.operator("SHAPE", [source], [shape], fb.ShapeOptionsT())
    net.operator("ABS", [shape], [cast])
    net.operator("RESHAPE", [source, cast], [result])
    graph = load(net.finish(source, result), "odd")
    normalisations.fold_shape_operators(graph)
    assert ["SHAPE", "ABS", "RESHAPE"] == _kinds(graph)


def test_cuts_the_softmax_and_returns_its_parameters() -> None:
    """The multiplier, shift and radius are those of 0.11 * 2^26: computed by hand."""
    graph = load(keras_mlp(), "tiny")
    normalisations.cut_trailing_softmax(graph)
    assert graph.softmax is not None
    assert (1, 5) == (graph.softmax.rows, graph.softmax.depth)
    # float32(0.11) * 2^26 = 7381975.04 = 0.88000000 * 2^23; 31 * 2^26 / 2^23 = 248
    assert (23, -248) == (graph.softmax.left_shift, graph.softmax.diff_min)
    assert round(float(np.float32(0.11)) * 8 * 2**31) == graph.softmax.multiplier
    assert "SOFTMAX" not in _kinds(graph)


def test_keeps_a_model_without_softmax() -> None:
    """Logits stay the output."""
    normalized = normalisations.normalize(keras_mlp(softmax=False), "logits")
    assert normalized.softmax is None
    assert (3, 4, 5) == normalized.origin


def test_fixes_only_the_batch() -> None:
    """A signature with another open dimension stays, for the generator to refuse."""
    net = Builder()
    source = net.tensor([1, 1, 6], scale=0.1, signature=[-1, -1, 6])
    result = dense(net, net.tensor([1, 6], scale=0.1, signature=[-1, 6]), 3, 1)
    graph = load(net.finish(source, result), "open")
    normalisations.fix_batch(graph)
    assert [-1, -1, 6] == graph.sub.tensors[source].shapeSignature.tolist()
    assert all(t.shapeSignature is None for i, t in enumerate(graph.sub.tensors) if i != source)


@pytest.mark.parametrize(("error", "exact"), [(0.0, True), (3e-7, True), (-8e-7, True), (1e-5, False), (-0.5, False)])
def test_aligns_bias_scales_within_tolerance(error: float, *, exact: bool) -> None:
    """Scales off by rounding become exact products; scales that are wrong stay wrong."""
    graph = load(keras_mlp(bias_error=error), "tiny")
    normalisations.align_bias_scales(graph)
    operator = graph.sub.operators[4]
    source, weights, bias = (graph.sub.tensors[int(i)].quantization.scale for i in operator.inputs)
    product = (np.float64(source[0]) * np.asarray(weights, np.float64)).astype(np.float32)
    assert exact == bool(np.array_equal(product, np.asarray(bias, np.float32)))


def test_is_deterministic() -> None:
    """The same file gives the same bytes."""
    data = keras_mlp()
    assert normalisations.normalize(data, "a").data == normalisations.normalize(data, "b").data


@pytest.mark.parametrize(
    ("kind", "zero", "problem"),
    [(FLOAT, 0, "must be int8"), (9, 0, "zero point -128, not 0.00390625 and 0")],
)
def test_refuses_an_odd_softmax(kind: int, zero: int, problem: str) -> None:
    """A softmax that the kernel does not compute is refused with its index and the reason."""
    net = Builder()
    source = net.tensor([1, 6], scale=0.1)
    logits = dense(net, source, 3, 1)
    result = net.tensor([1, 3], kind=kind, scale=1 / 256, zero=zero)
    net.operator("SOFTMAX", [logits], [result], softmax_options(), version=2)
    with pytest.raises(UnsupportedOperatorError, match=rf"operator 1 SOFTMAX .*{problem}"):
        normalisations.normalize(net.finish(source, result), "odd")


def test_refuses_a_softmax_alone() -> None:
    """There is nothing to generate for a model that is one softmax."""
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 SOFTMAX .*no other operator"):
        normalisations.normalize(softmax_model(1, 5, 0.1), "alone")


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"", "not a .tflite"), (b"PK\3\4" + bytes(60), "not a .tflite"), (b"\xff\xff\0\0TFL3" + bytes(40), "damaged")],
)
def test_refuses_other_files(data: bytes, problem: str) -> None:
    """What is not a .tflite, or a damaged one, is one clear message."""
    with pytest.raises(ModelError, match=problem):
        load(data, "broken")


def test_refuses_two_inputs() -> None:
    """Counts are named."""
    net = Builder()
    source = net.tensor([1, 6], scale=0.1)
    result = dense(net, source, 3, 1)
    graph = load(net.finish(source, result), "two")
    graph.sub.inputs = np.asarray([0, 1], np.int32)
    with pytest.raises(ModelError, match="1 subgraphs, 2 inputs, 1 outputs"):
        load(dump(graph), "two")
