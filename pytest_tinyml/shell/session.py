"""One pytest session with ``--board``: a harness per run (model x board), one after the other, and what they found."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_tinyml.errors import TinymlError
from pytest_tinyml.report.formats import choose_formats
from pytest_tinyml.report.jobpage import add_to_job_page
from pytest_tinyml.report.junit import properties
from pytest_tinyml.report.sidebyside import comparison
from pytest_tinyml.report.submission import other_data
from pytest_tinyml.report.terminal import summary
from pytest_tinyml.shell.device import lend_consoles
from pytest_tinyml.shell.fixtures import HARNESS
from pytest_tinyml.shell.harness import NEED_BOARD, Harness
from pytest_tinyml.shell.plugin import uses_board
from pytest_tinyml.shell.starting import extra_files, plan_session, suite_arguments, suite_file
from pytest_tinyml.shell.talk import Talk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

    from pytest_tinyml.shell.options import Settings

_SUCCESS: Final = frozenset({pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})


class Session:
    """The plugin object of a session with ``--board``.

    Attributes:
        settings: the options.
        harnesses: one per board and model that were asked for, in that order; there when the session has started.
        record_property: adds a name and a value to the suite in the file of ``--junitxml``; None until a test has asked
            for a board, which is when pytest hands it out.
    """

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        """Do nothing yet: everything is looked up when the session starts."""
        self.settings = settings
        self.harnesses: tuple[Harness, ...] = ()
        self._config = config
        self._concerned: dict[str, tuple[Harness, ...]] = {}
        self._job_page: str | None = None
        self.record_property: Callable[[str, object], None] | None = None

    @property
    def several(self) -> bool:
        """Whether more than one board or model was asked for, so that tests run once per each; one tag can be many."""
        return len(self.harnesses) > 1

    @property
    def names(self) -> list[str]:
        """What tests are parametrised with."""
        return [harness.name for harness in self.harnesses]

    def harness(self, name: str | None) -> Harness | None:
        """Return the harness of a run; without a name, the only one there is, or None."""
        if name is None:
            return None if self.several else self.harnesses[0]
        return next(harness for harness in self.harnesses if harness.name == name)

    def shards(self) -> Iterable[range]:
        """Cut the samples into shards, one test each; the same for every run."""
        total, size = self.harnesses[0].plan.samples, self.settings.shard_size
        return [range(start, min(start + size, total)) for start in range(0, total, size)]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Check everything that can be checked without a board."""
        if self._config.args_source is not self._config.ArgsSource.ARGS:
            self._config.args[:0] = suite_arguments(self._config)
        self._config.args += extra_files(self.settings)
        self.harnesses = tuple(
            Harness(
                self._config,
                self.settings,
                name=name,
                plan=plan,
                campaign=campaign,
                folder=folder,
                talk=talk,
            )
            for name, plan, campaign, folder, talk in plan_session(self._config, self.settings)
        )
        if self.settings.submit is not None and self.harnesses[0].dataset.labels is not None:
            Talk(self._config, "").say(other_data(self.harnesses[0].dataset.name, self.settings.submit))
        lend_consoles(self._config, [harness.plan.kind for harness in self.harnesses], self.settings.count)

    def pytest_report_header(self) -> list[str]:
        """Say what will be run; called before the session's checks, so from the options."""
        settings = self.settings
        folder = Talk(self._config, "").relative(settings.report)
        boards = f"board{'s' if len(settings.boards) > 1 else ''} {', '.join(settings.boards)}"
        models = f"model{'s' if len(settings.models) > 1 else ''} {', '.join(settings.models)}"
        what = f"{models}, {boards}, data {settings.dataset}"
        then = "" if settings.submit is None else f", then submit to {settings.submit}"
        reference = "" if settings.reference is None else f", reference {settings.reference}"
        return [f"tinyml: {what}{reference}, report {folder}{then}"]

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
        """Collect what an option asks for also where its folder was named; by the names of files, pytest would not."""
        if str(file_path) not in extra_files(self.settings) or parent.session.isinitpath(file_path):
            return None
        module: pytest.Module = pytest.Module.from_parent(parent, path=file_path)
        return module

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Keep the tests of a run together, whatever other plugins did to the order.

        Two boards that run at the same time would share the processors, and neither's latency would mean anything.
        Performance mode and the baseline come after the other tests of their run. A submission comes last, and is not
        deselected: it was asked for.
        """
        last = [item for item in items if _submits(item)][:1]
        yield
        items[:] = [item for item in items if not _submits(item)]
        names, extra = self.names, ["", *extra_files(self.settings)]

        def turn(item: pytest.Item) -> tuple[int, int]:
            path = str(item.path)
            return names.index(_run_of(item) or names[0]), extra.index(path) if path in extra else 0

        items.sort(key=turn)
        items += last

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Remember whose test is running; when a board has failed for good, the tests that need it skip."""
        harness = self.harness(_run_of(item))
        # A failure of a marked test that takes no fixture speaks for none of several boards, so for all.
        concerned = self.harnesses if harness is None else (harness,)
        if uses_board(item):
            self._concerned[item.nodeid] = concerned
        for each in concerned:
            each.current = item.nodeid
        if harness is not None and not NEED_BOARD.isdisjoint(getattr(item, "fixturenames", ())):
            harness.skip_if_broken()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what failed, for the results."""
        if report.failed:
            for harness in self._concerned.get(report.nodeid, ()):
                harness.failures.append(f"{report.nodeid.rpartition('::')[2]}: {_first_line(report)}")

    def pytest_runtest_logfinish(self) -> None:
        """Write the results of a board whose tests are done, before the next one takes its time."""
        for harness in self.harnesses:
            if harness.released:
                harness.conclude()

    def pytest_keyboard_interrupt(self) -> None:
        """Look for no causes any more: the user wants to have the terminal back."""
        for harness in self.harnesses:
            harness.explaining.wanted = harness.costing.wanted = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Switch everything off and write the results that are not written yet."""
        for harness in self.harnesses:
            harness.conclude()
        self._record()
        found = [harness.results for harness in self.harnesses if harness.results is not None]
        if choose_formats(self.settings.formats):
            self._job_page = add_to_job_page(found, os.environ)
        for harness in self.harnesses:
            # A gate was asked for: it fails the session also if its test was not selected.
            if (harness.error is not None or harness.regressed) and session.exitstatus in _SUCCESS:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            if isinstance(harness.error, TinymlError):
                if self._config.pluginmanager.get_plugin("terminalreporter") is None:
                    sys.stderr.write(f"ERROR: {harness.error}\n")
            elif harness.error is not None:
                raise harness.error

    def _record(self) -> None:
        """Say in the file of ``--junitxml``, which is written after this, what was tested, and the figures."""
        for harness in self.harnesses:
            run = f"[{harness.name}]" if self.several else ""
            if self.record_property is not None and harness.results is not None:
                for key, value in properties(harness.results).items():
                    self.record_property(f"{key}{run}", value)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how it went."""
        found = [harness.results for harness in self.harnesses if harness.results is not None]
        if found:
            passed = all(results["passed"] for results in found) and len(found) == len(self.harnesses)
            terminalreporter.write_sep("=", "tinyml", green=passed, red=not passed)
            for line in comparison(found) if self.several else summary(found[0]):
                terminalreporter.write_line(line.text, **line.tone.markup)
            for text in [*(f"  {line}" for line in self._left_lines()), *self._written_lines()]:
                terminalreporter.write_line(text)
        if self._job_page is not None:
            terminalreporter.write_line(f"  {self._job_page}", yellow=True)
        for harness in self.harnesses:
            if harness.error is not None:
                terminalreporter.write_line(f"ERROR: {harness.error}", red=True)

    def _left_lines(self) -> Iterator[str]:
        """Say which boards were not reached, and what can be gone on with."""
        for harness in self.harnesses:
            who = f"{harness.name}: " if self.several else ""
            if harness.results is None:
                yield f"{who}no test of this {'board' if len(self.settings.models) == 1 else 'run'} was run"
                continue
            answered, wanted = harness.results["metrics"]["count"], harness.results["dataset"]["count"]
            if harness.regression.saved:
                yield f"{who}{harness.regression.saved}"
            sequential = harness.results["sequential"]
            if 0 < answered < wanted and not (sequential is not None and sequential["stopped"]):
                yield f"{who}the journal keeps the {answered:,} answers: the same command goes on from there"

    def _written_lines(self) -> list[str]:
        talk = Talk(self._config, "")
        return [
            f"  {'results' if path.suffix == '.json' else 'report'}: {talk.relative(path)}"
            for harness in self.harnesses
            for path in harness.written
        ]


def _run_of(item: pytest.Item) -> str | None:
    """Return the run that a test is parametrised with; None with one run, or if it uses none."""
    callspec = getattr(item, "callspec", None)
    name: str | None = None if callspec is None else callspec.params.get(HARNESS)
    return name


def _submits(item: pytest.Item) -> bool:
    return str(item.path) == suite_file("submission")


def _first_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash is not None else report.longrepr)
    return text.strip().splitlines()[0].removeprefix("Failed: ") if text.strip() else "failed"
