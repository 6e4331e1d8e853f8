"""Submit the predictions of a run to a competition: once, whatever goes wrong on the way."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.errors import SubmissionError, UsageError
from pytest_tinyml.kaggle import client
from pytest_tinyml.kaggle.competitions import write_submission
from pytest_tinyml.stores.submissions import ARRIVED, UNKNOWN, State, Submission, load_submission, save_submission
from pytest_tinyml.verdict.compare import predictions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.kaggle.competitions import Competition
    from pytest_tinyml.records import Model
    from pytest_tinyml.stores.journal import Journal
    from pytest_tinyml.stores.submissions import FinishedRun

SETTLE_S: Final = 60.0
"""A submission that is not listed so long after the attempt has not arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the public score is put beside.

    Attributes:
        ratio: share of right predictions, 0..1.
        by: ``labels``: by the data set's; ``host``: it has none, so the host's predictions stand in for them.
    """

    ratio: float
    by: str


def expected(results: dict[str, Any]) -> Expected:
    """Return what is known of a run's accuracy (docs/reference/results.md)."""
    metrics = results["metrics"]
    if metrics["top1_board"] is not None:
        return Expected(ratio=metrics["top1_board"], by="labels")
    return Expected(ratio=metrics["argmax_agreement"], by="host")


def check_shape(competition: Competition, *, samples: int, model: Model, dataset: str) -> None:
    """Refuse what the competition cannot take, before anything is run.

    Raises:
        UsageError: the number of samples or of classes is another, or there are no classes.
    """
    if samples != competition.count:
        msg = (
            f"{competition.name} takes {competition.count:,} predictions, but this is a run over {samples:,} "
            f"samples of {dataset}"
        )
        raise UsageError(msg)
    if model.task != "classification":
        msg = f"{competition.name} takes classes, but the task of model {model.name!r} is {model.task}"
        raise UsageError(msg)
    classes = model.output.elements
    if classes != competition.classes:
        msg = f"{competition.name} has {competition.classes} classes, but the model's output has {classes}"
        raise UsageError(msg)


def write_predictions(run: FinishedRun, competition: Competition, path: Path) -> str:
    """Write the file for a competition; returns its SHA-256.

    Raises:
        SubmissionError: the run did not pass, or does not fit the competition.
    """
    if not run.results["passed"]:
        msg = f"run {run.id} did not pass: {(run.results['problems'] or ['no reason was kept'])[0]}"
        raise SubmissionError(msg)
    write_submission(path, competition, predictions(run.scores, run.output))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def describe_run(run: FinishedRun) -> str:
    """Return the message that goes with a submission; its tag is how it is known again."""
    results = run.results
    board, known = results["board"], expected(results)
    parts = [
        f"{results['model']['name']} on {board['name']} (engine {board['engine']})",
        f"agreement with {results['reference']['name']} {results['metrics']['argmax_agreement']:.2%}",
    ]
    if known.by == "labels":
        parts.append(f"expected {known.ratio:.2%}")
    return f"{', '.join(parts)} [tinyml {run.tag}]"


def submit(
    journal: Journal,
    run: FinishedRun,
    competition: Competition,
    *,
    path: Path,
    timeout_s: float,
    say: Callable[[str], None],
) -> Submission:
    """Submit a run unless it was, and wait for the public score.

    Args:
        journal: holds the run; keeps what is meant to be sent before it is, and what became of it.
        run: complete and passed.
        competition: where.
        path: of the file that is made.
        timeout_s: longest wait for the upload, and again for the score.
        say: tells the user what happens.

    Returns:
        What Kaggle has; its state is `State.SENT` if there is no score yet.

    Raises:
        SubmissionError: it was not submitted; or, if `doubt` is set, it is not known whether it was.
        CredentialsError, MissingDependencyError: there is nothing to submit it with.
        JournalError: another process is submitting the same predictions, or the journal cannot be written.
    """
    digest = write_predictions(run, competition, path)
    journal.exclude_others(f"submission {competition.name} {digest}")
    known = load_submission(journal, run.id, competition.name, digest)
    if known is not None and known.state in UNKNOWN:
        say(f"looking whether {competition.name} has this submission already")
        known = _look_again(journal, known, competition)
    if known is not None and known.state in ARRIVED:
        say(f"{competition.name} has this submission already: it is not sent again")
        known = replace(known, run=run.id)
        save_submission(journal, known)
    else:
        message = describe_run(run)
        known = Submission(
            run=run.id,
            competition=competition.name,
            state=State.INTENT,
            at=time.time(),
            tag=run.tag,
            csv_sha256=digest,
            message=message,
        )
        say(f"submitting to {competition.name}: {message}")
        known = _send(journal, known, competition, path, timeout_s)
    return known if known.state is not State.SENT else _await_score(journal, known, competition, timeout_s, say)


def _look_again(journal: Journal, known: Submission, competition: Competition) -> Submission | None:
    """Look for a submission of which it is not known whether it arrived; None if it has not."""
    left = min(max(0.0, known.at + SETTLE_S - time.time()), SETTLE_S)
    listed = client.find(competition, known.tag, scored=False, wait_s=left)
    if listed is None:
        return None
    known = replace(known, state=State.SENT, ref=listed.ref, text="")
    save_submission(journal, known)
    return known


def _send(journal: Journal, intent: Submission, competition: Competition, path: Path, timeout_s: float) -> Submission:
    """Send a submission, once: what is not known to have failed is not tried again."""
    deadline = time.monotonic() + timeout_s
    while True:
        save_submission(journal, intent)
        try:
            ref = client.send(competition, path, intent.message, timeout_s=timeout_s)
        except SubmissionError as error:
            if error.doubt:
                return _resolve(journal, intent, competition, error, timeout_s)
            save_submission(journal, replace(intent, state=State.REFUSED, text=str(error)))
            pause = error.retry_after_s
            if pause is None or time.monotonic() + pause > deadline:
                raise
            time.sleep(pause)
        except UsageError as error:
            save_submission(journal, replace(intent, state=State.REFUSED, text=str(error)))
            raise
        else:
            sent = replace(intent, state=State.SENT, ref=ref)
            save_submission(journal, sent)
            return sent


def _resolve(
    journal: Journal, intent: Submission, competition: Competition, error: SubmissionError, timeout_s: float
) -> Submission:
    """Find out whether a submission arrived although sending it went wrong."""
    doubt = replace(intent, state=State.DOUBT, text=str(error))
    save_submission(journal, doubt)
    listed = None
    later = "not sent again: tinyml submit looks at the list before it does"
    try:
        listed = client.find(competition, intent.tag, scored=False, wait_s=min(SETTLE_S, timeout_s))
    except (SubmissionError, UsageError) as problem:
        msg = f"{error}; whether it arrived is not known, for the list cannot be had ({problem}); {later}"
        raise SubmissionError(msg, doubt=True) from error
    if listed is None:
        msg = f"{error}; the list of submissions does not have it so far; {later}"
        raise SubmissionError(msg, doubt=True) from error
    sent = replace(intent, state=State.SENT, ref=listed.ref)
    save_submission(journal, sent)
    return sent


def _await_score(
    journal: Journal, sent: Submission, competition: Competition, timeout_s: float, say: Callable[[str], None]
) -> Submission:
    """Wait for the public score; a submission without one stays `State.SENT`."""
    say(f"submitted; waiting for the public score, {timeout_s:g} s at most")
    try:
        listed = client.find(competition, sent.tag, scored=True, wait_s=timeout_s)
    except (SubmissionError, UsageError) as error:
        # It is sent, and that is what counts; the score can be asked for later.
        return replace(sent, text=f"no score: {error}")
    if listed is None or (listed.score is None and listed.status != "ERROR"):
        return replace(sent, text=f"no score within {timeout_s:g} s")
    if listed.score is None:
        done = replace(sent, state=State.FAILED, ref=listed.ref or sent.ref, text=listed.error or "no reason was given")
    else:
        done = replace(sent, state=State.SCORED, ref=listed.ref or sent.ref, score=listed.score, text="")
    save_submission(journal, done)
    return done


def facts(
    competition: Competition,
    results: dict[str, Any] | None,
    submission: Submission | None,
    *,
    file: str | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """Return ``submission`` of results.json (docs/reference/results.md)."""
    known = None if results is None or not results["metrics"]["compared"] else expected(results)
    score = None if submission is None else submission.score
    return {
        "competition": competition.name,
        "state": "none" if submission is None else str(submission.state),
        "file": file,
        "message": None if submission is None else submission.message,
        "ref": None if submission is None else submission.ref,
        "public_score": score,
        "expected_ratio": None if known is None else known.ratio,
        "expected_by": None if known is None else known.by,
        "difference": None if score is None or known is None else score - known.ratio,
        "error": error if error is not None else (submission.text or None if submission is not None else None),
    }
