"""The settings of board ``mlperf``, from the text of ``--tinyml-option``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "mlperf"
DIGITS: Final = 3
PERFORMANCE: Final = "performance"
_CHOICES: Final = {"answers": ("scores", "labels"), "input": ("pixels", "tensor"), "verify": ("no", "yes")}


def digits_of(options: Mapping[str, str]) -> int:
    """Return how many decimals are printed.

    Raises:
        UsageError: the option is no such number.
    """
    return whole(options, "digits", DIGITS, 1, 9)


def window_of(options: Mapping[str, str]) -> float | None:
    """Return the least length of a window in seconds; None without performance mode.

    Raises:
        UsageError: the option is no such number.
    """
    text = options.get(PERFORMANCE)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds <= 3600.0:  # noqa: PLR2004 - time stamps of 32 bits wrap after 71 minutes
        msg = f"--tinyml-option {PERFORMANCE}={text} of board {NAME!r} is not a number of seconds up to 3600"
        raise UsageError(msg)
    return seconds


def choice(options: Mapping[str, str], name: str) -> str:
    """Return which of the known values an option has.

    Raises:
        UsageError: none of them.
    """
    known = _CHOICES[name]
    value = options.get(name, known[0])
    if value not in known:
        msg = f"--tinyml-option {name}={value} of board {NAME!r} is not one of: {', '.join(known)}"
        raise UsageError(msg)
    return value


def whole(options: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a whole number from `least` to `most`.

    Raises:
        UsageError: the option is none.
    """
    text = options.get(name, str(default))
    if not text.isdecimal() or not least <= int(text) <= most:
        msg = f"{name}={text} of board {NAME!r} is not a whole number from {least} to {most:,}"
        raise UsageError(msg)
    return int(text)
