"""exp(-2^k * 2^e) as the softmax kernels take it, with 62 bits."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

FRACTION_BITS: Final = 62
_VANISHES: Final = 1 << 20
"""exp(-2^20) and all below it are 0 as float32, which ends at 2^-149."""
_CONTEXT: Final = Context(prec=60, Emin=-9_999_999, Emax=9_999_999)


def exponential(argument: Decimal) -> tuple[int, int]:
    """Return mantissa and exponent of exp(-argument) = mantissa * 2^-62 * 2^-exponent, 2^62 <= mantissa < 2^63.

    Args:
        argument: at least 0. What is so large that the result is 0 as float32 gives another number of which that is so.
    """
    if argument > _VANISHES:
        return 1 << FRACTION_BITS, _VANISHES
    value = _CONTEXT.exp(-argument)
    exponent = max(int(_CONTEXT.divide(argument, _CONTEXT.ln(Decimal(2)))) - 1, 0)
    scaled = _CONTEXT.multiply(value, _CONTEXT.power(Decimal(2), Decimal(FRACTION_BITS + exponent)))
    while scaled < 1 << FRACTION_BITS:
        scaled, exponent = _CONTEXT.multiply(scaled, Decimal(2)), exponent + 1
    mantissa = int(scaled)
    # exp(-0) is 1, and no other value is a power of two.
    return (mantissa, exponent) if mantissa < 1 << (FRACTION_BITS + 1) else (mantissa >> 1, exponent - 1)


def of_bits(bits: int, exponent: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the mantissas and exponents of exp(-2^k * 2^exponent) for k from 0 to bits - 1."""
    pairs = [exponential(_CONTEXT.power(Decimal(2), Decimal(k + exponent))) for k in range(bits)]
    return tuple(mantissa for mantissa, _ in pairs), tuple(power for _, power in pairs)
