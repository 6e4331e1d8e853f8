"""A Kaggle on this computer: the calls that the official client makes for a submission, and what can go wrong in them.

The client is the real one, unchanged, in a process of its own: ``KAGGLE_API_ENVIRONMENT=LOCALHOST`` makes it call
``http://localhost``, and ``http_proxy`` sends that here. `LocalKaggle.environment` holds both, and a token.
"""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKEN: Final = "KGAT_8d2f61c0e7b94a53"  # noqa: S105 - of nobody
KEY: Final = "6b1f0c2d9e8a47735544aabb"
USER: Final = "tester"
HEADER: Final = "ImageId,Label"
HANG_S: Final = 60.0
LARGEST_PAGE: Final = 20
START, PUT, CREATE, LIST, SIGN_IN = (
    *("StartSubmissionUpload", "PUT", "CreateSubmission", "ListSubmissions", "IntrospectToken"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What one call comes to instead of its answer.

    Attributes:
        status: an error's status; 0 for none.
        text: the error's message.
        retry_after_s: header of a 429.
        hang: never answer.
        drop: close the connection without an answer.
        act: do what was asked for before.
    """

    status: int = 0
    text: str = "planted"
    retry_after_s: float | None = None
    hang: bool = False
    drop: bool = False
    act: bool = False


@dataclass(slots=True, kw_only=True)
class Submitted:
    """A submission that was made."""

    ref: int
    description: str
    file_name: str
    content: bytes
    looks: int = 0
    error: str = ""
    score: float | None = None


@dataclass(slots=True, kw_only=True)
class _Upload:
    size: int
    file_name: str
    content: bytes | None = field(default=None, repr=False)


class LocalKaggle:
    """The server; used as a context manager.

    Args:
        labels: what the predictions are scored against; as many as the competition takes.
        competition: the only one that there is.
        pending_looks: times that a submission is listed as pending before it has its score; None for ever.

    Attributes:
        submissions: in the order in which they were made.
        calls: names of the calls, in their order.
        faults: by call, used up one by one.
    """

    def __init__(
        self, labels: Sequence[int], *, competition: str = "digit-recognizer", pending_looks: int | None = 1
    ) -> None:
        """Listen; nothing is answered before `start`."""
        self.labels, self.competition, self.pending_looks = tuple(labels), competition, pending_looks
        self.submissions: list[Submitted] = []
        self.calls: list[str] = []
        self.faults: dict[str, list[Fault]] = {}
        self._uploads: list[_Upload] = []
        self._lock, self._closing = threading.Lock(), threading.Event()
        server = self

        class Handler(_Handler):
            kaggle = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to take this for Kaggle, with a good token."""
        return self.location | {"KAGGLE_API_TOKEN": TOKEN}

    @property
    def location(self) -> dict[str, str]:
        """The same without credentials."""
        return {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "http_proxy": self.url, "no_proxy": "", "NO_PROXY": ""}

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop, and let go of what hangs."""
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def plant(self, call: str, *faults: Fault) -> None:
        """Let the next calls of a name go wrong."""
        with self._lock:
            self.faults.setdefault(call, []).extend(faults)

    # For the handler's threads.

    def fault(self, call: str) -> Fault | None:
        """Note a call; returns what shall go wrong with it."""
        with self._lock:
            self.calls.append(call)
            planted = self.faults.get(call)
            return planted.pop(0) if planted else None

    def hang(self) -> None:
        """Wait until the server is closed, or a minute is over."""
        self._closing.wait(HANG_S)

    def answer(self, call: str, request: dict[str, Any]) -> dict[str, Any]:
        """Do a call; raises `KeyError` for what there is not."""
        if call == SIGN_IN:
            return {"active": request["token"] == TOKEN, "username": USER}
        if request["competitionName"] != self.competition:
            raise KeyError(request["competitionName"])
        with self._lock:
            if call == START:
                self._uploads.append(_Upload(size=int(request["contentLength"]), file_name=request["fileName"]))
                number = len(self._uploads)
                return {"token": f"blob-{number}", "createUrl": f"{self.url}/upload/{number}"}
            if call == CREATE:
                return self._create(request)
            return self._list(request)

    def upload(self, number: int, content: bytes) -> bool:
        """Take a file; whether it has the size that was announced."""
        with self._lock:
            upload = self._uploads[number - 1]
            upload.content = content
            return len(content) == upload.size

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        upload = self._uploads[int(request["blobFileTokens"].removeprefix("blob-")) - 1]
        if upload.content is None:
            raise KeyError(request["blobFileTokens"])
        made = Submitted(
            ref=41_000_000 + len(self.submissions),
            description=request.get("submissionDescription", ""),
            file_name=upload.file_name,
            content=upload.content,
        )
        self._judge(made)
        self.submissions.append(made)
        return {"message": "Successfully submitted to Digit Recognizer", "ref": made.ref}

    def _judge(self, made: Submitted) -> None:
        """Score a file by the competition's rules, which are read here and not taken from what is tested."""
        lines = made.content.decode().splitlines()
        wanted = [f"{k + 1}" for k in range(len(self.labels))]
        cells = [line.split(",") for line in lines[1:]]
        if lines[:1] != [HEADER] or [cell[0] for cell in cells] != wanted:
            made.error = f"Submission must have {len(self.labels)} rows"
            return
        made.score = sum(int(cell[1]) == label for cell, label in zip(cells, self.labels, strict=True)) / len(cells)

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        size, page = min(int(request.get("pageSize", LARGEST_PAGE)), LARGEST_PAGE), int(request.get("page", 1))
        newest = self.submissions[::-1][(page - 1) * size : page * size]
        listed = []
        for made in newest:
            made.looks += 1
            done = self.pending_looks is not None and made.looks > self.pending_looks
            status = "PENDING" if not done else "ERROR" if made.error else "COMPLETE"
            one = {
                "ref": made.ref,
                "date": "2026-01-01T00:00:00.000Z",
                "description": made.description,
                "fileName": made.file_name,
                "status": status,
            }
            if status == "ERROR":
                one["errorDescription"] = made.error
            if status == "COMPLETE":
                one["publicScore"] = f"{made.score:.5f}"
            listed.append(one)
        return {"submissions": listed, "nextPageToken": ""}


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    kaggle: LocalKaggle
    protocol_version = "HTTP/1.1"
    timeout = HANG_S

    def do_POST(self) -> None:
        """Answer a call of the API."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = urlsplit(self.path).path.rpartition("/")[2]
        fault = self.kaggle.fault(call)
        if fault is not None and not fault.act:
            self._fail(fault)
            return
        if call != SIGN_IN and not self._known():
            self._reply(401, {"code": 401, "message": "Unauthenticated"})
            return
        try:
            answer = self.kaggle.answer(call, json.loads(body))
        except KeyError as error:
            self._reply(404, {"code": 404, "message": f"not found: {error}"})
            return
        if fault is not None:
            self._fail(fault)
            return
        self._reply(200, answer)

    def do_PUT(self) -> None:
        """Take a file."""
        fault = self.kaggle.fault(PUT)
        if fault is not None and fault.hang:
            self.rfile.read(1000)
            self.kaggle.hang()
            self.close_connection = True
            return
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if fault is not None:
            self._fail(fault)
            return
        number = int(urlsplit(self.path).path.rpartition("/")[2])
        whole = self.kaggle.upload(number, content)
        self._reply(200 if whole else 400, {})

    def _known(self) -> bool:
        pair = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
        return self.headers.get("Authorization") in {f"Bearer {TOKEN}", f"Basic {pair}"}

    def _fail(self, fault: Fault) -> None:
        if fault.hang:
            self.kaggle.hang()
        if fault.hang or fault.drop:
            self.close_connection = True
            return
        self._reply(fault.status, {"code": fault.status, "message": fault.text}, fault.retry_after_s)

    def _reply(self, status: int, answer: dict[str, Any], retry_after_s: float | None = None) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after_s is not None:
            self.send_header("Retry-After", f"{retry_after_s:g}")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
