"""Pictures of the live page, of real sessions; see `tests.screenshots`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.browser import DESKTOP, PHONE, tab_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.browser import Tab

_ROOT: Final = Path(__file__).parents[2]
_URL: Final = re.compile(r"live page (http://\S+)")
_WAIT_MS: Final = 120_000
_ENOUGH: Final = 45
"""Percent of a run: the curves have begun, and the boards are at work."""


@contextmanager
def session(project: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """Run pytest with a live page in a project; gives the page's address, and lets the session end with the block.

    Raises:
        RuntimeError: it never said where the page is.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tinyml-fresh", "--tinyml-live", *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if found := _URL.search(line):
                break
        else:
            raise RuntimeError(said)
        yield found[1]
        process.stdout.read()


def until(tab: Tab, percent: int) -> None:
    """Wait until so much of the run that a page shows is done."""
    tab.page.wait_for_function(
        "percent => Number(document.getElementById('bar').getAttribute('aria-valuenow')) >= percent",
        arg=percent,
        timeout=_WAIT_MS,
    )


def over(tab: Tab) -> None:
    """Wait for the end of a session, and until the last of it is drawn, which is with the next frame."""
    tab.page.locator("#line-text").filter(has_text="session over").wait_for(timeout=_WAIT_MS)
    tab.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def shoot_live(browser: Browser, project: Path, save: Callable[[Tab, str], None]) -> None:
    """Take pictures of S0 on its way on two boards, and of a run that has failed.

    Args:
        browser: that opens the page.
        project: a project with the board ``planted`` and its model ``digits.tflite``.
        save: keeps a picture of a tab under a name.
    """
    with (
        session(project, "--board=native", "--tinyml-count=2") as url,
        tab_of(browser, url, width=DESKTOP) as light,
        tab_of(browser, url, width=PHONE, scheme="dark", scale=2) as phone,
    ):
        until(light, _ENOUGH)
        save(light, "live-light")
        save(phone, "live-phone")
        over(light)
    with (
        session(project, "--board=planted", "--tinyml-model=digits.tflite", PLANTED="1") as url,
        tab_of(browser, url, width=DESKTOP, scheme="dark") as dark,
    ):
        over(dark)
        save(dark, "live-failed")
