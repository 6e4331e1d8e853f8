"""The metrics, against plain sums over Python floats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tinyml.records import TensorSpec
from pytest_tinyml.verdict.metrics import Distance, DistanceTally, confusion, dequantize

if TYPE_CHECKING:
    import numpy.typing as npt


def distance(*pairs: npt.NDArray[np.float64]) -> Distance:
    """Return the distance of arrays that come in parts: board, reference, board, reference, ..."""
    tally = DistanceTally()
    for board, reference in zip(pairs[::2], pairs[1::2], strict=True):
        tally.add(board, reference)
    return tally.distance()


def column(values: list[float]) -> npt.NDArray[np.float64]:
    """Return values as scores of one class."""
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def test_by_hand() -> None:
    """Reference (1, 2, 3, 4), board (1, 2, 3, 6): errors (0, 0, 0, 2)."""
    result = distance(column([1, 2, 3, 6]), column([1, 2, 3, 4]))
    assert (result.rmse, result.mae) == (1.0, 0.5)
    assert result.l2r == pytest.approx(2 / math.sqrt(30))
    assert result.nse == pytest.approx(1 - 4 / 5)
    assert result.cos == pytest.approx(38 / math.sqrt(50 * 30))


def test_equal_outputs() -> None:
    """No error: 0, 0, 0, 1, 1."""
    result = distance(column([1, 2, 4]), column([1, 2, 4]))
    assert (result.rmse, result.mae, result.l2r, result.nse) == (0.0, 0.0, 0.0, 1.0)
    assert result.cos == pytest.approx(1.0)


def test_undefined_where_the_formula_divides_by_zero() -> None:
    """A constant reference has no nse, a zero one no l2r and no cos, and a zero board no cos."""
    constant = distance(column([1, 2]), column([3, 3]))
    assert constant.nse is None
    assert constant.l2r is not None
    zero = distance(column([1, 2]), column([0, 0]))
    assert (zero.l2r, zero.nse, zero.cos) == (None, None, None)
    assert distance(column([0, 0]), column([1, 2])).cos is None


@given(st.lists(st.tuples(*2 * [st.integers(-1000, 1000)]), min_size=1, max_size=30))
def test_against_plain_sums(pairs: list[tuple[int, int]]) -> None:
    """The formulas of the module's docstring, written out."""
    board, reference = [float(b) for b, _ in pairs], [float(r) for _, r in pairs]
    count = len(pairs)
    errors = [b - r for b, r in zip(board, reference, strict=True)]
    square = sum(e * e for e in errors)
    mean = sum(reference) / count
    spread = sum((r - mean) ** 2 for r in reference)
    norm_b, norm_r = math.sqrt(sum(b * b for b in board)), math.sqrt(sum(r * r for r in reference))
    dot = sum(b * r for b, r in zip(board, reference, strict=True))
    result = distance(column(board), column(reference))
    assert result.rmse == pytest.approx(math.sqrt(square / count))
    assert result.mae == pytest.approx(sum(abs(e) for e in errors) / count)
    assert result.l2r == (pytest.approx(math.sqrt(square) / norm_r) if norm_r else None)
    assert result.cos == (pytest.approx(dot / (norm_b * norm_r), abs=1e-12) if norm_b and norm_r else None)
    if len(set(reference)) > 1:
        assert result.nse == pytest.approx(1 - square / spread, abs=1e-9)


def test_dequantize() -> None:
    """Scale times distance from the zero point; float outputs are what they are."""
    tensor = TensorSpec(dtype="int8", shape=(1, 3), scale=0.25, zero_point=-128)
    assert dequantize(np.array([[-128, 0, 127]], np.int8), tensor).tolist() == [[0.0, 32.0, 63.75]]
    floats = TensorSpec(dtype="float32", shape=(1, 2))
    assert dequantize(np.array([[0.5, -2.0]], np.float32), floats).tolist() == [[0.5, -2.0]]


def test_confusion() -> None:
    """Row is label, column is prediction; pairs that occur twice count twice."""
    labels, predicted = np.array([0, 1, 1, 2, 2]), np.array([0, 2, 2, 2, 0])
    assert confusion(labels, predicted, 3).tolist() == [[1, 0, 0], [0, 0, 2], [1, 0, 1]]
