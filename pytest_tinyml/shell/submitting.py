"""``--tinyml-submit``: checked when the session starts, done when everything else is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_tinyml.campaign.submission import check_shape, facts, submit
from pytest_tinyml.errors import TinymlError, UsageError
from pytest_tinyml.kaggle.client import check_access
from pytest_tinyml.kaggle.competitions import get_competition
from pytest_tinyml.stores.submissions import ARRIVED, UNKNOWN, State, load_run, load_submission

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.shell.harness import Harness
    from pytest_tinyml.shell.options import Settings
    from pytest_tinyml.stores.submissions import Submission

FILE: Final = "submission.csv"


def check_request(plans: Sequence[Plan], names: Sequence[str], settings: Settings, *, online: bool) -> None:
    """Refuse a submission that cannot come about, before anything is run.

    Args:
        plans: of the session.
        names: of its runs.
        settings: of the session.
        online: also ask Kaggle whether the credentials are good and the competition takes submissions.

    Raises:
        UsageError: with what would do.
    """
    if settings.submit is None:
        return
    competition = get_competition(settings.submit)
    if len(plans) > 1:
        msg = (
            f"--tinyml-submit {competition.name} is for one run, but these are {len(plans)} ({', '.join(names)}): take "
            "one board and one model, or submit the run of your choice afterwards with tinyml submit --run ID"
        )
        raise UsageError(msg)
    (plan,) = plans
    check_shape(competition, samples=plan.samples, model=plan.model, dataset=plan.dataset.name)
    if online:
        check_access(competition)


class Submitter:
    """Submits the run of a harness.

    Args:
        harness: of the only board.
        competition: its name.
        folder: receives the file.
        say: tells the user what happens.

    Attributes:
        facts: ``submission`` of results.json, as far as it is known.
    """

    def __init__(self, harness: Harness, competition: str, folder: Path, say: Callable[[str], None]) -> None:
        """Do nothing yet."""
        self._harness, self._folder, self._say = harness, folder, say
        self._competition = get_competition(competition)
        self._tried = False
        self.facts = facts(self._competition, None, None, error="the session ended before it")

    def submit(self) -> dict[str, Any]:
        """Submit, once, when everything is answered and nothing has failed; the test that asks fails otherwise."""
        if not self._tried:
            self._tried = True
            self.facts = self._submit()
        state, error = self.facts["state"], self.facts["error"]
        if state not in ARRIVED and state not in UNKNOWN:
            pytest.fail(f"not submitted: {error}", pytrace=False)
        if state in UNKNOWN or state == State.FAILED:
            pytest.fail(error if state in UNKNOWN else f"Kaggle could not score the submission: {error}", pytrace=False)
        return self.facts

    def _submit(self) -> dict[str, Any]:
        harness, competition = self._harness, self._competition
        if harness.broken is not None:
            where, ended = harness.broken
            what = str(ended).splitlines()[0]
            return facts(competition, None, None, error=f"the run ended in {where.rpartition('::')[2]}: {what}")
        try:
            harness.run()
            harness.finish()
        except pytest.fail.Exception as failure:
            return facts(competition, None, None, error=str(failure).splitlines()[0])
        harness.keep_verdict()
        journal, path = harness.campaign.run.journal, self._folder / FILE
        run = load_run(journal, harness.campaign.run.id)
        error: str | None = None
        known: Submission | None
        try:
            timeout_s = harness.settings.submit_timeout
            known = submit(journal, run, competition, path=path, timeout_s=timeout_s, say=self._say)
        except TinymlError as problem:
            error = str(problem)
            known = load_submission(journal, run.id, competition.name, "")
        except BaseException:
            # Ctrl-C, for one: the report must not say that nothing was tried.
            known = load_submission(journal, run.id, competition.name, "")
            error = f"interrupted; tinyml submit {competition.name} looks whether it arrived"
            self.facts = facts(competition, run.results, known, error=error)
            raise
        return facts(competition, run.results, known, file=None if known is None else FILE, error=error)
