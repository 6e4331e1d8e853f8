"""Write the generated parts of the documentation: ``python -m tests.docs.generate``.

A page holds them between two comments that name the part. The code is the only source; a test says which page is out of
date.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tests.docs import members, tables

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE: Final = tables.REFERENCE
COMMAND: Final = "python -m tests.docs.generate"
PARTS: Final[dict[tuple[str, str], Callable[[], str]]] = {
    ("plugin.md", "options"): tables.options,
    ("plugin.md", "ini keys"): tables.ini_keys,
    ("plugin.md", "fixtures"): members.fixture_table,
    ("plugin.md", "members"): members.handed_out,
    ("plugin.md", "hooks"): members.hooks,
    ("commands.md", "commands"): tables.commands,
    ("results.md", "keys"): tables.results,
    ("baselines.md", "metrics"): tables.metrics,
    ("errors.md", "exceptions"): members.exceptions,
}
"""Page and name of the part, and what makes it."""


def fresh(page: str) -> str:
    """Return a page of the reference with its generated parts as the code has them now.

    Raises:
        ValueError: a part has no place on the page.
    """
    text = (REFERENCE / page).read_text(encoding="utf-8")
    for (where, name), make in PARTS.items():
        if where == page:
            text = _replaced(text, page, name, make())
    return text


def _replaced(text: str, page: str, name: str, made: str) -> str:
    begin, end = f"<!-- generated from the code: {name} ({COMMAND}) -->", f"<!-- end of {name} -->"
    found = re.search(f"^{re.escape(begin)}\n.*?^{re.escape(end)}$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        msg = f"docs/reference/{page} has no place for {name!r}: {begin} and {end}, a line each"
        raise ValueError(msg)
    return f"{text[: found.start()]}{begin}\n\n{made}\n\n{end}{text[found.end() :]}"


def main() -> None:
    """Write every page that is out of date."""
    for page in dict.fromkeys(page for page, _ in PARTS):
        made = fresh(page)
        if made != (REFERENCE / page).read_text(encoding="utf-8"):
            (REFERENCE / page).write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
