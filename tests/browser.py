"""Pages in headless Chromium: what they say on the console, whom they ask for something, and who cannot read them.

A test module that uses it asks for the fixture in its conftest: ``from tests.browser import browser, open_tab``.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

import pytest

from tests.presence import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

DESKTOP: Final = 1280
PHONE: Final = 390
TIMEOUT_MS: Final = 60_000
"""Only ends what hangs: on a busy machine Chromium takes many times as long to start as else."""
# Nothing but the page: no process of its own for graphics, no contact with Chromium's makers.
_FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
_SERIOUS: Final = frozenset({"serious", "critical"})


@dataclass(slots=True, kw_only=True)
class Tab:
    """An open page and what it did.

    Attributes:
        page: playwright's.
        errors: what it wrote to the console as error or warning, and exceptions that nothing caught.
        requests: addresses that it asked for, its own first; what is in the page (``data:``) is none.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def inaccessible(self) -> list[str]:
        """Return axe's serious and critical findings, a line each: rule, what is wrong, the first element."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page, options={"resultTypes": ["violations"]}).response["violations"]
        return [
            f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]} ({len(one['nodes'])})"
            for one in found
            if one["impact"] in _SERIOUS
        ]

    def overflow_px(self) -> int:
        """Return by how many CSS pixels the page is wider than the screen: 0 if nobody has to scroll sideways."""
        wider: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wider

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Write a PNG of the page, or only of what is on the screen."""
        self.page.screenshot(path=path, full_page=whole, timeout=TIMEOUT_MS)


class OpenTab(Protocol):
    """The fixture `open_tab`."""

    def __call__(self, url: str, *, width: int = DESKTOP, scheme: Literal["light", "dark"] = "light") -> Tab:
        """Open an address on a screen of so many CSS pixels, for somebody who prefers light or dark pages."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium without a window and with a profile that is empty; it ends with the block.

    Raises:
        FileNotFoundError: it is not installed.
    """
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program, args=list(_FLAGS), headless=True, timeout=TIMEOUT_MS
        )
        try:
            yield started
        finally:
            started.close()


@contextmanager
def tab_of(
    browser: Browser, url: str, *, width: int = DESKTOP, scheme: Literal["light", "dark"] = "light", scale: float = 1
) -> Iterator[Tab]:
    """Open an address as `OpenTab` says, with so many pixels to a CSS pixel; it closes with the block."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, device_scale_factor=scale, locale="en-GB"
    )
    try:
        context.set_default_timeout(TIMEOUT_MS)
        tab = Tab(page=context.new_page())
        tab.page.on("console", lambda said: _note(tab, said.type, said.text))
        tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.page.on("request", lambda asked: None if asked.url[:5] == "data:" else tab.requests.append(asked.url))
        # Not "networkidle": a page that stays in touch with its server never is.
        tab.page.goto(url, wait_until="load")
        yield tab
    finally:
        context.close()


def _note(tab: Tab, kind: str, text: str) -> None:
    if kind in {"error", "warning"}:
        tab.errors.append(f"{kind}: {text}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a module."""
    if shutil.which("chromium") is None:
        lacking("chromium is not installed")
    with chromium() as started:
        yield started


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[OpenTab]:
    """Open any number of pages; they close with the test."""
    with ExitStack() as opened:

        def open_one(url: str, *, width: int = DESKTOP, scheme: Literal["light", "dark"] = "light") -> Tab:
            return opened.enter_context(tab_of(browser, url, width=width, scheme=scheme))

        yield open_one
