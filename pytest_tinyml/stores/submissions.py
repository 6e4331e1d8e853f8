"""Submissions in the journal: what was meant to be sent, and what became of it, so that nothing is sent twice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.errors import JournalError, UsageError
from pytest_tinyml.records import ITEM_BYTES, TensorSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.stores.journal import Journal

_COLUMNS: Final = "run, competition, state, at, tag, csv_sha256, message, ref, score, text"


class State(StrEnum):
    """What became of a submission."""

    INTENT = "intent"
    """It was about to be sent; whoever was at it did not live to say more."""
    DOUBT = "doubt"
    """It was being sent when something went wrong; whether it arrived is not known."""
    REFUSED = "refused"
    """It was not sent, or Kaggle did not take it; it may be sent again."""
    SENT = "sent"
    """Kaggle has it."""
    SCORED = "scored"
    """Kaggle has it and gave it a score."""
    FAILED = "failed"
    """Kaggle has it and could not score it."""


UNKNOWN: Final = frozenset({State.INTENT, State.DOUBT})
"""Kaggle's list has to be looked at before it is sent again."""
ARRIVED: Final = frozenset({State.SENT, State.SCORED, State.FAILED})
"""Never sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One run's submission to a competition.

    Attributes:
        run: of the journal.
        competition: its name.
        state: see there.
        at: Unix time of the last attempt to send it.
        tag: what the message holds and no other does.
        csv_sha256: of the file.
        message: that goes with it; holds the tag.
        ref: Kaggle's number.
        score: the public score, 0..1.
        text: what went wrong, if anything did.
    """

    run: int
    competition: str
    state: State
    at: float
    tag: str
    csv_sha256: str
    message: str
    ref: int | None = None
    score: float | None = None
    text: str = ""


def load_submission(journal: Journal, run: int, competition: str, csv_sha256: str) -> Submission | None:
    """Return what is known of a run's submission.

    Where this run has none, one of another run that holds the same predictions and of which it is not known whether it
    arrived: a command that is repeated after a failure measures anew, but must not submit the same twice.
    """
    rows = journal.execute(
        f"SELECT {_COLUMNS} FROM submission WHERE competition = ? AND "  # noqa: S608 - a constant
        "(run = ? OR (csv_sha256 = ? AND state IN ('intent', 'doubt'))) ORDER BY run = ? DESC, at DESC LIMIT 1",
        (competition, run, csv_sha256, run),
    )
    if not rows:
        return None
    values = dict(zip(_COLUMNS.split(", "), rows[0], strict=True))
    return Submission(**values | {"state": State(values["state"])})


def save_submission(journal: Journal, submission: Submission) -> None:
    """Put a submission into the journal, in the place of what was known of it."""
    marks = ", ".join("?" * len(_COLUMNS.split(", ")))
    row = list(asdict(submission).values())
    journal.write([(f"INSERT OR REPLACE INTO submission ({_COLUMNS}) VALUES ({marks})", [row])])  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run whose verdict is in the journal.

    Attributes:
        id: in the journal.
        tag: no other run of any journal has it.
        results: what was found (docs/reference/results.md), without the submission.
        scores: the output's dtype, [N, C].
        output: the model's output tensor.
    """

    id: int
    tag: str
    results: dict[str, Any]
    scores: npt.NDArray[Any]
    output: TensorSpec


def load_run(journal: Journal, run: int | None) -> FinishedRun:
    """Return a run by its number, or the last one that has a verdict.

    Raises:
        UsageError: there is none.
        JournalError: the journal holds other answers than the verdict says.
    """
    query = "SELECT verdict.run, run.identity, run.started, results FROM verdict JOIN run ON run.id = verdict.run"
    if run is None:
        rows = journal.execute(f"{query} ORDER BY verdict.at DESC LIMIT 1")
    else:
        rows = journal.execute(f"{query} WHERE run.id = ?", (run,))
    if not rows:
        which = "no run" if run is None else f"no run {run}"
        known = ", ".join(str(row[0]) for row in journal.execute("SELECT run FROM verdict ORDER BY run"))
        msg = f"{journal.path} has {which} with a verdict; those that have one: {known or 'none'}"
        raise UsageError(msg)
    number, identity, started, text = rows[0]
    results: dict[str, Any] = json.loads(text)
    output = TensorSpec.from_record(results["model"]["output"])
    answers = journal.execute("SELECT sample, scores FROM result WHERE run = ? ORDER BY sample", (number,))
    wanted = int(results["dataset"]["count"])
    if [row[0] for row in answers] != list(range(wanted)) and results["passed"]:
        msg = f"{journal.path}: run {number} has {len(answers):,} answers, not {wanted:,}"
        raise JournalError(msg)
    width = output.elements * ITEM_BYTES[output.dtype]
    scores = np.frombuffer(b"".join(row[1] for row in answers), dtype=np.uint8).reshape(len(answers), width)
    return FinishedRun(
        id=int(number),
        tag=hashlib.sha256(f"{identity} {started!r}".encode()).hexdigest()[:16],
        results=results,
        scores=scores.view(output.dtype),
        output=output,
    )
