"""The browser that other tests look at pages with sees what is wrong with a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser import PHONE, browser, open_tab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser import OpenTab

__all__ = ["browser", "open_tab"]


@pytest.mark.xdist_group("browser")
def test_bad_page_is_found_out(open_tab: OpenTab, tmp_path: Path) -> None:
    """An error on the console, a request, a picture without words and a page too wide are all reported."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><html><title>x</title><body style='margin:0'><div style='width:500px'>wide</div>"
        "<img src='absent.png'><script>throw new Error('thrown')</script></body></html>",
        encoding="utf-8",
    )
    tab = open_tab(page.as_uri(), width=PHONE)
    assert [page.as_uri(), (tmp_path / "absent.png").as_uri()] == tab.requests
    assert any("thrown" in error for error in tab.errors)
    assert 110 == tab.overflow_px()
    assert {"html-has-lang", "image-alt"} <= {line.partition(":")[0] for line in tab.inaccessible()}
