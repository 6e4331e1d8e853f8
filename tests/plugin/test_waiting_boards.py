"""A board that waits for a person: what it says is on the screen while it waits, from whatever thread it speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.projects import OWN, output

if TYPE_CHECKING:
    import pytest

    from tests.projects import Project

BOARD = """
import threading

import pytest_tinyml.boards.native as native


class Board(native.NativeBoard):
    def open(self):
        self.speak("press the button")
        return super().open()

    def stream(self, work):
        self.speak("press it again")
        super().stream(work)

    def speak(self, text):
        main = threading.current_thread() is threading.main_thread()
        self.request.say(f"{text} ({'main' if main else 'another'} thread)")


class Kind(native.NativeKind):
    name = "acme"

    def create(self, request):
        return Board(request)


def pytest_tinyml_boards(registry):
    registry.register(Kind())
"""


def said(result: pytest.RunResult) -> list[str]:
    """Return what the board has said."""
    return [line for line in output(result).splitlines() if "press" in line]


def test_it_is_heard(project: Project) -> None:
    """Each on a line of its own, once, although pytest captures what tests print."""
    project.pytester.makeconftest(BOARD)
    result = project.run(*OWN, "--board", "acme")
    assert 0 == result.ret, output(result)
    assert ["tinyml: press the button (main thread)", "tinyml: press it again (another thread)"] == said(result)


def test_it_is_told_from_others(project: Project) -> None:
    """With several boards the name is said, too."""
    project.pytester.makeconftest(BOARD)
    result = project.run(*OWN, "--board", "acme,native")
    assert 0 == result.ret, output(result)
    assert [
        "tinyml: acme: press the button (main thread)",
        "tinyml: acme: press it again (another thread)",
    ] == said(result)


def test_it_is_quiet_when_told(project: Project) -> None:
    """With -q there is nothing between the dots."""
    project.pytester.makeconftest(BOARD)
    result = project.run(*OWN, "--board", "acme", "-q")
    assert 0 == result.ret, output(result)
    assert [] == said(result)
