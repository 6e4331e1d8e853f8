"""What the values of options look like; nothing here imports numpy, or what is only needed with a board.

A parser takes the text and raises `ValueError`: with a message that begins with ``must`` or ``is not``, which is shown
behind the value, or any other where the value is not a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tinyml.verdict.gate import Gate
    from pytest_tinyml.verdict.sequentialspec import SequentialSpec
_WHEN: Final = ("auto", "always", "never")
_LAST_PORT: Final = 65535
_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0"})


def at_least(low: int) -> Callable[[str], int]:
    """Return the parser of an integer that is not below `low`."""

    def parse(text: str) -> int:
        value = int(text)
        if value < low:
            msg = f"must be at least {low}"
            raise ValueError(msg)
        return value

    return parse


def ratio(text: str) -> float:
    """Parse a number from 0 to 1."""
    value = float(text)
    if not 0.0 <= value <= 1.0:
        msg = "must be a ratio from 0 to 1"
        raise ValueError(msg)
    return value


def not_negative(text: str) -> float:
    """Parse a finite number of at least 0."""
    value = float(text)
    if not 0.0 <= value < float("inf"):
        msg = "must be a number that is not negative"
        raise ValueError(msg)
    return value


def positive(what: str) -> Callable[[str], float]:
    """Return the parser of a finite number above 0; `what` is said behind ``number``, e.g. `` of seconds``."""

    def parse(text: str) -> float:
        value = float(text)
        if not 0.0 < value < float("inf"):
            msg = f"must be a positive number{what}"
            raise ValueError(msg)
        return value

    return parse


def port(text: str) -> int:
    """Parse the number of a TCP port; 0 is any."""
    if not (text.isascii() and text.isdigit() and int(text) <= _LAST_PORT):
        msg = "is not a port, 0 to 65535; without one, put the option behind the paths"
        raise ValueError(msg)
    return int(text)


def when(text: str) -> str:
    """Parse when causes are looked for: ``auto``, ``always`` or ``never``."""
    if text not in _WHEN:
        msg = f"is not one of {', '.join(_WHEN)}"
        raise ValueError(msg)
    return text


def key_and_value(text: str) -> tuple[str, str]:
    """Parse ``KEY=VALUE``."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals):
        msg = "is not KEY=VALUE"
        raise ValueError(msg)
    return key, value


def switch(text: str) -> bool:
    """Parse what an ini file says of something that is on or off."""
    value = text.strip().lower()
    if value not in _YES | _NO:
        msg = "is not true or false"
        raise ValueError(msg)
    return value in _YES


def gate(text: str) -> Gate:
    """Parse ``METRIC:LIMIT``; see `pytest_tinyml.verdict.gate.parse_gate`."""
    from pytest_tinyml.verdict.gate import parse_gate  # noqa: PLC0415 - only with a board

    return parse_gate(text)


def sequential(text: str) -> SequentialSpec:
    """Parse ``alpha=A,beta=B,delta=Dpp,seed=N``; see `pytest_tinyml.verdict.sequentialspec.parse_sequential`."""
    from pytest_tinyml.verdict.sequentialspec import parse_sequential  # noqa: PLC0415 - only with a board

    return parse_sequential(text)


def baseline(text: str) -> str:
    """Parse the name or the number of a baseline to compare with.

    argparse takes what stands behind an option without a value for its value, also if it was meant as a path.
    """
    from pytest_tinyml.stores.baselinefile import LATEST, check_name  # noqa: PLC0415 - only with a board

    try:
        found = text if text.isdecimal() or text == LATEST else check_name(text)
    except ValueError:
        found = ".py"
    if found.endswith(".py"):
        msg = f"is not the name or number of a baseline; before a path, write --tinyml-compare={LATEST}"
        raise ValueError(msg)
    return found


def baseline_name(text: str) -> str:
    """Parse the name of a baseline to be saved; see `pytest_tinyml.stores.baselinefile.check_name`."""
    from pytest_tinyml.stores.baselinefile import check_name  # noqa: PLC0415 - only with a board

    return check_name(text)
