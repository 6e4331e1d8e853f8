"""Clients that users write themselves: they ask for one image at a time over HTTP and post what they predict.

Such a client cannot be asked what it runs (firmware/HTTP.md, section 3): its identity, its input tensors, its clock and
its memory stay unknown, and the results say so.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.boards.unverified import unverified
from pytest_tinyml.errors import BoardError, BoardTimeoutError, UsageError
from pytest_tinyml.links.console import Console
from pytest_tinyml.records import Encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.boards.base import BoardRequest, Missing
    from pytest_tinyml.links.http.simple import Desk
    from pytest_tinyml.links.work import Work
    from pytest_tinyml.records import CanaryResult, Identity, Model

NAME: Final = "http-client"
ENGINE: Final = "client"
UNVERIFIED: Final = "the client cannot be asked what it runs"
_ANSWERS: Final = ("scores", "labels")
_WAIT_S: Final = 300.0
_FAREWELL_S: Final = 10.0
"""For a client to say that it is done: over a bad network it may have to say so again."""
_SLICE_S: Final = 0.05
_EVERYTHING: Final = 1 << 31


class ClientBoard:
    """A place for clients; implements `Board`.

    Args:
        request: what is served.

    Raises:
        UsageError: an option has no such value.
    """

    def __init__(self, request: BoardRequest) -> None:
        """Serve nothing yet."""
        if request.index:
            msg = f"board {NAME!r} takes predictions from any number of clients: --tinyml-count is not for it"
            raise UsageError(msg)
        self.name = NAME
        self.request = request
        self.labels = answers_labels(request.options)
        self._wait_s = _seconds(request.options.get("wait"))
        self.console = Console(request.work_dir / f"{NAME}.console.log")
        self._token_path = request.work_dir / f"{NAME}.token"
        self._desk: Desk | None = None
        self._invitation = ""

    def prepare(self) -> str:
        """See `Board.prepare`: nothing is built, and nothing known of what the client runs."""
        return ""

    def open(self) -> Identity:
        """Serve; returns what is assumed, as nobody can be asked.

        Raises:
            BoardError: there is no run to serve.
            UsageError: the server cannot listen.
        """
        server = self.request.server
        if server is None:
            msg = "clients are served in a run over a data set"
            raise BoardError(msg, board=self.name)
        self._desk = server.desk(labels=self.labels)
        self._write_token(server.token)
        invitation = f"waiting for a client at {server.url}; the token is in {self._token_path}"
        self.console.line(invitation)
        if invitation != self._invitation:  # a client does not care that the host starts anew
            self._invitation = invitation
            self.request.say(invitation)
        return unverified(self.request.model, board=NAME, engine=ENGINE, encoding=Encoding.PIXELS)

    def canary(self, encoding: Encoding, sample: int, data: bytes) -> CanaryResult:
        """Refuse.

        Raises:
            BoardError: always.
        """
        del encoding, sample, data
        msg = f"{UNVERIFIED}, and computes only what it asks for"
        raise BoardError(msg, board=self.name)

    def stream(self, work: Work) -> None:
        """See `Board.stream`.

        Raises:
            BoardTimeoutError: no client comes, or it has stopped asking.
        """
        desk = self._desk
        if desk is None:
            msg = "the board is not open"
            raise BoardError(msg, board=self.name)
        # Which sample is next is for the client to say.
        desk.expect(work.take(_EVERYTHING))
        since = time.monotonic()
        while not work.finished:
            taken = desk.take(_SLICE_S)
            if taken:
                rows = np.frombuffer(b"".join(row for _, row in taken), dtype=np.uint8).reshape(len(taken), -1)
                ids = np.array([sample for sample, _ in taken], dtype=np.uint32)
                # Clients do not time themselves.
                work.answer(ids, np.zeros(len(ids), dtype=np.uint32), rows)
            else:
                work.flush()
                self._check_silence(desk, since)
        if not desk.wait_done(_FAREWELL_S):
            self.console.line("every sample has a prediction, but the client did not say that it is done")

    def stats(self) -> dict[str, int]:
        """See `Board.stats`: nothing is known."""
        return {}

    def close(self) -> None:
        """See `Board.close`; the desk stays, as a client does not know that the host starts anew."""
        with suppress(OSError):
            self._token_path.unlink(missing_ok=True)

    @property
    def console_tail(self) -> tuple[str, ...]:
        """See `Board.console_tail`."""
        return self.console.tail

    def _write_token(self, token: str) -> None:
        """Write the token where only this user can read it."""
        self._token_path.unlink(missing_ok=True)
        fd = os.open(self._token_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(f"{token}\n")

    def _check_silence(self, desk: Desk, since: float) -> None:
        silent_s = desk.silent_s(since)
        limit_s = self.request.timeout_s if desk.heard else self._wait_s
        if silent_s > limit_s:
            what = "the client has stopped asking" if desk.heard else f"no client came ({self._invitation})"
            msg = f"{what}: nothing for {silent_s:.1f} s"
            raise BoardTimeoutError(msg, board=self.name, console_tail=self.console_tail, log_path=self.console.path)


class ClientKind:
    """See the module."""

    name = NAME
    summary = "your own client, one image per request over HTTP (not verified)"
    engine = ENGINE
    hardware = False
    verifiable = False
    links: tuple[str, ...] = ("http",)
    clocks: tuple[str, ...] = ("wall",)
    options: Mapping[str, str] = {
        "answers": "what clients post: scores, or labels, which are then all that is compared",
        "wait": "how many seconds to wait for the first request; 300 unless given",
    }

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        return []

    def check(self, model: Model) -> None:
        """See `BoardKind.check`: the client has its own engine."""

    def labels_only(self, options: Mapping[str, str]) -> bool:
        """Whether only labels are compared."""
        return answers_labels(options)

    def create(self, request: BoardRequest) -> ClientBoard:
        """See `BoardKind.create`."""
        return ClientBoard(request)


def answers_labels(options: Mapping[str, str]) -> bool:
    """Whether clients post labels.

    Raises:
        UsageError: neither labels nor scores.
    """
    answers = options.get("answers", _ANSWERS[0])
    if answers not in _ANSWERS:
        msg = f"--tinyml-option answers={answers} of board {NAME!r} is not one of: {', '.join(_ANSWERS)}"
        raise UsageError(msg)
    return answers == "labels"


def _seconds(text: str | None) -> float:
    try:
        seconds = _WAIT_S if text is None else float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        msg = f"--tinyml-option wait={text} of board {NAME!r} is not a positive number of seconds"
        raise UsageError(msg)
    return seconds


KIND: Final = ClientKind()
