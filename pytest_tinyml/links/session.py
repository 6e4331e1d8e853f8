"""The host's side of a conversation with a board over a byte stream: single requests.

Batches of samples are in `stream`. Every wait is bounded: by `timeout_s` of silence, and on lossy lines requests are
sent again before that.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tinyml import wire
from pytest_tinyml.errors import (
    BoardCrashedError,
    BoardReportedError,
    BoardTimeoutError,
    IdentityError,
    WireError,
)
from pytest_tinyml.links.base import LinkClosedError
from pytest_tinyml.links.room import check_fits
from pytest_tinyml.wire import ErrorCode, MessageType

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tinyml.links.base import Link
    from pytest_tinyml.records import CanaryResult, Encoding, Identity

RESENDABLE = frozenset({ErrorCode.BAD_FRAME, ErrorCode.OVERRUN, ErrorCode.TOO_LARGE})
"""Damage on the line. Frames are never sent too large: a board that finds one has missed a delimiter."""
_POLL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for a board.

    Attributes:
        timeout_s: longest silence while an answer is due.
        resend_s: silence after which a request is sent again; None on links that lose nothing.
    """

    timeout_s: float = 10.0
    resend_s: float | None = None


class Session:
    """A conversation with one board.

    Args:
        link: bytes to and from the board; closed by `close`.
        patience: how long to wait.
        on_log: receives the board's LOG lines.
    """

    def __init__(self, link: Link, patience: Patience, on_log: Callable[[str], None]) -> None:
        """Say nothing yet."""
        self.link, self.patience = link, patience
        self.identity: Identity | None = None
        self.dropped_frames = 0
        self._on_log = on_log
        self._failure: BoardCrashedError | None = None
        self._decoder = wire.FrameDecoder()
        # A random start makes a late reply of an earlier session unlikely to match.
        self._seq = secrets.randbelow(0xFFFF)
        self._took_s: dict[MessageType, float] = {}

    def next_seq(self) -> int:
        """Return a sequence number for a request: 1 to 65535, never 0."""
        self._seq = self._seq % 0xFFFF + 1
        return self._seq

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, list[wire.Frame | WireError]]:
        """Move bytes; return how many were sent, and the frames and errors that arrived (LOG lines are handled here).

        Raises:
            BoardCrashedError: the board closed the link, or reported a processor fault. What had arrived before the
                report is returned first.
        """
        if self._failure is not None:
            raise self._failure
        try:
            sent, data = self.link.exchange(out, timeout_s)
        except LinkClosedError as error:
            msg = f"the board is gone: {error}"
            raise BoardCrashedError(msg) from error
        items: list[wire.Frame | WireError] = []
        for item in self._decoder.feed(data) if data else ():
            if isinstance(item, WireError):
                self.dropped_frames += 1
            elif item.type is MessageType.LOG:
                self._on_log(wire.decode_log(item.payload))
                continue
            elif item.type is MessageType.ERROR:
                report = wire.decode_error(item.payload)
                self._on_log(f"ERROR {report.code}: {report.text}")
                if report.code == ErrorCode.FAULT:
                    self._failure = _fault(report)
                    if items:
                        break
                    raise self._failure
            items.append(item)
        return sent, items

    def hello(self, boot_timeout_s: float | None = None) -> Identity:
        """Greet the board until it answers, and keep what it says it is.

        Raises:
            BoardTimeoutError: no answer within the time for booting (`patience.timeout_s` if None).
            BoardCrashedError, BoardReportedError: it ended, or refused.
            IdentityError: its answers are to somebody else, or its window does not hold two frames.
            WireError: it speaks another version of the protocol, or its identity is malformed.
        """
        session = secrets.randbits(32)
        limit = self.patience.timeout_s if boot_timeout_s is None else boot_timeout_s
        deadline = time.monotonic() + limit
        while True:
            # A board may still be booting and miss the first ones, so HELLO is repeated on every kind of link.
            payload = self._request(
                MessageType.HELLO, wire.encode_hello(session), MessageType.IDENTITY, timeout_s=limit, resend_s=0.5
            )
            identity = wire.decode_identity(payload)
            if identity.session == session:
                break
            if time.monotonic() >= deadline:
                msg = f"the board answers HELLO with session {identity.session:#x} instead of {session:#x}"
                raise IdentityError(msg)
        if not 2 * wire.EARLY_REQUEST_BYTES <= 2 * identity.max_frame <= identity.rx_window:
            msg = (
                f"the board takes frames of {identity.max_frame} bytes in a window of {identity.rx_window}: "
                f"at least {wire.EARLY_REQUEST_BYTES}, and a window of two frames, are needed (PROTOCOL.md, section 2)"
            )
            raise IdentityError(msg)
        self.identity = identity
        return identity

    def canary(self, encoding: Encoding, sample: int, data: bytes) -> CanaryResult:
        """Run one sample; see `Board.canary`.

        Raises:
            UsageError: it does not fit a frame of this board.
        """
        identity = self._known()
        check_fits(len(data), identity)
        payload = wire.encode_infer_packed(encoding, [sample], [data])
        answer = self._request(MessageType.CANARY, payload, MessageType.CANARY_RESULT)
        return wire.decode_canary_result(answer, identity.output.nbytes)

    def stats(self) -> dict[str, int]:
        """Return the board's counters by lower-case name; keys of later versions appear as numbers."""
        counters = wire.decode_stats(self._request(MessageType.STATS, b"", MessageType.STATS_RESULT))
        known = {int(key): key.name.lower() for key in wire.StatKey}
        return {known.get(key, str(key)): value for key, value in counters.items()}

    def reset(self, kind: wire.ResetKind) -> None:
        """Initialise the engine again, or restart the board (then greet it again)."""
        self._request(MessageType.RESET, wire.encode_reset(kind), MessageType.RESET_DONE)

    def load(self, package: bytes) -> None:
        """Upload a model (PROTOCOL.md section 6), in pieces; greet the board again afterwards.

        Args:
            package: from `engines.package.encode_package`.

        Raises:
            BoardReportedError: it has no room for it, or cannot execute it.
        """
        room = wire.max_payload_size(self._known().max_frame) - wire.LOAD_BYTES
        for offset in range(0, len(package), room):
            piece = wire.Load(offset=offset, total=len(package), data=package[offset : offset + room])
            answer = self._request(MessageType.LOAD, wire.encode_load(piece), MessageType.LOADED)
            received = wire.decode_loaded(answer)
            if received != offset + len(piece.data):
                msg = f"the board has {received} bytes of the model where {offset + len(piece.data)} were sent"
                raise WireError(ErrorCode.BAD_PAYLOAD, msg)

    def echo(self, payload: bytes) -> bytes:
        """Send bytes there and back."""
        return self._request(MessageType.ECHO, payload, MessageType.ECHO_RESULT)

    def close(self) -> None:
        """Close the link; harmless when repeated."""
        self.link.close()

    def _known(self) -> Identity:
        if self.identity is None:
            msg = "hello() comes first"
            raise RuntimeError(msg)
        return self.identity

    def _request(
        self,
        kind: MessageType,
        payload: bytes,
        answer: MessageType,
        *,
        timeout_s: float | None = None,
        resend_s: float | None = None,
    ) -> bytes:
        """Send one request and return its answer's payload; sends again after `resend_s` of silence.

        Requests are idempotent, so the answer to an earlier attempt is as good: on a slow line that is what comes.
        """
        limit = self.patience.timeout_s if timeout_s is None else timeout_s
        resend = self._allowed_s(kind) if resend_s is None else resend_s
        begun = time.monotonic()
        deadline = begun + limit
        attempts: set[int] = set()
        while True:
            seq = self.next_seq()
            attempts.add(seq)
            # A zero in front flushes what noise may have left in the board's receiver.
            out = memoryview(b"\0" + wire.encode_frame(kind, seq, payload))
            again = min(deadline, time.monotonic() + resend) if resend is not None else deadline
            refused = last_look = False
            while not refused and not last_look:
                left = again - time.monotonic()
                # When the time is up the line is looked at once more: it may be this computer that stood still.
                last_look = left <= 0
                sent, items = self.exchange(out, min(max(left, 0.0), _POLL_S))
                out = out[sent:]
                for item in items:
                    if isinstance(item, WireError):
                        if item.code == ErrorCode.BAD_VERSION:
                            raise item
                        refused = resend is not None
                    elif item.type is answer and item.seq in attempts:
                        if len(attempts) == 1:  # of several, it is not known which one it was
                            took = time.monotonic() - begun
                            self._took_s[kind] = max(took, self._took_s.get(kind, 0.0))
                        return item.payload
                    elif item.type is MessageType.ERROR and item.seq in attempts | {0}:
                        refused = self._refused(item, can_resend=True)
            if time.monotonic() >= deadline:
                msg = f"no answer to {kind.name} within {limit:g} s"
                raise BoardTimeoutError(msg)

    def _allowed_s(self, kind: MessageType) -> float | None:
        """Return after how much silence a request is sent again; None for never.

        A slow board is not a lossy line: allow for what this kind of request has needed, and a canary, which is an
        inference, at first for half the time-out.
        """
        patience = self.patience
        if patience.resend_s is None:
            return None
        if kind is MessageType.CANARY and kind not in self._took_s:
            return max(patience.resend_s, patience.timeout_s / 2)
        return patience.resend_s + 2 * self._took_s.get(kind, 0.0)

    def _refused(self, frame: wire.Frame, *, can_resend: bool) -> bool:
        """Raise what an ERROR says, unless sending again may help; returns True then."""
        report = wire.decode_error(frame.payload)
        if can_resend and report.code in RESENDABLE:
            return True
        raise reported(report)


def _fault(report: wire.BoardReport) -> BoardCrashedError:
    """Make the exception for what a processor's fault handler reports."""
    during = "" if report.sample_id is None else f" while sample {report.sample_id} was running"
    error = BoardCrashedError(f"processor fault{during}: {report.text}")
    error.running = report.sample_id
    return error


def reported(report: wire.BoardReport) -> BoardReportedError:
    """Make the exception for an ERROR message."""
    known = {int(code): code.name for code in ErrorCode}
    error = BoardReportedError(f"the board reports {known.get(report.code, report.code)}: {report.text}")
    error.code = report.code
    return error
