"""The reference is what the code says."""

from __future__ import annotations

import inspect
import re
from difflib import unified_diff
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml import errors
from tests.docs import generate, members

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", sorted({page for page, _ in generate.PARTS}))
def test_page_is_current(page: str) -> None:
    """A page of the reference holds what the generator makes of the code now; otherwise run it again."""
    there = (generate.REFERENCE / page).read_text(encoding="utf-8")
    stale = list(unified_diff(there.splitlines(), generate.fresh(page).splitlines(), "page", "code", lineterm="", n=0))
    assert [] == stale, generate.COMMAND


def test_tree_of_exceptions_is_complete() -> None:
    """The tree that people read has every exception, once, below the one that it is a kind of."""
    lines = re.findall(r"^((?:[│ ]   )*(?:[├└]── )?)(\w+Error)\b", inspect.getdoc(errors) or "", re.MULTILINE)
    above: list[str] = []
    found = {}
    for indent, name in lines:
        depth = len(indent) // 4
        above[depth:] = [name]
        found[name] = above[depth - 1] if depth else "Exception"
    assert {error.__name__: error.__mro__[1].__name__ for error in members.raised()} == found


def test_page_without_a_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator does not pass over a page from which the comments were deleted."""
    (tmp_path / "errors.md").write_text("# Errors\n", encoding="utf-8")
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    with pytest.raises(ValueError, match=r"errors\.md has no place for 'exceptions'"):
        generate.fresh("errors.md")


def test_stale_page_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands between the comments is replaced, and nothing else."""
    page = (generate.REFERENCE / "errors.md").read_text(encoding="utf-8")
    (tmp_path / "errors.md").write_text(page.replace("| `BuildError` |", "| `ForgottenError` |"), encoding="utf-8")
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    assert page == generate.fresh("errors.md")
