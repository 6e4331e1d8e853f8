"""One board of a pytest session: holds its campaign, opens it when it is first asked for, and reports at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Never, cast

import pytest

from pytest_tinyml.campaign.progress import progress
from pytest_tinyml.errors import BoardError, CanaryError, TinymlError
from pytest_tinyml.report.formats import choose_formats
from pytest_tinyml.report.gitfacts import git_facts
from pytest_tinyml.report.results import build_results, write_results
from pytest_tinyml.report.session import write_all
from pytest_tinyml.shell.costing import Costing
from pytest_tinyml.shell.early import early_stop
from pytest_tinyml.shell.explaining import Explaining
from pytest_tinyml.shell.handles import BoardHandle, ReferenceHandle, RunHandle
from pytest_tinyml.shell.regression import Regression
from pytest_tinyml.shell.submitting import Submitter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.records import Dataset, Model
    from pytest_tinyml.shell.options import Settings
    from pytest_tinyml.shell.talk import Talk
    from pytest_tinyml.stores.baseline import Baseline

NEED_BOARD: Final = frozenset({"tinyml_board", "tinyml_run"})


class Harness:
    """See the module.

    Args:
        config: of the session.
        settings: of the session.
        name: of the run among those of the session.
        plan: what is to be done with this board.
        campaign: does it.
        folder: receives results.json.
        talk: tells the user what happens.

    Attributes:
        name: what tells its run from the session's others: the board, the model, or both.
        settings: of the session.
        plan: see there.
        campaign: see there.
        current: id of the test that is running.
        broken: the test in which the board failed for good, and how; else None.
        failures: of tests that use this board, one line each.
        results: what was written, when it was.
        written: the files that were written, results.json first.
        error: why the results could not be made, written or completed by the hook.
        regression: compares the run with a baseline, if that was asked for.
        explaining: looks for the cause of a mismatch.
        costing: counts the instructions of each operator.
        submitter: submits the predictions, if that was asked for.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        *,
        name: str,
        plan: Plan,
        campaign: Campaign,
        folder: Path,
        talk: Talk,
    ) -> None:
        """Do nothing yet."""
        self.name, self.settings, self.plan, self.campaign = name, settings, plan, campaign
        self.current = ""
        self.broken: tuple[str, TinymlError] | None = None
        self.failures: list[str] = []
        self.results: dict[str, Any] | None = None
        self.written: list[Path] = []
        self.error: Exception | None = None
        self.released = False
        self._config, self._folder, self._talk = config, folder, talk
        self._canaried = self._started = self._finished = self._concluded = self._judged = False
        self.regression = Regression(plan, settings, campaign, talk.relative)
        self.explaining = Explaining(plan, settings, campaign, folder, talk.say)
        self.costing = Costing(plan, settings, self.regression, folder, talk.say)
        self.submitter = None
        if settings.submit is not None:
            self.submitter = Submitter(self, settings.submit, folder, talk.say)

    # What the session does with it.

    def skip_if_broken(self) -> None:
        """Skip the test that is being set up when the board has failed for good."""
        if self.broken is not None:
            self._skip()

    def release(self) -> None:
        """Switch the boards off: no test will ask for them any more. Harmless when repeated."""
        self.released = True
        try:
            self.campaign.close()
        except TinymlError as error:
            self.error = self.error or error

    def conclude(self) -> None:
        """Switch the boards off and write the results, once; what goes wrong is kept in `error`."""
        if self._concluded:
            return
        self.release()
        try:
            if self.campaign.bench.identities or self.broken is not None:
                self._report()
        except Exception as error:  # noqa: BLE001 - also what somebody's hook raises: other boards' tests go on
            self.error = self.error or error
        self.campaign.close_journal()
        self._concluded = True

    def _report(self) -> None:
        """Make the results, offer them to the hook, and write them even if that fails; then the other reports."""
        self.explaining.explain(None if self.broken is None else self.broken[1])
        self.results = self.results_now()
        if self.costing.measure(self.results):
            self.results = self.results_now()
        self._keep(self.results | {"submission": None})
        try:
            self._config.hook.pytest_tinyml_results(config=self._config, results=self.results)
        finally:
            self.written = [write_results(self._folder, self.results)]
        try:
            self.written += write_all(self.campaign, self.results, self._folder, choose_formats(self.settings.formats))
        finally:
            self.regression.save(self.results)

    # What the fixtures ask for.

    @property
    def model(self) -> Model:
        """The model under test."""
        return self.plan.model

    @property
    def dataset(self) -> Dataset:
        """The data set."""
        return self.plan.dataset

    def board(self) -> BoardHandle:
        """Open the boards once."""
        self._guard(self.campaign.bench.connect)
        self._guard(self.regression.resolve)
        return BoardHandle(self)

    @property
    def baseline(self) -> Baseline | None:
        """What the run is compared with; known when the board is open, None in the first run."""
        return self.regression.baseline

    @property
    def regressed(self) -> bool:
        """Whether a gate has failed, or the sequential test says that the board is worse."""
        if self.results is None:
            return False
        sequential = self.results["sequential"]
        if sequential is not None and sequential["verdict"] == "regression":
            return True
        return any(gate["status"] == "failed" for gate in self.results["gates"] or ())

    def reference(self) -> ReferenceHandle:
        """Begin to compute the reference once."""
        return ReferenceHandle(self)

    def run(self) -> RunHandle:
        """Begin the run once."""
        self.board()
        self.check_canaries()
        if not self._started:
            self.campaign.early = early_stop(self.settings, self.campaign, self.regression)
            self._guard(self.campaign.start)
            self._started = True
            # If this process is killed, the run can be reported all the same.
            self._guard(lambda: self.campaign.run.keep_facts(self.results_now()))
            resumed, total = self.campaign.run.resumed, self.plan.samples
            if resumed:
                kept = self._talk.relative(self.settings.journal)
                self._talk.say(f"resuming: {resumed:,} of {total:,} samples are in {kept} (--tinyml-fresh starts over)")
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
                self._talk.now_and_then(lambda: str(progress(self.campaign)))
            self._talk.catch_up()

        self._guard(wait)

    def finish(self) -> None:
        """Wait for all samples and check the state of the boards, once."""
        self.wait_for(range(self.plan.samples))
        if not self._finished:
            self._finished = True
            self._guard(self.campaign.finish)

    def measure_performance(self) -> None:
        """Wait for all samples, then measure inferences per second, once."""
        self.wait_for(range(self.plan.samples))
        if not self.campaign.bench.performance:
            self._guard(self.campaign.measure_performance)

    def infer(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """See `BoardHandle.infer`."""
        if self._started:
            self.wait_for(range(self.plan.samples))
        return self.campaign.infer(images)

    def results_now(self) -> dict[str, Any]:
        """Return what results.json holds at this moment."""
        submission = None if self.submitter is None else self.submitter.facts
        return self._build(submission)

    def keep_verdict(self) -> None:
        """Put the verdict into the journal, once: what becomes of a submission is no part of it."""
        self._keep(self._build(None))

    def _keep(self, verdict: dict[str, Any]) -> None:
        if not self._judged and self.campaign.started_at is not None:
            self._judged = True
            self.campaign.run.keep_verdict(verdict)

    def _build(self, submission: dict[str, Any] | None) -> dict[str, Any]:
        results = build_results(
            self.campaign,
            failures=self.failures,
            hardware=self.plan.kind.hardware,
            submission=submission,
            git=git_facts(self._config.rootpath),
            explanation=self.explaining.found,
        )
        return self.regression.judge(results | {"operators": self.costing.found})

    def _guard(self, action: Callable[[], object]) -> None:
        """Run a step of the campaign; when the board has failed for good, one test fails and the later ones skip."""
        if self.broken is not None and self.broken[0] != self.current:
            self._skip()
        try:
            action()
        except TinymlError as error:
            self.broken = self.broken or (self.current, error)
            failure = f"{type(error).__name__}: {error}"
        else:
            return
        # The message is made for the reader; a traceback through the harness, or the chain of causes, is not.
        pytest.fail(failure, pytrace=False)

    def _skip(self) -> Never:
        where, error = cast("tuple[str, TinymlError]", self.broken)
        what = "the board failed" if isinstance(error, BoardError | CanaryError) else "the run ended"
        pytest.skip(f"{what} in {where.rpartition('::')[2]}: {str(error).splitlines()[0]}")
