"""Ask Kaggle: starts the worker, ends it when its time is up, and turns its answers into results and errors."""

from __future__ import annotations

import contextlib
import json
import selectors
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.errors import CredentialsError, MissingDependencyError, SubmissionError, UsageError

if TYPE_CHECKING:
    from pytest_tinyml.kaggle.competitions import Competition

CHECK_S: Final = 60.0
START_S: Final = 60.0
"""The client is imported and signs in first: what a request may take does not count from before that."""
GRACE_S: Final = 30.0
"""Added to what looking for a submission may take, for the last look."""
_WORKER: Final = Path(__file__).with_name("worker.py")
REMEDY: Final = (
    "set KAGGLE_API_TOKEN or write the token to ~/.kaggle/access_token "
    "(https://www.kaggle.com/settings/api makes one); "
    "older keys: KAGGLE_USERNAME and KAGGLE_KEY, or kaggle.json in ~/.kaggle or KAGGLE_CONFIG_DIR"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A submission as Kaggle lists it.

    Attributes:
        ref: Kaggle's number, if it has one.
        status: ``PENDING``, ``COMPLETE`` or ``ERROR``.
        score: the public score, when there is one.
        error: why it could not be scored.
    """

    ref: int | None
    status: str
    score: float | None
    error: str


def check_access(competition: Competition) -> None:
    """Make sure that a submission can be made, as far as that can be known without making one.

    Raises:
        MissingDependencyError: the extra is not installed.
        CredentialsError: there are none, or they are refused.
        UsageError: Kaggle refuses, or cannot be reached.
    """
    try:
        _ask({"do": "check"}, competition, CHECK_S)
    except SubmissionError as error:
        # Before the run, this is a request that cannot be carried out.
        raise UsageError(str(error)) from error


def send(competition: Competition, path: Path, message: str, *, timeout_s: float) -> int | None:
    """Upload a file and submit it, once; returns Kaggle's number of the submission.

    Raises:
        SubmissionError: it was not submitted; or, if `doubt` is set, it is not known whether it was.
        CredentialsError, MissingDependencyError: see `check_access`.
    """
    request = {"do": "submit", "file": str(path), "message": message}
    ref: int | None = _ask(request, competition, timeout_s)["ref"]
    return ref


def find(competition: Competition, tag: str, *, scored: bool, wait_s: float) -> Listed | None:
    """Look for the submission whose message holds a tag; None if the list does not have it.

    Args:
        competition: where.
        tag: unique text.
        scored: wait until it has a score, not only until it is listed.
        wait_s: longest wait; looks at least once.

    Raises:
        SubmissionError: the list cannot be had.
        CredentialsError, MissingDependencyError: see `check_access`.
    """
    answer = _ask({"do": "find", "tag": tag, "scored": scored, "wait_s": wait_s}, competition, wait_s + GRACE_S)
    found = answer["submission"]
    if found is None:
        return None
    return Listed(ref=found["ref"], status=found["status"], score=_number(found["score"]), error=found["error"])


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _ask(request: dict[str, Any], competition: Competition, timeout_s: float) -> dict[str, Any]:
    text = json.dumps(request | {"competition": competition.name})
    what = {"check": "asking for access", "submit": "submitting", "find": "listing submissions"}[request["do"]]
    # -P keeps the worker's folder, and the user's, off the import path.
    command = [sys.executable, "-P", str(_WORKER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            # The first byte, or the end, says that the client has signed in; nothing was sent before that.
            said = _begin(process, text)
            output, _ = process.communicate(timeout=timeout_s) if said else ("", "")
        except subprocess.TimeoutExpired as error:
            msg = f"{competition.name}: {what} took longer than {timeout_s:g} s"
            raise SubmissionError(msg, doubt=request["do"] == "submit") from error
        finally:
            process.kill()
    if not said:
        msg = f"{competition.name}: Kaggle's client has not signed in within {START_S:g} s"
        raise SubmissionError(msg)
    try:
        answer = json.loads(output)
    except ValueError as error:
        msg = f"{competition.name}: {what}: Kaggle's client ended with status {process.returncode} and no answer"
        raise SubmissionError(msg, doubt=request["do"] == "submit") from error
    if "error" in answer:
        raise _error(answer["error"], competition)
    result: dict[str, Any] = answer["ok"]
    return result


def _begin(process: subprocess.Popen[str], text: str) -> bool:
    """Send the request; returns whether the client has signed in, or ended, in time."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):  # it has ended, which is seen next
        process.stdin.write(text + "\n")
        process.stdin.flush()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return bool(selector.select(START_S))


def _error(error: dict[str, Any], competition: Competition) -> Exception:
    kind, text = error["kind"], error["text"]
    if kind == "missing":
        return MissingDependencyError(error["module"], "kaggle", f"submitting to {competition.name}")
    if kind == "credentials":
        said = f" ({text})" if error.get("status") else ""
        problem = "Kaggle does not accept the credentials" if error["given"] else "there are no credentials for Kaggle"
        return CredentialsError(f"{problem}{said}: {REMEDY}")
    if kind == "refused":
        hint = {403: f"; the rules have to be accepted once: {competition.page}/rules"}.get(error.get("status", 0), "")
        return SubmissionError(f"Kaggle refuses: {text}{hint}")
    if kind == "busy":
        return SubmissionError(f"Kaggle asks to wait: {text}", retry_after_s=error.get("retry_after_s"))
    who = f"Kaggle's server failed ({error['status']})" if error.get("status") else competition.name
    return SubmissionError(f"{who}: {text}", doubt=kind == "doubt")
