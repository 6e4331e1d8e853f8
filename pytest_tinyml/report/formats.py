"""The kinds of reports that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tinyml.report.base import Format

FORMATS: Final[tuple[Format, ...]] = ()
NONE: Final = "none"


def choose_formats(text: str) -> tuple[Format, ...]:
    """Return the formats of a list with commas between them; ``none`` and ``all`` are what they say.

    Raises:
        UsageError: there is no such format.
    """
    if text == NONE:
        return ()
    if text == "all":
        return FORMATS
    chosen = []
    for name in (part.strip() for part in text.split(",")):
        found = next((one for one in FORMATS if one.name == name), None)
        if found is None:
            msg = f"no report format named {name!r}; known: {_names(FORMATS)}, all, {NONE}"
            raise UsageError(msg)
        chosen.append(found)
    return tuple(dict.fromkeys(chosen))


def _names(formats: Sequence[Format]) -> str:
    return ", ".join(one.name for one in formats)
