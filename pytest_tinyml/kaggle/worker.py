"""The process in which Kaggle's own client runs: one request as JSON on standard input, one answer on standard output.

The client (kaggle 2.2) calls Kaggle when it is imported, makes folders, prints, ends the process when it has no
credentials, and waits for any time: none of that is for the process that asks. Whoever asks kills this one when its
patience is at an end. Run as a file, with ``-P``: a user's project may well have a folder ``kaggle``.

Requests: ``{"do": "check", "competition": C}``; ``{"do": "submit", ..., "file": PATH, "message": TEXT}``;
``{"do": "find", ..., "tag": TEXT, "scored": bool, "wait_s": S}``: the submission with the tag in its message, waiting
until it is listed or, if asked for, scored. Once the client has signed in, a line feed says that the request begins.
Answers: ``{"ok": {...}}``, or ``{"error": {"kind": K, "text": T, ...}}``:

===========  ===========================================================================
missing      a package is not installed
credentials  there are none (``"given": false``), or they are refused
refused      Kaggle says no: nothing was submitted, and trying again is no use
busy         Kaggle says later (429): nothing was submitted; ``retry_after_s``
unreachable  no answer, or the server's failure: nothing was submitted
doubt        ... but something may have been
===========  ===========================================================================
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from typing import Any, Final

PAGE: Final = 100
MAX_PAGES: Final = 20
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 5.0
_CREATE: Final = "CreateSubmission"


class _RefusedError(Exception):
    """An answer of the kind ``error``."""

    def __init__(self, kind: str, text: str, **more: Any) -> None:  # noqa: ANN401 - JSON
        super().__init__(text)
        self.answer = {"kind": kind, "text": text, **more}


def _client() -> Any:  # noqa: ANN401 - an optional package without types
    """Return the client, authenticated."""
    # With this in the environment it prints each request, credentials included.
    for name in ("VERBOSE", "VERBOSE_OUTPUT"):
        os.environ.pop(name, None)
    try:
        import kaggle  # noqa: PLC0415 - may be missing, and calls Kaggle
    except ImportError as error:
        raise _RefusedError("missing", str(error), module=(error.name or "kaggle").partition(".")[0]) from error
    try:
        kaggle.api.authenticate()
    except SystemExit as error:
        given = bool(_secrets(kaggle.api))
        text = "Kaggle does not accept the credentials" if given else "there are no credentials for Kaggle"
        raise _RefusedError("credentials", text, given=given) from error
    return kaggle.api


def _secrets(api: Any) -> list[str]:  # noqa: ANN401 - see above
    """Return what must not appear in any text."""
    from kagglesdk import get_access_token_from_env  # noqa: PLC0415 - see above

    values = [get_access_token_from_env()[0], *(api.config_values.get(key) for key in ("token", "key", "api_token"))]
    return [value for value in values if value]


def _clean(text: str) -> str:
    """Return a text of the client's in one line, without credentials."""
    module = sys.modules.get("kaggle")
    for secret in [] if module is None else _secrets(module.api):
        text = text.replace(secret, "***")
    return " ".join(text.split())[:300]


def _explain(error: Exception) -> dict[str, Any]:
    """Say what an exception of the client's means."""
    if isinstance(error, _RefusedError):
        return {**error.answer, "text": _clean(str(error))}
    response, request = getattr(error, "response", None), getattr(error, "request", None)
    url = str(getattr(response if response is not None else request, "url", "") or "")
    call = url.rpartition("/")[2]
    text = _clean(str(error)) or type(error).__name__
    status = None if response is None else _status(response)
    found = {"text": text, "status": status, "call": call}
    if status == 401:  # noqa: PLR2004 - HTTP's own numbers
        return found | {"kind": "credentials", "given": True}
    if status == 429:  # noqa: PLR2004
        return found | {"kind": "busy", "retry_after_s": _retry_after(response)}
    if status is not None and 400 <= status < 500:  # noqa: PLR2004
        return found | {"kind": "refused"}
    # Not known to have been before the request that makes the submission: it may be made.
    before = call not in {"", _CREATE}
    return found | {"kind": "unreachable" if before else "doubt"}


def _status(response: Any) -> int:  # noqa: ANN401 - of requests
    """Return the status of an answer; the client takes one in the body for an error, too."""
    status = int(response.status_code)
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        status = max(status, int(response.json().get("code", 0)))
    return status


def _retry_after(response: Any) -> float | None:  # noqa: ANN401 - of requests
    try:
        return max(0.0, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return None


def _check(api: Any, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - see above
    """Ask for the list of submissions: needs the same rights."""
    api.competition_submissions(request["competition"], page_number=1, page_size=1)
    return {}


def _submit(api: Any, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - see above
    """Upload a file and submit it."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        answer = api.competition_submit(request["file"], request["message"], request["competition"], quiet=True)
    if answer.message == api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE:
        why = said.getvalue().strip().splitlines()[-1:] or ["Kaggle's storage did not take it"]
        raise _RefusedError("unreachable", f"the upload of the file failed: {why[0]}")
    return {"ref": int(answer.ref) or None, "text": _clean(answer.message)}


def _find(api: Any, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - see above
    """Look for the submission with a tag, again and again until it is there."""
    deadline, pause = time.monotonic() + request["wait_s"], FIRST_PAUSE_S
    found: dict[str, Any] | None = None
    while True:
        error = None
        try:
            found = _look(api, request["competition"], request["tag"]) or found
        except Exception as problem:  # noqa: BLE001 - of requests, or of the client's parsing: the next look may do
            error = _explain(problem)
        if error is not None and error["kind"] in {"credentials", "refused"}:
            raise _RefusedError(**error)
        if found is not None and (not request["scored"] or found["score"] or found["status"] == "ERROR"):
            return {"submission": found}
        left = deadline - time.monotonic()
        if left <= 0:
            if error is not None and found is None:
                raise _RefusedError(**{**error, "kind": "unreachable"})
            return {"submission": found}
        wanted = pause if error is None else max(pause, error.get("retry_after_s") or 0.0)
        time.sleep(min(wanted, left))
        pause = min(pause * 1.5, LONGEST_PAUSE_S)


def _look(api: Any, competition: str, tag: str) -> dict[str, Any] | None:  # noqa: ANN401 - see above
    """Go through the list once, the latest first."""
    for page in range(1, MAX_PAGES + 1):
        listed = api.competition_submissions(competition, page_number=page, page_size=PAGE)
        for one in listed or ():
            if tag in (one.description or ""):
                return {
                    "ref": int(one.ref) or None,
                    "status": one.status.name,
                    "score": one.public_score or None,
                    "error": _clean(one.error_description or ""),
                }
        if not listed:
            break
    return None


def main() -> None:
    """Answer one request."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # What the client prints is for nobody.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    request = json.loads(sys.stdin.readline())
    try:
        client = _client()
        # From now on it is the request that takes time. To JSON a line feed is nothing.
        answers.write("\n")
        answers.flush()
        answer = {"ok": {"check": _check, "submit": _submit, "find": _find}[request["do"]](client, request)}
    except Exception as error:  # noqa: BLE001 - whatever the client raises has to reach who asked, as an answer
        answer = {"error": _explain(error)}
    json.dump(answer, answers)
    answers.flush()


if __name__ == "__main__":
    main()
