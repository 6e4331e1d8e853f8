"""``--tinyml-compare``, ``--tinyml-fail-on`` and ``--tinyml-save``: the baseline of one run."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.campaign.baselines import RunFacts, choose, comparable
from pytest_tinyml.campaign.samples import truth_of
from pytest_tinyml.report.baseline import baseline_facts, content_of, judge_gates
from pytest_tinyml.report.latency import CLOCKS, clock_name
from pytest_tinyml.stores.baseline import BaselineKey, list_baselines, save_baseline
from pytest_tinyml.verdict.compare import predictions
from pytest_tinyml.verdict.paired import Paired, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.shell.options import Settings
    from pytest_tinyml.stores.baseline import Baseline


def check_baselines(plans: Sequence[Plan], settings: Settings) -> None:
    """Refuse a comparison that cannot come about, before anything is run, as far as that is known without a board.

    Raises:
        BaselineError: see `choose` and `list_baselines`.
    """
    if settings.compare is None:
        return
    names = {clock.name.lower(): name for clock, name in CLOCKS.items()}
    for plan in plans:
        clock = names.get(plan.expected_clock)
        baseline = choose(_found(plan, settings), settings.compare, _run_facts(plan, clock=clock))
        if baseline is not None:
            baseline.predictions()


class Regression:
    """See the module.

    Args:
        plan: of the run.
        settings: of the session.
        campaign: the run.
        relative: writes a path as the user would type it.

    Attributes:
        baseline: what the run is compared with; None if that was not asked for, before the board was asked what it is,
            and in the first run.
        before: the classes that the baseline predicted, int64 [samples]; None without one, and of a regression.
        saved: what became of the wish to save a baseline, in words; empty if there was none.
    """

    def __init__(self, plan: Plan, settings: Settings, campaign: Campaign, relative: Callable[[Path], str]) -> None:
        """Do nothing yet."""
        self.baseline: Baseline | None = None
        self.saved = ""
        self._plan, self._settings, self._campaign, self._relative = plan, settings, campaign, relative
        self._resolved = False
        self._history: list[Baseline] = []
        self.before: npt.NDArray[np.int64] | None = None

    def resolve(self) -> None:
        """Choose the baseline, once the board has said what it is.

        Raises:
            BaselineError: it must not be compared with, or cannot be read.
        """
        if self._resolved or self._settings.compare is None:
            return
        found = _found(self._plan, self._settings)
        identity = self._campaign.bench.identity
        run = _run_facts(self._plan, clock=clock_name(identity), chip=identity.chip, engine=identity.engine)
        baseline = choose(found, self._settings.compare, run)
        if baseline is not None:
            self.before = baseline.predictions()
            self._history = comparable(found, run)
            self.baseline = baseline
        self._resolved = True

    def judge(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``baseline`` and ``gates`` to results, and failed gates to their problems; returns the results."""
        if not self._resolved:
            return results
        paired = self._paired()
        outcomes = judge_gates(self._settings.fail_on, results, self.baseline, paired)
        if self.baseline is not None:
            file = self._relative(self.baseline.path)
            results["baseline"] = baseline_facts(self.baseline, self._history, paired, file=file)
        results["gates"] = [asdict(outcome) for outcome in outcomes]
        results["problems"] = [
            *results["problems"],
            *(outcome.text for outcome in outcomes if outcome.status == "failed"),
        ]
        results["passed"] = not results["problems"]
        return results

    def save(self, results: dict[str, Any]) -> None:
        """Keep a run as a baseline, if that was asked for and nothing speaks against it.

        Raises:
            BaselineError: the storage cannot be written.
        """
        settings = self._settings
        if settings.save is None and not settings.autosave:
            return
        if not results["passed"]:
            # Its figures are what a later run must not be measured by.
            self.saved = "no baseline was saved: the run did not pass"
            return
        if results["sequential"] is not None and results["sequential"]["stopped"]:
            self.saved = "no baseline was saved: the run ended before its last sample (--tinyml-sequential)"
            return
        name = settings.save or automatic_name(results.get("git"))
        _, now = self._predicted()
        kept = save_baseline(settings.storage, self._key(), name, content_of(results), now)
        self.saved = f"baseline saved: {self._relative(kept.path)}"

    def _key(self) -> BaselineKey:
        identity = self._campaign.bench.identity
        return BaselineKey(
            board=self._plan.kind.name,
            chip=identity.chip,
            engine=identity.engine,
            model=self._plan.model.name,
            dataset_sha256=self._plan.dataset.sha256,
        )

    def _predicted(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None]:
        """Return the ids that were answered, and their classes; no classes of a regression."""
        model, run = self._campaign.model, self._campaign.run
        ids = np.flatnonzero(run.done)
        if model.task == "regression":
            return ids, None
        return ids, predictions(run.scores[ids].view(model.output.dtype), model.output)

    def _paired(self) -> Paired | None:
        if self.before is None or self._campaign.started_at is None:
            return None
        ids, now = self._predicted()
        if now is None or not len(ids):
            return None
        truth = truth_of(self._campaign.model, self._campaign.dataset)
        labels = None if truth is None else np.asarray(truth[ids], dtype=np.int64)
        return pair(ids, self.before[ids], now, labels)


def _found(plan: Plan, settings: Settings) -> list[Baseline]:
    return list_baselines(settings.storage, board=plan.kind.name, model=plan.model.name)


def _run_facts(plan: Plan, *, clock: str | None, chip: str | None = None, engine: str | None = None) -> RunFacts:
    return RunFacts(
        model=plan.model.name,
        dataset=plan.dataset.name,
        dataset_sha256=plan.dataset.sha256,
        samples=plan.samples,
        clock=clock,
        chip=chip,
        engine=engine,
    )


def automatic_name(git: dict[str, Any] | None) -> str:
    """Return a name by the commit, or where that is not known, by the time."""
    if git is None:
        return time.strftime("auto-%Y%m%dT%H%M%SZ", time.gmtime())
    return f"commit-{git['commit'][:12]}{'-dirty' if git['dirty'] else ''}"
