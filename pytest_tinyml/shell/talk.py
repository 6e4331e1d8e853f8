"""What a session says while it runs: between the tests' dots, and not too often."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

_TTY_S: Final = 2.0
_LOG_S: Final = 10.0


class Talk:
    """One board's voice.

    Args:
        config: of the session.
        name: of the board, said first where there are several; else empty.
    """

    def __init__(self, config: pytest.Config, name: str) -> None:
        """Say nothing yet."""
        self._config, self._prefix = config, f"tinyml: {name}: " if name else "tinyml: "
        self._said = time.monotonic()
        self._untold: deque[str] = deque()

    def say(self, text: str) -> None:
        """Write a line between the tests' dots, unless pytest was told to be quiet.

        What other threads than the main one say waits for it: pytest's capturing can only be interrupted there.
        """
        self._untold.append(text)
        if threading.current_thread() is threading.main_thread():
            self.catch_up()

    def catch_up(self) -> None:
        """Say what other threads have said; called in the main one."""
        while self._untold:
            self._write(self._untold.popleft())

    def _write(self, text: str) -> None:
        self._said = time.monotonic()
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or self._config.get_verbosity() < 0:
            return
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            reporter.ensure_newline()
            reporter.write_line(f"{self._prefix}{text}")

    def now_and_then(self, text: Callable[[], str]) -> None:
        """Say something if nothing was said for a while; a person at a terminal is told more often than a log."""
        self.catch_up()
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        interval = _TTY_S if reporter is not None and reporter.isatty else _LOG_S
        if time.monotonic() - self._said >= interval:
            self.say(text())

    def relative(self, path: Path) -> str:
        """Return a path as the user would type it."""
        return os.path.relpath(path, self._config.invocation_params.dir)
