"""The numbers of a fixed-point softmax that depend on the model alone, as TensorFlow Lite computes them on start-up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

DIFF_INTEGER_BITS: Final = 5
"""Scaled differences are Q5.26 in the kernel (``kScaledDiffIntegerBits``)."""
MAX_DEPTH: Final = 4095
"""The kernel adds up to ``depth`` values of at most 2^19 in 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedSoftmax:
    """An int8 softmax, ready for ``tml_softmax_s8``.

    Attributes:
        rows: number of independent softmaxes.
        depth: elements of each, 1 to 4095.
        multiplier: Q0.31 significand of beta * input scale * 2^26.
        left_shift: its exponent, 0 to 31.
        diff_min: differences to the row's maximum below this count as zero; at most 0.
    """

    rows: int
    depth: int
    multiplier: int
    left_shift: int
    diff_min: int


def quantize_softmax(*, rows: int, depth: int, input_scale: float, beta: float) -> QuantizedSoftmax:
    """Return the kernel's parameters for a softmax.

    The formulas are ``PreprocessSoftmaxScaling``, ``QuantizeMultiplier`` and ``CalculateInputRadius`` of
    tensorflow/lite/kernels/internal/quantization_util.cc, in float64 as there.

    Args:
        rows: product of the dimensions before the last.
        depth: the last dimension.
        input_scale: quantisation step of the softmax's input, a float32 value.
        beta: of the operator's options, a float32 value; 1.0 in models of Keras.

    Raises:
        ValueError: depth is not 1 to 4095, or beta * input_scale is not above 2^-26 (TensorFlow Lite aborts there).
    """
    if not 1 <= depth <= MAX_DEPTH:
        msg = f"a softmax over {depth} classes; 1 to {MAX_DEPTH} are possible"
        raise ValueError(msg)
    real = min(beta * input_scale * float(1 << (31 - DIFF_INTEGER_BITS)), float((1 << 31) - 1))
    if not real > 1.0:
        msg = f"softmax with beta {beta} and input scale {input_scale}: their product must be above 2^-26"
        raise ValueError(msg)
    significand, shift = math.frexp(real)
    multiplier = math.floor(significand * float(1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    largest = float(((1 << DIFF_INTEGER_BITS) - 1) << (31 - DIFF_INTEGER_BITS))
    radius = math.floor(largest / float(1 << shift))
    return QuantizedSoftmax(rows=rows, depth=depth, multiplier=multiplier, left_shift=shift, diff_min=-radius)
