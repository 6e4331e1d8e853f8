"""From pixels to a model's input tensor, on the host; the firmware does the same (PROTOCOL.md section 5).

Quantisation is TensorFlow Lite's: ``q = clamp(round(real / scale) + zero_point)`` with halves away from zero
(``tflite::AffineQuantize``, ``reference/quantize.h``). All arithmetic is float64, so that pixel / 255 with a scale of
1/255 gives exactly pixel - 128.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import PreprocessSpec, TensorSpec

THRESHOLD_BITS = 40
"""Fraction bits of ``l2axis1``'s thresholds: x^2 (16 bits) and T[k] * S (61 bits for 28 rows) stay within uint64."""


def real_values(images: npt.NDArray[Any], spec: PreprocessSpec) -> npt.NDArray[np.float64]:
    """Apply a model's preprocessing.

    Args:
        images: uint8 or float32 [N, H, W] or [N, H, W, C].
        spec: from the model's card.

    Returns:
        float64 of the same shape: what the model was trained on.
    """
    values = images.astype(np.float64)
    if spec.kind == "scale":
        # A division where the factor is a reciprocal: 255 * (1 / 255) and 255 / 255 differ in the last bit.
        divisor = 1.0 / spec.scale
        scaled = values / round(divisor) if np.isclose(divisor, round(divisor), rtol=1e-12) else values * spec.scale
        return np.asarray(scaled + spec.offset)
    if spec.kind == "l2axis1":
        norm = np.sqrt(np.square(values).sum(axis=1, keepdims=True))
        return np.asarray(values / np.where(norm == 0.0, 1.0, norm))
    return values


def quantize(values: npt.NDArray[np.float64], tensor: TensorSpec) -> npt.NDArray[Any]:
    """Quantise real values to a tensor's type (identity but for the cast if it is float32).

    Args:
        values: float64, any shape.
        tensor: dtype, scale and zero point to use.

    Returns:
        The tensor's dtype, same shape.
    """
    if tensor.dtype == "float32":
        real: npt.NDArray[Any] = values.astype(np.float32)
        return real
    info = np.iinfo(tensor.dtype)
    scaled = values / tensor.scale
    # np.round takes halves to even; TensorFlow Lite takes them away from zero.
    rounded = np.trunc(scaled + np.copysign(0.5, scaled)) + tensor.zero_point
    quantised: npt.NDArray[Any] = np.clip(rounded, info.min, info.max).astype(tensor.dtype)
    return quantised


def input_tensors(images: npt.NDArray[Any], spec: PreprocessSpec, tensor: TensorSpec) -> npt.NDArray[Any]:
    """Make the input tensors of a batch of images.

    Args:
        images: uint8 or float32 [N, ...].
        spec: from the model's card.
        tensor: the model's input.

    Returns:
        The tensor's dtype, [N, *tensor.shape[1:]], C-contiguous.
    """
    count = len(images)
    if tensor.dtype != "float32" and images.dtype == np.uint8 and spec.kind == "scale":
        quantised: npt.NDArray[Any] = lookup_table(spec, tensor)[images]
    else:
        quantised = quantize(real_values(images, spec), tensor)
    return np.ascontiguousarray(quantised.reshape(count, *tensor.shape[1:]))


def lookup_table(spec: PreprocessSpec, tensor: TensorSpec) -> npt.NDArray[Any]:
    """Return the tensor element of each pixel value: the tensor's dtype, [256].

    Raises:
        UsageError: the preprocessing is not a map from one pixel to one element.
    """
    if spec.kind != "scale":
        msg = f"preprocessing {spec.kind!r} has no lookup table: an element depends on more than its own pixel"
        raise UsageError(msg)
    return quantize(real_values(np.arange(256, dtype=np.uint8), spec), tensor)


def l2_thresholds(tensor: TensorSpec) -> npt.NDArray[np.uint64]:
    """Return T[1], T[2], ... of ``l2axis1`` (PROTOCOL.md section 5): uint64 [at most 255], ascending.

    The quotient is at most 1, so thresholds above 1.0 are left out.
    """
    # Exact: float64 misses the nearest integer by one here and there; the firmware's table has to be the protocol's.
    step = Fraction(tensor.scale)
    highest = int(np.iinfo(tensor.dtype).max) - tensor.zero_point
    exact = ((k - Fraction(1, 2)) ** 2 * step**2 * 2**THRESHOLD_BITS for k in range(1, highest + 1))
    thresholds = [floor(value + Fraction(1, 2)) for value in exact]
    return np.array([value for value in thresholds if value <= 2**THRESHOLD_BITS], dtype=np.uint64)
