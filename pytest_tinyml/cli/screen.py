"""Text that is made to be read on a screen."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_tinyml.boards.base import Missing

WIDEST: Final = 100
_INDENT: Final = "    "
_NO_BREAK: Final = "\u00a0"


def tell(text: str) -> None:
    """Say what a board waits for, beside what a command prints."""
    print(f"tinyml: {text}", file=sys.stderr, flush=True)


def columns() -> int:
    """Return the width to write to: the terminal's, but no more than can be read at a glance."""
    return min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)


def wrapped(text: str, *, indent: str = _INDENT) -> list[str]:
    """Break a text into lines, at spaces only: words with hyphens are names."""
    lines = textwrap.wrap(
        text,
        width=columns(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_NO_BREAK, " ") for line in lines]


def missing_lines(missing: Iterable[Missing], *, indent: str = _INDENT) -> list[str]:
    """Say what is missing, and the command that installs it: whole, so that it can be copied."""
    lines: list[str] = []
    for item in missing:
        line = f"{indent}needs {item.what}: {item.install}"
        fits = len(line) <= columns()
        lines += [line] if fits else [*wrapped(f"needs {item.what}:", indent=indent), f"{indent}  {item.install}"]
    return lines


def together(items: Iterable[str], separator: str) -> str:
    """Join items so that `wrapped` breaks lines only between them."""
    return separator.join(item.replace(" ", _NO_BREAK) for item in items)
