"""One pytest session with a board: holds the campaign, shows how far it is, and reports at the end."""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Never, cast

import pytest

from pytest_tinyml.campaign.progress import progress
from pytest_tinyml.errors import BoardError, CanaryError, TinymlError
from pytest_tinyml.report.results import build_results, write_results
from pytest_tinyml.report.terminal import summary_lines
from pytest_tinyml.shell.handles import BoardHandle, ReferenceHandle, RunHandle
from pytest_tinyml.shell.plugin import uses_board
from pytest_tinyml.shell.starting import plan_session, suite_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.records import Dataset, Model
    from pytest_tinyml.shell.options import Settings

_TTY_S, _LOG_S = 2.0, 10.0
_NEED_BOARD = frozenset({"tinyml_board", "tinyml_run"})


class Harness:
    """The plugin object of a session with ``--board``."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        """Do nothing yet: everything is looked up when the session starts."""
        self._config, self.settings = config, settings
        self._campaign: Campaign | None = None
        self._plan: Plan | None = None
        self._broken: tuple[str, TinymlError] | None = None
        self._ours: set[str] = set()
        self._failures: list[str] = []
        self._current = ""
        self._canaried = self._started = self._finished = False
        self._shown = time.monotonic()
        self._results: dict[str, Any] | None = None
        self._report_error: TinymlError | None = None
        self._written: Path | None = None

    # What the session does with it.

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Check everything that can be checked without the board."""
        if self._config.args_source is not self._config.ArgsSource.ARGS:
            self._config.args[:0] = suite_arguments(self._config)
        self._plan, self._campaign = plan_session(self._config, self.settings)

    def pytest_report_header(self) -> list[str]:
        """Say what will be run; called before the session's checks, so from the options."""
        settings = self.settings
        folder = self._relative(settings.report)
        what = f"model {settings.model}, board {settings.board}, data {settings.dataset}"
        return [f"tinyml: {what}, reference {settings.reference}, report {folder}"]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Remember which test is running; when the board has failed for good, the tests that need it skip."""
        self._current = item.nodeid
        if uses_board(item):
            self._ours.add(item.nodeid)
        if self._broken is not None and not _NEED_BOARD.isdisjoint(getattr(item, "fixturenames", ())):
            self._skip()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what failed, for the results."""
        if report.failed and report.nodeid in self._ours:
            self._failures.append(f"{report.nodeid.rpartition('::')[2]}: {_first_line(report)}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the results and switch everything off."""
        campaign = self._campaign
        if campaign is None:
            return
        try:
            try:
                campaign.close()
            finally:
                if campaign.bench.identities or self._broken is not None:
                    self._conclude()
        except TinymlError as error:
            self._report_error = error
            if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            if self._config.pluginmanager.get_plugin("terminalreporter") is None:
                sys.stderr.write(f"ERROR: {error}\n")
        finally:
            campaign.close_journal()

    def _conclude(self) -> None:
        """Make the results, offer them to the hook, and write them even if that fails."""
        self._results = self.results()
        try:
            self._config.hook.pytest_tinyml_results(config=self._config, results=self._results)
        finally:
            self._written = write_results(self.settings.report, self._results)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how it went."""
        if self._results is not None:
            passed = bool(self._results["passed"])
            terminalreporter.section("tinyml", green=passed, red=not passed)
            for line in summary_lines(self._results):
                terminalreporter.write_line(line)
            answered, wanted = self._results["metrics"]["count"], self._results["dataset"]["count"]
            if 0 < answered < wanted:
                terminalreporter.write_line(
                    f"  the journal keeps the {answered:,} answers: the same command goes on from there"
                )
        if self._written is not None:
            terminalreporter.write_line(f"  results: {self._relative(self._written)}")
        if self._report_error is not None:
            terminalreporter.write_line(f"ERROR: {self._report_error}", red=True)

    # What the fixtures ask for.

    @property
    def campaign(self) -> Campaign:
        """The session's campaign; exists when tests run."""
        return cast("Campaign", self._campaign)

    @property
    def plan(self) -> Plan:
        """What the session is to do; exists when tests run."""
        return cast("Plan", self._plan)

    @property
    def model(self) -> Model:
        """The model under test."""
        return self.plan.model

    @property
    def dataset(self) -> Dataset:
        """The data set."""
        return self.plan.dataset

    def shards(self) -> Iterable[range]:
        """Cut the samples into shards, one test each."""
        total, size = self.plan.samples, self.settings.shard_size
        return [range(start, min(start + size, total)) for start in range(0, total, size)]

    def board(self) -> BoardHandle:
        """Open the boards once."""
        self._guard(self.campaign.bench.connect)
        return BoardHandle(self)

    def reference(self) -> ReferenceHandle:
        """Begin to compute the reference once."""
        return ReferenceHandle(self)

    def run(self) -> RunHandle:
        """Begin the run once."""
        self.board()
        self.check_canaries()
        if not self._started:
            self._guard(self.campaign.start)
            self._started = True
            resumed, total = self.campaign.run.resumed, self.plan.samples
            if resumed:
                kept = self._relative(self.settings.journal)
                self._say(f"resuming: {resumed:,} of {total:,} samples are in {kept} (--tinyml-fresh starts over)")
        return RunHandle(self)

    def check_canaries(self) -> None:
        """Send the canaries once, before the run."""
        if not self._canaried:
            self._guard(self.campaign.bench.check_canaries)
            self._canaried = True

    def wait_for(self, ids: Sequence[int]) -> None:
        """Wait for samples, saying now and then how far the run is."""

        def wait() -> None:
            while not self.campaign.wait_for(ids, 0.5):
                self._show_progress()

        self._guard(wait)

    def finish(self) -> None:
        """Wait for all samples and check the state of the boards, once."""
        self.wait_for(range(self.plan.samples))
        if not self._finished:
            self._finished = True
            self._guard(self.campaign.finish)

    def infer(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """See `BoardHandle.infer`."""
        if self._started:
            self.wait_for(range(self.plan.samples))
        return self.campaign.infer(images)

    def results(self) -> dict[str, Any]:
        """Return what results.json holds at this moment."""
        return build_results(self.campaign, failures=self._failures, hardware=self.plan.kind.hardware)

    def _guard(self, action: Callable[[], object]) -> None:
        """Run a step of the campaign; when the board has failed for good, one test fails and the later ones skip."""
        if self._broken is not None and self._broken[0] != self._current:
            self._skip()
        try:
            action()
        except TinymlError as error:
            self._broken = self._broken or (self._current, error)
            failure = f"{type(error).__name__}: {error}"
        else:
            return
        # The message is made for the reader; a traceback through the harness, or the chain of causes, is not.
        pytest.fail(failure, pytrace=False)

    def _skip(self) -> Never:
        where, error = cast("tuple[str, TinymlError]", self._broken)
        what = "the board failed" if isinstance(error, BoardError | CanaryError) else "the run ended"
        pytest.skip(f"{what} in {where.rpartition('::')[2]}: {str(error).splitlines()[0]}")

    def _show_progress(self) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        interval = _TTY_S if reporter is not None and reporter.isatty else _LOG_S
        if time.monotonic() - self._shown >= interval:
            self._say(str(progress(self.campaign)))

    def _say(self, text: str) -> None:
        """Write a line between the tests' dots, unless pytest was told to be quiet."""
        self._shown = time.monotonic()
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or self._config.get_verbosity() < 0:
            return
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            reporter.ensure_newline()
            reporter.write_line(f"tinyml: {text}")

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path, self._config.invocation_params.dir)


def _first_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash is not None else report.longrepr)
    return text.strip().splitlines()[0].removeprefix("Failed: ") if text.strip() else "failed"
