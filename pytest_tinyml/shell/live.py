"""``--tinyml-live``: the page that shows a session while it runs; see `pytest_tinyml.report.live`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_tinyml.errors import UsageError
from pytest_tinyml.report.live import LiveServer

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_tinyml.shell.session import Session

_ENDS: Final[dict[int, str]] = {pytest.ExitCode.OK: "passed", pytest.ExitCode.INTERRUPTED: "interrupted"}


class LivePage:
    """A plugin object, beside that of the session.

    Args:
        config: of the session.
        session: whose runs are shown.
        port: where the page is; 0 for any port that is free.
    """

    def __init__(self, config: pytest.Config, session: Session, port: int) -> None:
        """Listen nowhere yet."""
        settings = session.settings
        title = f"{', '.join(settings.models)} on {', '.join(settings.boards)}, {settings.dataset}"
        self._config, self._session = config, session
        self._server = LiveServer(host=settings.live_host, port=port, title=title)
        self._told = False

    def pytest_report_header(self) -> list[str]:
        """Say where the page is, as early as possible: somebody will want to open it."""
        if self._config.option.collectonly:
            return []
        self._told = True
        return [f"tinyml: live page {self._server.url}"]

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionstart(self) -> Generator[None]:
        """Listen before anything else is begun; show the runs as soon as they are known.

        A session that is told to be quiet says where the page is, too: without its address there is none.
        """
        if self._config.option.collectonly:
            return (yield)
        try:
            self._server.start()
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error
        yield
        self._server.show(self._session.harnesses)
        if not self._told:
            (line,) = self.pytest_report_header()
            reporter = self._config.pluginmanager.get_plugin("terminalreporter")
            if reporter is None:
                sys.stderr.write(f"{line}\n")
            else:
                reporter.write_line(line)
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Show how it ended: the harness has written its results."""
        self._server.close(_ENDS.get(session.exitstatus, "failed"))

    def pytest_unconfigure(self) -> None:
        """Close also what was refused before it began."""
        self._server.close()
