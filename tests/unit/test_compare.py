"""Comparison of outputs, against cases counted by hand."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tinyml.records import TensorSpec
from pytest_tinyml.verdict.compare import (
    Comparison,
    Flip,
    Tally,
    Tolerance,
    compare,
    describe_difference,
    differing_samples,
    predictions,
)
from pytest_tinyml.verdict.metrics import Fit, FitTally

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Task

INT8 = TensorSpec(dtype="int8", shape=(1, 3), scale=0.5, zero_point=-1)
FLOAT = TensorSpec(dtype="float32", shape=(1, 3))
REFERENCE = np.array([[1, 5, 2], [9, 0, 0], [-128, 127, 0], [4, 4, 1]], dtype=np.int8)
BOARD = np.array([[1, 5, 2], [9, 1, 0], [127, -128, 0], [3, 4, 1]], dtype=np.int8)
LABELS = np.array([1, 0, 1, 2], dtype=np.int64)
IDS = np.array([10, 20, 30, 40], dtype=np.int64)


def test_counts_by_hand() -> None:
    """Four samples: equal, 1 LSB off, 255 LSB off with a flip, 1 LSB off with a flip from a tie."""
    result = compare(BOARD, REFERENCE, LABELS, IDS, INT8)
    assert (result.count, result.differing, result.differing_elements) == (4, 3, 4)
    assert (result.bit_exact_ratio, result.within_1_lsb_ratio) == (0.25, 0.75)
    assert (result.max_lsb, result.max_abs) == (255, 127.5)
    assert result.flips == (Flip(id=30, reference=1, board=0, label=1), Flip(id=40, reference=0, board=1, label=2))
    assert result.argmax_agreement == 0.5
    assert (result.correct_board, result.correct_reference) == (2, 3)
    assert (result.top1_board, result.top1_reference) == (0.5, 0.75)
    assert result.confusion_board is not None
    assert result.confusion_board.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert result.confusion_reference is not None
    assert result.confusion_reference.tolist() == [[1, 0, 0], [0, 2, 0], [1, 0, 0]]


def test_steps_apart() -> None:
    """One step in two elements is within one step, two in one element are not."""
    board = np.array([[2, 6, 2], [9, 2, 0], [-128, 127, 0], [4, 4, 0]], dtype=np.int8)
    assert 0.75 == compare(board, REFERENCE, None, IDS, INT8).within_1_lsb_ratio


def test_a_single_output_is_a_probability() -> None:
    """One sigmoid output predicts class 1 from 0.5 on."""
    tensor = TensorSpec(dtype="int8", shape=(1, 1), scale=1 / 256, zero_point=-128)
    scores = np.array([[-128], [-1], [0], [127]], dtype=np.int8)
    assert predictions(scores, tensor).tolist() == [0, 0, 1, 1]


def test_the_first_of_equal_scores_wins() -> None:
    """Ties go to the lowest class, on both sides."""
    assert predictions(np.array([[2, 7, 7], [3, 3, 3]], dtype=np.int8), INT8).tolist() == [1, 0]


def test_without_labels() -> None:
    """No labels, no accuracy and no confusion; flips have no label."""
    result = compare(BOARD, REFERENCE, None, IDS, INT8)
    assert (result.top1_board, result.correct_reference, result.confusion_board) == (None, None, None)
    assert [flip.label for flip in result.flips] == [None, None]


def test_floats_are_compared_by_their_bits() -> None:
    """Equal NaN patterns are equal, -0.0 is not 0.0, and there are no steps."""
    reference = np.array([[np.nan, 1, 2], [0.0, 1, 2]], dtype=np.float32)
    board = np.array([[np.nan, 1, 2], [-0.0, 1, 2]], dtype=np.float32)
    assert differing_samples(board, reference).tolist() == [False, True]
    finite = compare(board[1:], reference[1:], None, IDS[:1], FLOAT)
    assert (finite.differing, finite.max_lsb, finite.within_1_lsb_ratio, finite.max_abs) == (1, None, None, 0.0)


@pytest.mark.parametrize(("lsb", "allowed"), [(0, False), (254, False), (255, True)])
def test_tolerance_of_steps(lsb: int, allowed: bool) -> None:
    """A quantised output is judged in steps, whatever the float tolerance."""
    comparison = compare(BOARD, REFERENCE, None, IDS, INT8)
    assert allowed == Tolerance(lsb=lsb, absolute=1e9).allows(comparison)
    assert f"{lsb} LSB" == Tolerance(lsb=lsb).describe(comparison)


@pytest.mark.parametrize(("off", "absolute", "allowed"), [(0, 0, True), (1e-6, 0, False), (1e-6, 1e-5, True)])
def test_tolerance_of_floats(off: float, absolute: float, allowed: bool) -> None:
    """A float output is judged by its own difference, and without a tolerance by its bits."""
    reference = np.zeros((1, 3), dtype=np.float32)
    comparison = compare(reference + np.float32(off), reference, None, IDS[:1], FLOAT)
    assert allowed == Tolerance(lsb=99, absolute=absolute).allows(comparison)


def test_nan_is_never_tolerated() -> None:
    """A board that answers NaN where the host has a number is wrong within any tolerance."""
    reference = np.zeros((1, 3), dtype=np.float32)
    comparison = compare(np.full_like(reference, np.nan), reference, None, IDS[:1], FLOAT)
    assert not Tolerance(absolute=1e9).allows(comparison)


@pytest.mark.parametrize(
    ("board", "ids"),
    [
        (BOARD[:3], IDS),
        (BOARD.astype(np.int16), IDS),
        (BOARD, IDS[:3]),
    ],
)
def test_what_does_not_belong_together_is_refused(board: npt.NDArray[np.int8], ids: npt.NDArray[np.int64]) -> None:
    """Other shapes, types or counts are a bug of the caller."""
    with pytest.raises(ValueError, match="cannot compare"):
        compare(board, REFERENCE, None, ids, INT8)


def test_nothing_cannot_be_compared() -> None:
    """No samples, no verdict."""
    with pytest.raises(ValueError, match="for 0 samples"):
        compare(BOARD[:0], REFERENCE[:0], None, IDS[:0], INT8)


def test_the_message() -> None:
    """One line says how many, how far, and which flips."""
    text = describe_difference(compare(BOARD, REFERENCE, LABELS, IDS, INT8), "tflm")
    assert text == (
        "3 of 4 samples differ from tflm (max 255 LSB, 2 label flips: #30 host 1, board 0, #40 host 0, board 1)"
    )
    one = describe_difference(compare(BOARD[1:2], REFERENCE[1:2], None, IDS[1:2], INT8), "tflm")
    assert one == "1 of 1 samples differ from tflm (max 1 LSB, 0 label flips)"
    same = describe_difference(compare(REFERENCE, REFERENCE, None, IDS, INT8), "tflm")
    assert same == "4 of 4 samples are bit-exact with tflm"


def test_many_flips_are_cut_short() -> None:
    """Three flips are shown, the others counted."""
    ids = np.arange(5, dtype=np.int64)
    board, reference = np.zeros((5, 3), np.int8), np.zeros((5, 3), np.int8)
    board[:, 2] = 1
    text = describe_difference(compare(board, reference, None, ids, INT8), "litert")
    assert text.endswith("5 label flips: #0 host 0, board 2, #1 host 0, board 2, #2 host 0, board 2, and 2 more)")


def test_int16_steps_do_not_overflow() -> None:
    """The ends of int16 are 65,535 steps apart, and real units follow the scale."""
    tensor = TensorSpec(dtype="int16", shape=(1, 2), scale=2.0**-15)
    board, reference = np.array([[-32768, 0]], dtype=np.int16), np.array([[32767, 1]], dtype=np.int16)
    result = compare(board, reference, None, IDS[:1], tensor)
    assert (65535, 65535 / 32768, 2) == (result.max_lsb, result.max_abs, result.differing_elements)


@pytest.mark.parametrize(
    ("tensor", "scores"),
    [
        (TensorSpec(dtype="int16", shape=(1, 1), scale=2.0**-15), np.array([[0], [16383], [16384], [32767]], np.int16)),
        (TensorSpec(dtype="uint8", shape=(1, 1), scale=1 / 256), np.array([[0], [127], [128], [255]], np.uint8)),
        (TensorSpec(dtype="float32", shape=(1, 1)), np.array([[0.0], [0.4999], [0.5], [1.0]], np.float32)),
    ],
)
def test_a_single_output_of_each_type(tensor: TensorSpec, scores: npt.NDArray[np.int16]) -> None:
    """One sigmoid output of any type has two classes and a 2 x 2 confusion matrix."""
    result = compare(scores, scores, np.array([0, 1, 1, 1]), IDS, tensor)
    assert (0.75, [[1, 0], [1, 2]]) == (result.top1_board, np.asarray(result.confusion_board).tolist())


def test_a_regression_by_hand() -> None:
    """Errors 1, -1 and 4 against targets of spread 2, on the board; the host is right."""
    tensor = TensorSpec(dtype="int16", shape=(1, 1), scale=0.5, zero_point=2)
    board, reference = np.array([[6], [4], [16]], np.int16), np.array([[4], [6], [8]], np.int16)
    result = compare(board, reference, np.array([[1.0], [2.0], [3.0]]), IDS[:3], tensor, "regression")
    assert Fit(rmse=6.0**0.5, mae=2.0, max_error=4.0, r2=-8.0) == result.fit_board
    assert Fit(rmse=0.0, mae=0.0, max_error=0.0, r2=1.0) == result.fit_reference
    assert (None, None, (), None) == (
        result.argmax_agreement,
        result.top1_board,
        result.flips,
        result.confusion_board,
    )
    assert "3 of 3 samples differ from tflm (max 8 LSB)" == describe_difference(result, "tflm")
    assert not Tolerance(lsb=7).allows(result)
    assert Tolerance(lsb=8).allows(result)


def test_each_output_has_its_own_mean() -> None:
    """R2 of two outputs: a constant target does not add to the spread, however large it is."""
    outputs, targets = np.array([[1.0, 100.0], [2.0, 100.0]]), np.array([[1.0, 100.0], [3.0, 100.0]])
    tally = FitTally()
    for part in (slice(0, 1), slice(1, None)):
        tally.add(outputs[part], targets[part])
    assert tally.fit().r2 == pytest.approx(0.5)
    constant = FitTally()
    constant.add(targets[:1], targets[:1])
    assert constant.fit().r2 is None


def test_infinite_outputs() -> None:
    """Two equal infinities are no difference, and an infinity beside a number is an infinite one; nothing warns."""
    reference = np.array([[np.inf, 0, 1], [-np.inf, 2, 3]], dtype=np.float32)
    board = reference.copy()
    same = compare(board, reference, None, IDS[:2], FLOAT)
    assert (same.differing, same.max_abs) == (0, 0.0)
    board[1, 0] = 0
    other = compare(board, reference, None, IDS[:2], FLOAT)
    assert (other.differing, other.max_abs) == (1, np.inf)


@pytest.mark.parametrize("kind", ["labelled", "unlabelled", "float", "regression"])
@given(seed=st.integers(0, 2**32 - 1), cuts=st.sets(st.integers(1, 39), max_size=5))
@settings(max_examples=40)
def test_in_parts(kind: str, seed: int, cuts: set[int]) -> None:
    """What comes in parts gives what comes at once."""
    random = np.random.default_rng(seed)
    tensor = FLOAT if kind in {"float", "regression"} else INT8
    reference = random.integers(-128, 128, (40, 3)).astype(tensor.dtype)
    board = np.where(random.random((40, 3)) < 0.3, random.integers(-128, 128, (40, 3)), reference).astype(tensor.dtype)
    truth: npt.NDArray[Any] | None = random.integers(0, 3, 40)
    if kind == "regression":
        truth = random.normal(size=(40, 3))
    elif kind == "unlabelled":
        truth = None
    task: Task = "regression" if kind == "regression" else "classification"
    ids = np.arange(100, 140)
    tally = Tally(tensor, task)
    for start, stop in pairwise([0, *sorted(cuts), 40]):
        part = slice(start, stop)
        tally.add(board[part], reference[part], None if truth is None else truth[part], ids[part])
    assert _rounded(compare(board, reference, truth, ids, tensor, task)) == _rounded(tally.comparison())


def _rounded(comparison: Comparison) -> Any:
    """Return a comparison in which sums may be in another order."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, np.ndarray):
            return value.tolist()
        return float(f"{value:.9g}") if isinstance(value, float) else value

    return plain(asdict(comparison))
