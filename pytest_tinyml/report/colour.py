"""Lines of a summary, and their colours on a terminal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO


class Tone(Enum):
    """What a line is for its reader; the value is a name of colour that pytest and ANSI terminals have."""

    PLAIN = ""
    GOOD = "green"
    BAD = "red"
    NOTE = "yellow"

    @property
    def markup(self) -> dict[str, bool]:
        """Keyword arguments for pytest's terminal writer, which knows whether it may write colours."""
        return {self.value: True} if self.value else {}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and what it is for its reader."""

    text: str
    tone: Tone = Tone.PLAIN


_CODES: Final = {Tone.GOOD: 32, Tone.BAD: 31, Tone.NOTE: 33}
"""Parameters of SGR, ECMA-48 8.3.117."""


def wants_colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether to write colours: on a terminal, unless https://no-color.org/ says otherwise."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"


def painted(line: Line, *, colour: bool) -> str:
    """Return the text of a line, with its colour if there is to be any."""
    code = _CODES.get(line.tone)
    return f"\033[{code}m{line.text}\033[0m" if colour and code is not None and line.text else line.text
