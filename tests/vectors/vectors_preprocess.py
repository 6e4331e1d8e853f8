"""Preprocessing (PROTOCOL.md section 5), computed with exact fractions and 60 decimal digits."""

from __future__ import annotations

import struct
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

PIXELS = 256
LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}


def float32(value: float) -> Fraction:
    """Return the nearest binary32 value, exactly."""
    return Fraction(struct.unpack("<f", struct.pack("<f", value))[0])


def half_away(value: Fraction) -> int:
    """Round, halves away from zero, as TensorFlow Lite quantises."""
    return floor(value + Fraction(1, 2)) if value >= 0 else -floor(-value + Fraction(1, 2))


def lut(
    name: str, dtype: str, scale: float, zero_point: int, divisor: int, offset: int, noise: Random
) -> dict[str, Any]:
    """Return a vector of pixel / divisor + offset, quantised."""
    low, high = LIMITS[dtype]
    step = float32(scale)
    reals = [Fraction(pixel, divisor) + offset for pixel in range(PIXELS)]
    table = [min(high, max(low, half_away(real / step) + zero_point)) for real in reals]
    pixels = noise.randbytes(60)
    return {
        "name": name,
        "kind": "lut",
        "dtype": dtype,
        "dims": [1, 3, 20],
        "scale": float(step),
        "zero_point": zero_point,
        "divisor": divisor,
        "offset": offset,
        "table": table,
        "pixels": pixels.hex(),
        "output": [table[pixel] for pixel in pixels],
    }


def quotient(pixel: int, total: int, step: Fraction) -> int:
    """Return pixel / sqrt(total) / step, rounded half up, without the thresholds of PROTOCOL.md."""
    if total == 0:
        return 0
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(pixel) / Decimal(total).sqrt() / (Decimal(step.numerator) / Decimal(step.denominator))
        return int(exact.to_integral_value(ROUND_HALF_UP))


def l2axis1(name: str, dtype: str, scale: float, zero_point: int, dims: list[int], pixels: bytes) -> dict[str, Any]:
    """Return a vector of columns over their norms; dims are batch, height, width and perhaps channels."""
    step = float32(scale)
    high = LIMITS[dtype][1]
    row = len(pixels) // dims[1]
    thresholds = []
    for k in range(1, high - zero_point + 1):
        threshold = floor((k - Fraction(1, 2)) ** 2 * step**2 * 2**40 + Fraction(1, 2))
        if threshold <= 2**40:
            thresholds.append(threshold)
    output = [0] * len(pixels)
    for column in range(row):
        places = range(column, len(pixels), row)
        total = sum(pixels[place] ** 2 for place in places)
        for place in places:
            k = min(quotient(pixels[place], total, step), len(thresholds))
            counted = sum(pixels[place] ** 2 * 2**40 >= t * total for t in thresholds) if total else 0
            if counted != k:
                msg = f"{name}: the integer rule gives {counted}, exact arithmetic {k}"
                raise AssertionError(msg)
            output[place] = zero_point + k
    return {
        "name": name,
        "kind": "l2axis1",
        "dtype": dtype,
        "dims": dims,
        "scale": float(step),
        "zero_point": zero_point,
        "row": row,
        "thresholds": thresholds,
        "pixels": pixels.hex(),
        "output": output,
    }


def vectors(noise: Random) -> list[dict[str, Any]]:
    """Return all of them."""
    digit = bytes(noise.choice((0, 0, 0, 0, noise.randrange(256))) for _ in range(784))
    lone = bytearray(784)
    lone[400] = 1
    return [
        lut("divided_by_255", "int8", 1 / 256, -128, 255, 0, noise),
        lut("minus_one_to_one", "int8", 1 / 128, 0, 127, -1, noise),
        lut("unsigned", "uint8", 1 / 256, 0, 255, 0, noise),
        lut("saturated", "int8", 1 / 512, -128, 255, 0, noise),
        l2axis1("digit", "int8", 1 / 255, -128, [1, 28, 28], digit),
        l2axis1("digit_coarse", "int8", 0.0061, -128, [1, 28, 28, 1], digit),
        l2axis1("digit_unsigned", "uint8", 1 / 255, 0, [1, 28, 28], digit),
        l2axis1("black", "int8", 1 / 255, -128, [1, 28, 28], bytes(784)),
        l2axis1("lone_pixel", "int8", 1 / 255, -128, [1, 28, 28], bytes(lone)),
        l2axis1("two_channels", "int8", 1 / 255, -128, [1, 4, 3, 2], noise.randbytes(24)),
        # A quotient of exactly one half step, which is rounded up.
        l2axis1("tie", "int8", 2.0, -128, [1, 2, 2], b"\x05\0\0\xff"),
        # The tallest image whose T * S stays within 64 bits, all white: the largest sum.
        l2axis1("tallest", "int8", 1 / 255, -128, [1, 258, 1], b"\xff" * 258),
    ]
