"""From pixels to tensors: rounding, exactness, and the integer form of the L2 norm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tinyml.errors import UsageError
from pytest_tinyml.preprocess import (
    THRESHOLD_BITS,
    input_tensors,
    l2_thresholds,
    lookup_table,
    quantize,
    real_values,
)
from pytest_tinyml.records import PreprocessSpec, TensorSpec
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.models import load_model

if TYPE_CHECKING:
    import numpy.typing as npt

L2 = PreprocessSpec(kind="l2axis1")
SCALE = PreprocessSpec(kind="scale")
INT8_255 = TensorSpec(dtype="int8", shape=(1, 28, 28), scale=float(np.float32(1 / 255)), zero_point=-128)


def tensor(dtype: Any, scale: float, zero_point: int) -> TensorSpec:
    """Return an input of one value."""
    return TensorSpec(dtype=dtype, shape=(1, 1), scale=scale, zero_point=zero_point)


def test_halves_are_rounded_away_from_zero() -> None:
    """As TensorFlow Lite does, not to even."""
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49, -0.49])
    assert quantize(values, tensor("int8", 1.0, 0)).tolist() == [1, 2, 3, -1, -2, -3, 0, 0]


@pytest.mark.parametrize(("dtype", "low", "high"), [("int8", -128, 127), ("uint8", 0, 255), ("int16", -32768, 32767)])
def test_values_beyond_the_type_are_clamped(dtype: str, low: int, high: int) -> None:
    """The ends of each type."""
    result = quantize(np.array([-1e9, 1e9]), tensor(dtype, 0.01, 3))
    assert (result.tolist(), result.dtype) == ([low, high], np.dtype(dtype))


def test_float_inputs_are_only_cast() -> None:
    """A float model sees float32 of the real values."""
    result = input_tensors(np.array([[51]], np.uint8), SCALE, TensorSpec(dtype="float32", shape=(1, 1)))
    assert (result.dtype, float(result[0, 0])) == (np.dtype(np.float32), float(np.float32(0.2)))


@given(st.floats(-1e4, 1e4), st.sampled_from([1.0, 0.5, 0.0039215688593685627, 1e-3, 7.0]), st.integers(-128, 127))
def test_against_the_formula(value: float, scale: float, zero_point: int) -> None:
    """Clamp(round(real / scale) + zero point), computed with Python numbers."""
    ratio = value / scale
    rounded = math.floor(abs(ratio) + 0.5) * (1 if ratio >= 0 else -1)
    expected = min(127, max(-128, rounded + zero_point))
    assert int(quantize(np.array([value]), tensor("int8", scale, zero_point))[0]) == expected


@pytest.mark.parametrize("scale", [1 / 255, float(np.float32(1 / 255))])
def test_a_pixel_over_255_is_the_pixel_minus_128(scale: float) -> None:
    """With a scale of 1/255 and zero point -128, in double and in single precision: FACTS' shortcut holds."""
    table = lookup_table(SCALE, tensor("int8", scale, -128))
    assert table.tolist() == [pixel - 128 for pixel in range(256)]


def test_the_table_is_the_formula() -> None:
    """Factor and offset of a card, through the table and without it."""
    spec = PreprocessSpec(kind="scale", scale=1 / 127.5, offset=-1.0)
    target = tensor("int8", 0.0078125, 0)
    pixels = np.arange(256, dtype=np.uint8).reshape(256, 1)
    expected = [max(-128, min(127, round_away((p / 127.5 - 1.0) / 0.0078125))) for p in range(256)]
    assert lookup_table(spec, target).tolist() == expected
    assert input_tensors(pixels, spec, target)[:, 0].tolist() == expected


def round_away(value: float) -> int:
    """Round halves away from zero."""
    return math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)


def test_l2_has_no_table() -> None:
    """An element of `l2axis1` depends on its column."""
    with pytest.raises(UsageError, match="more than its own pixel"):
        lookup_table(L2, INT8_255)


@pytest.mark.parametrize("shape", [(5, 28, 28), (4, 7, 5, 3)])
def test_l2_against_a_direct_computation(shape: tuple[int, ...]) -> None:
    """Each pixel over the root of its column's squares, pixel by pixel; empty columns stay zero."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    images[:, :, 1] = 0
    values = real_values(images, L2)
    flat = images.reshape(shape[0], shape[1], -1)
    for n in range(shape[0]):
        for column in range(flat.shape[2]):
            pixels = [int(p) for p in flat[n, :, column]]
            norm = math.sqrt(sum(p * p for p in pixels))
            expected = [p / norm if norm else 0.0 for p in pixels]
            got = values.reshape(flat.shape)[n, :, column].tolist()
            assert got == pytest.approx(expected, rel=1e-15)


def wrong_by_thresholds(images: npt.NDArray[np.uint8], got: npt.NDArray[Any], target: TensorSpec) -> int:
    """Count elements that are not what the firmware's integers give (PROTOCOL.md section 5).

    Thresholds ascend, so k is right exactly if T[k] * S is reached and T[k + 1] * S is not; T[0] is 0.
    """
    thresholds = np.concatenate([np.zeros(1, np.uint64), l2_thresholds(target)])
    squares = images.astype(np.uint64) ** 2
    sums = np.broadcast_to(squares.sum(axis=1, keepdims=True), squares.shape)
    reached = squares << np.uint64(THRESHOLD_BITS)
    k = got.astype(np.int64) - target.zero_point
    assert k.min() >= 0
    assert k.max() < len(thresholds)
    above = np.minimum(k + 1, len(thresholds) - 1)
    right = (reached >= thresholds[k] * sums) & ((above == k) | (reached < thresholds[above] * sums))
    return int(np.where(sums > 0, ~right, k != 0).sum())


def test_the_thresholds_give_what_quantisation_gives() -> None:
    """All 28,000 images, with the input of S2: 0 of 21,952,000 elements differ."""
    target = load_model("s2-ptq").input
    images = load_dataset("mnist-28k").images
    assert images.shape == (28_000, 28, 28)
    wrong = 0
    for start in range(0, len(images), 2000):
        part = images[start : start + 2000].astype(np.uint8)
        wrong += wrong_by_thresholds(part, input_tensors(part, L2, target).reshape(part.shape), target)
    assert wrong == 0


def test_wrong_elements_are_counted() -> None:
    """The check above sees one step up, one step down, and a value in an empty column."""
    target = load_model("s2-ptq").input
    part = load_dataset("mnist-28k").images[:1].astype(np.uint8)
    right = input_tensors(part, L2, target).reshape(part.shape).astype(np.int64)
    inked, empty = np.argwhere(part > 0)[5], np.argwhere(part.sum(axis=1, keepdims=True) == 0)[0]
    for place, change in ((inked, 1), (inked, -1), (empty, 1)):
        wrong = right.copy()
        wrong[tuple(place)] += change
        assert wrong_by_thresholds(part, wrong, target) == 1


def test_thresholds_stay_within_64_bits() -> None:
    """The largest product of PROTOCOL.md's rule fits an unsigned 64-bit integer for 28 rows."""
    thresholds = l2_thresholds(load_model("s2-ptq").input)
    assert 255**2 * 2**THRESHOLD_BITS < 2**64
    assert int(thresholds.max()) * 28 * 255**2 < 2**64
    assert np.all(np.diff(thresholds.astype(np.int64)) > 0)
