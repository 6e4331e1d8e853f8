"""How figures are written in the report, and where the ticks of an axis are."""

from __future__ import annotations

import math
import time
from typing import Final

ABSENT: Final = "\N{EN DASH}"
_KIB: Final = 1024
_SMALL: Final = 0.001
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def count(value: float | None) -> str:
    """Return a whole number with commas."""
    return ABSENT if value is None else f"{value:,.0f}"


def percent(value: float | None, digits: int = 2) -> str:
    """Return a ratio, 0 to 1, in percent; what is not quite 100 % is never written so."""
    if value is None:
        return ABSENT
    text = f"{100.0 * value:.{digits}f}"
    if value < 1.0 and float(text) == 100.0:  # noqa: PLR2004 - percent
        text = f"{100.0 - 10.0**-digits:.{digits}f}"
    return f"{text} %"


def points(value: float | None) -> str:
    """Return a difference of ratios in percentage points, with its sign."""
    if value is None:
        return ABSENT
    if not value:
        return "±0.00 pp"
    text = f"{100.0 * value:+.2f}"
    # A few of many samples are less than a hundredth of a point.
    return f"{_minus(text if float(text) else f'{100.0 * value:+.1g}')} pp"


def signed(value: int) -> str:
    """Return a whole number with its sign; nothing for 0."""
    return _minus(f"{value:+,}") if value else ""


def probability(value: float) -> str:
    """Return a p value; very small ones are only said to be so."""
    return f"p = {value:.2g}" if value >= _SMALL else f"p < {_SMALL}"


def figure(value: float | None, digits: int = 4) -> str:
    """Return a number of any size with so many significant digits."""
    if value is None:
        return ABSENT
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 10**9:
        return _minus(f"{value:,.0f}")
    if abs(value) >= min(10**3, 10 ** (digits - 1)):
        return _minus(f"{value:,.0f}")
    return _minus(f"{value:.{digits}g}")


def short(value: float) -> str:
    """Return a number for an axis: 1.2k, 3M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * (10 if letter == "k" else 1):
            return _minus(f"{value / size:.4g}{letter}")
    return figure(value)


def size(value: float | None) -> str:
    """Return bytes as people say them; 0 is unknown."""
    if not value:
        return ABSENT
    if value < _KIB:
        return f"{value:.0f} B"
    for unit in ("KiB", "MiB"):
        value /= _KIB
        if value < _KIB or unit == "MiB":
            break
    return f"{value:.1f} {unit}"


def duration(seconds: float | None) -> str:
    """Return seconds as people say them."""
    if seconds is None:
        return ABSENT
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min {seconds % _MINUTE_S:.0f} s"
    if seconds < 2 * _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:.0f} min"
    return f"{seconds / _DAY_S:.1f} days"


def moment(unix_s: float | None) -> str:
    """Return a time as UTC."""
    return ABSENT if unix_s is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(unix_s))


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return at most `most` round numbers (1, 2 or 5 times a power of ten apart) between two."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    # The last always has room: raw is less than ten powers.
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * (1.0 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)][: most + 1]


def _minus(text: str) -> str:
    """Use the minus sign that is as wide as a digit."""
    return text.replace("-", "\N{MINUS SIGN}") if text[:1] == "-" else text
