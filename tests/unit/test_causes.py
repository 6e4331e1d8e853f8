"""Names for errors by the pattern of one tensor, and constants found from the outputs that they spoil."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.campaign.causes import Difference, is_rounding, is_saturation, other_order
from pytest_tinyml.campaign.constants import constants_of, fitter
from pytest_tinyml.engines.truncate import changed, cut, cut_points
from pytest_tinyml.records import TensorSpec
from tests.unit.enginelib import tflm
from tests.unit.tflite_models import Builder, convnet, dense, record

if TYPE_CHECKING:
    from pathlib import Path

INT8 = TensorSpec(dtype="int8", shape=(1, 4), scale=0.5, zero_point=-2)
FLOAT = TensorSpec(dtype="float32", shape=(1, 4))


def _difference(board: Any, host: Any, tensor: TensorSpec = INT8) -> Difference:
    return Difference(board=np.array(board, tensor.dtype), reference=np.array(host, tensor.dtype), tensor=tensor)


def test_sizes() -> None:
    """A difference is measured in steps and in real units, and says where it is largest."""
    found = _difference([[1, 2, 3, 4], [1, 2, 3, 4]], [[1, 2, 3, 5], [1, -3, 3, 4]])
    assert (found.max_lsb, found.max_abs, found.worst) == (5, 2.5, (1, (0, 1)))
    assert int(found.elements.sum()) == 2


def test_sizes_of_floats() -> None:
    """Equal NaNs are equal; a NaN on one side is the largest difference there is."""
    nan = float("nan")
    found = _difference([[nan, 1.0, 2.0, 3.0]], [[nan, 1.0, 2.5, 3.0]], FLOAT)
    assert (found.max_lsb, found.max_abs, found.worst) == (None, 0.5, (0, (0, 2)))
    assert _difference([[0.0, nan, 0.0, 0.0]], [[9.0, 1.0, 0.0, 0.0]], FLOAT).worst == (0, (0, 1))


def test_sizes_of_infinities() -> None:
    """Two equal infinities are no difference and warn of nothing; one beside a number is as large as can be."""
    inf = float("inf")
    found = _difference([[inf, -inf, 2.0, 3.0]], [[inf, -inf, 2.5, 3.0]], FLOAT)
    assert (found.max_abs, found.worst) == (0.5, (0, (0, 2)))
    assert _difference([[0.0, inf, 5.0, 0.0]], [[0.0, 1.0, 0.0, 0.0]], FLOAT).worst == (0, (0, 1))


@pytest.mark.parametrize(
    ("board", "host", "flips", "tensor", "expected"),
    [
        ([[1, 2, 3, 4]], [[1, 2, 3, 5]], 0, INT8, True),
        ([[1, 2, 3, 4]], [[1, 2, 3, 5]], 1, INT8, False),
        ([[1, 2, 3, 4]], [[1, 2, 3, 6]], 0, INT8, False),
        ([[1.0, 8.0, 0, 0]], [[1.0, 8.00004, 0, 0]], 0, FLOAT, True),
        ([[1.0, 8.0, 0, 0]], [[1.0, 8.0004, 0, 0]], 0, FLOAT, False),
        ([[float("nan"), 8.0, 0, 0]], [[1.0, 8.0, 0, 0]], 0, FLOAT, False),
    ],
)
def test_rounding(board: Any, host: Any, flips: int, tensor: TensorSpec, expected: bool) -> None:
    """One step, and no label; of floats what another order of additions gives."""
    assert is_rounding(_difference(board, host, tensor), flips) is expected


@pytest.mark.parametrize(
    ("board", "host", "expected"),
    [
        ([[-120, 5, 6, 100]], [[127, 5, 6, 127]], True),  # wraps around
        ([[-126, 5, 6, 7]], [[127, 5, 6, -128]], True),  # both limits
        ([[100, 5, 6, 100]], [[110, 5, 6, 127]], True),  # limits too early
        ([[100, 5, 6, 101]], [[110, 5, 6, 127]], False),  # goes beyond its own limit
        ([[-128, 5, 6, 7]], [[3, 5, 6, 7]], False),  # a channel that is dead is not limited too early
        ([[-120, 5, 6, 9]], [[127, 5, 6, 7]], False),  # something else is wrong, too
        ([[1, 2, 3, 4]], [[1, 2, 3, 4]], False),
    ],
)
def test_saturation(board: Any, host: Any, expected: bool) -> None:
    """All differences, and nothing but differences, are where one side limits values and the other does not."""
    assert is_saturation(_difference(board, host), -128, 127) is expected


def test_order() -> None:
    """Elements that changed places are named; a chance that looks like it in one sample is not taken for it."""
    host = [[1, 2, 3, 4], [9, 8, 7, 6]]
    assert other_order(_difference([[1, 3, 2, 4], [9, 7, 8, 6]], host)) == {1: 2, 2: 1}
    assert other_order(_difference([[1, 3, 2, 4], [9, 8, 6, 7]], host)) is None
    assert other_order(_difference([[1, 3, 2, 5], [9, 7, 8, 6]], host)) is None
    assert other_order(_difference(host, host)) is None


# Place of an operator with weights in convnet, index of a constant in its tensor, and the bit that is flipped in it.
SPOILT = [
    ("weights", 0, (2, 1, 0, 1), 0x40),  # CONV_2D, padded
    ("weights", 2, (0, 2, 1, 3), 0x20),  # DEPTHWISE_CONV_2D
    ("weights", 3, (5, 0, 0, 2), 0x40),  # CONV_2D, 1 x 1
    ("weights", 4, (4, 1, 2, 5), 0x40),  # CONV_2D, not padded
    ("weights", 7, (3, 4), 0x40),  # FULLY_CONNECTED
    ("bias", 4, (1,), 0x2000),
    ("bias", 8, (11,), 0x1000),
]


@pytest.mark.parametrize(("what", "place", "index", "bit"), SPOILT)
def test_one_constant(what: str, place: int, index: tuple[int, ...], bit: int, tmp_path: Path) -> None:
    """From outputs alone, the constant that was changed is found: one that gives exactly them."""
    model = record(convnet())
    point = cut_points(model)[place]
    short = cut(model, point, tmp_path)
    inputs = np.random.default_rng(8).integers(-128, 128, (6, *model.input.shape)).astype(np.int8)
    read = inputs
    if point.sources:
        before = next(each for each in cut_points(model) if each.tensor == point.sources[0])
        read = tflm(cut(model, before, tmp_path), inputs)
    constants = constants_of(short)
    values = constants.weights if what == "weights" else constants.bias
    tensor = constants.weights_tensor if what == "weights" else constants.bias_tensor
    assert values is not None
    planted = values.copy()
    planted[index] ^= np.array(bit).astype(values.dtype)
    board = tflm(changed(short, {tensor: planted}, "planted", tmp_path), inputs)
    host = tflm(short, inputs)
    channels = short.output.shape[-1]
    wrong = np.flatnonzero((board != host).reshape(-1, channels).any(axis=0))
    assert list(wrong) == [index[constants.channel_axis] if what == "weights" else index[0]]
    fits = fitter(short, read.reshape(len(read), -1))
    assert fits is not None
    columns = [scores.reshape(-1, channels)[:, wrong[0]].astype(np.int64) for scores in (board, host)]
    every = {constants.weights_tensor: constants.weights, constants.bias_tensor: constants.bias}
    found = []
    for guess in fits.guesses(int(wrong[0]), *columns):
        old = every[guess.tensor]
        assert old is not None
        other = old.copy()
        other[guess.index] = guess.value
        if np.array_equal(tflm(changed(short, {guess.tensor: other}, "guess", tmp_path), inputs), board):
            found.append(guess)
    assert (found[0].tensor, found[0].index) == (tensor, index)
    assert found[0].file_value == values[index]
    if what == "weights":
        assert found[0].value == planted[index]


def test_no_constants_no_guess(tmp_path: Path) -> None:
    """An operator without weights has none that could be wrong."""
    model = record(convnet())
    short = cut(model, cut_points(model)[1], tmp_path)
    assert fitter(short, np.zeros((1, 405), np.int8)) is None
    assert constants_of(short).others() == {}


def test_limits_of_activations() -> None:
    """The range of an operator's values is that of its type and its activation."""
    net = Builder()
    dense(net, net.tensor([1, 8], scale=1 / 255, zero=-128), 3, 1, output_scale=0.11)
    ranges = []
    for kind in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"):
        net.operators[-1].builtinOptions.fusedActivationFunction = getattr(net.fb.ActivationFunctionType, kind)
        found = constants_of(record(net.finish(0, 3)))
        ranges.append((found.low, found.high))
    # Zero is -4; 6 is 54.5 steps of 0.11 above it, and 1 is 9.1.
    assert ranges == [(-128, 127), (-4, 127), (-4, 51), (-13, 5)]
