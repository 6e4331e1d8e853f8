"""Batches of samples through a window, so that a board never waits for the line.

The rules are those of PROTOCOL.md section 2. Answers come in the order of the requests: when a later request is
answered completely, an earlier one that is still open was lost and is sent again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_tinyml import wire
from pytest_tinyml.errors import BoardTimeoutError, WireError
from pytest_tinyml.links.pace import Pace
from pytest_tinyml.links.room import BATCH_BYTES, SAMPLE_BYTES, check_fits
from pytest_tinyml.links.session import RESENDABLE, reported
from pytest_tinyml.records import Encoding
from pytest_tinyml.wire import MessageType

if TYPE_CHECKING:
    from pytest_tinyml.links.session import Session
    from pytest_tinyml.links.work import Work

_POLL_S = 0.25
_PAUSE_S = 0.05
"""Results may be held back so long while the board is silent; a board that takes longer for each has them put away."""
_COMPLAINT_S = 0.1
"""When something is known to have been lost, so much silence beyond twice what is due is enough to send it again."""
_LONGEST_S = 1.0
"""No exchange is asked to wait so long: what takes longer is this computer's, which stood still, not the board's."""
_NOTED = 20
"""So many losses are described; the rest are counted."""
_PACKED = frozenset({Encoding.PIXELS_DEFLATE, Encoding.TENSOR_DEFLATE})


@dataclass(slots=True, kw_only=True)
class _Request:
    """An INFER on its way: its encoded size, and the ids that are still to be answered."""

    size: int
    open: set[int]


class Streamer:
    """Drives one board until the work is done.

    Args:
        session: after `hello`.
        work: where samples come from and results go.
        encoding: how samples travel.
        batch_s: a batch holds no more samples than the board does in about this many seconds, so that progress is
            visible and a silent board is noticed.
    """

    def __init__(self, session: Session, work: Work, encoding: Encoding, *, batch_s: float = 0.5) -> None:
        """Prepare; `run` does the work."""
        identity = session.identity
        if identity is None:
            msg = "hello() comes first"
            raise RuntimeError(msg)
        self._session, self._work, self._encoding = session, work, encoding
        self._pace = Pace(batch_s, wire.MAX_COUNT)
        self._identity = identity
        self._payload_limit = wire.max_payload_size(identity.max_frame)
        self._pending: dict[int, _Request] = {}
        self._again: deque[int] = deque()
        self._leased: deque[int] = deque()
        self._in_flight = 0
        self._progress = self._resent = time.monotonic()
        # What was waited for the board since its last answer, and since that or the last repetition. What this computer
        # does meanwhile, as writing to a slow disk, is no silence: answers may be waiting.
        self._silent_s = self._quiet_s = 0.0
        self._suspect = self._flush = False
        self._complaint = ""
        self._losses: Counter[str] = Counter()

    def run(self) -> None:
        """Stream until the work is finished.

        Raises:
            BoardError: the board failed; everything that it answered is with the work.
            UsageError: one sample does not fit a frame of this board.
        """
        try:
            self._run()
        finally:
            self._sum_up()

    def _run(self) -> None:
        out = memoryview(b"")
        waiting: tuple[int, bytes, list[int]] | None = None
        held_back = False
        while not self._work.finished:
            if not out:
                waiting = waiting or self._next_batch()
                if waiting is not None and self._in_flight + len(waiting[1]) <= self._identity.rx_window:
                    seq, frame, ids = waiting
                    self._pending[seq] = _Request(size=len(frame), open=set(ids))
                    self._in_flight += len(frame)
                    out, waiting = memoryview(frame), None
            if not self._pending and not out:
                self._work.wait(_POLL_S)
                self._heard()
                continue
            # With room in the window only glance at the line: the next batch is more urgent.
            room = not out and waiting is None and self._peek()
            wait_s = _COMPLAINT_S if self._suspect else _PAUSE_S if held_back else _POLL_S
            began = time.monotonic()
            sent, items = self._session.exchange(out, 0.0 if room else wait_s)
            waited = min(time.monotonic() - began, _LONGEST_S)
            self._silent_s, self._quiet_s = self._silent_s + waited, self._quiet_s + waited
            out = out[sent:]
            for item in items:
                self._take(item, sending=bool(out))
            if items:
                held_back = True
            elif not sent and not room:
                # A pause: let the work put away what it holds back while results stream in.
                self._work.flush()
                held_back = False
            if self._pending or out:
                self._check_silence()

    def _peek(self) -> bool:
        """Whether there is something to send: leases more when the last lease is used up."""
        if not self._leased and not self._again:
            self._leased.extend(self._work.take(self._lease_size()))
        return bool(self._leased or self._again)

    def _lease_size(self) -> int:
        """Lease about what fills the window twice."""
        size = self._sample_bytes() + SAMPLE_BYTES
        return max(1, min(2 * self._identity.rx_window // size, 4 * self._pace.limit))

    def _sample_bytes(self) -> int:
        pixels = self._encoding in {Encoding.PIXELS, Encoding.PIXELS_DEFLATE}
        return self._identity.input.elements if pixels else self._identity.input.nbytes

    def _next_batch(self) -> tuple[int, bytes, list[int]] | None:
        if not self._peek():
            return None
        source = self._again or self._leased
        count = min(self._pace.limit, len(source))
        payload, used = self._payload(source, count)
        ids = [source.popleft() for _ in range(used)]
        seq = self._session.next_seq()
        frame = wire.encode_frame(MessageType.INFER, seq, payload)
        if self._flush:
            # A zero in front ends what a lost delimiter may have left in the board's receiver.
            frame, self._flush = b"\0" + frame, False
        return seq, frame, ids

    def _payload(self, source: deque[int], count: int) -> tuple[bytes, int]:
        """Encode at most `count` samples from the front of `source`: one, and as many more as are good for the line."""
        limit = min(self._payload_limit, BATCH_BYTES + self._pace.payload_bytes)
        if self._encoding not in _PACKED:
            check_fits(self._sample_bytes(), self._identity)
            fit = int(limit - BATCH_BYTES) // (self._sample_bytes() + SAMPLE_BYTES)
            used = min(count, max(1, fit))
            ids = [source[k] for k in range(used)]
            rows = self._work.raw(self._encoding, ids)
            return wire.encode_infer_rows(self._encoding, np.asarray(ids, dtype=np.uint32), rows), used
        chosen: list[int] = []
        blobs: list[bytes] = []
        size = BATCH_BYTES
        for k in range(count):
            blob = self._work.packed(self._encoding, source[k])
            check_fits(len(blob), self._identity)
            size += SAMPLE_BYTES + len(blob)
            if chosen and size > limit:
                break
            chosen.append(source[k])
            blobs.append(blob)
        return wire.encode_infer_packed(self._encoding, chosen, blobs), len(chosen)

    def _take(self, item: wire.Frame | WireError, *, sending: bool) -> None:
        if isinstance(item, WireError):
            self._suspected(f"frame from the board dropped: {item}")
        elif item.type is MessageType.RESULT:
            self._result(item)
        elif item.type is MessageType.ERROR:
            self._error(item)
        if self._suspect and len(self._pending) == 1 and not sending:
            # With one request open there is no later one whose answer could show that it was lost. One that is still
            # being sent was not lost yet, and what is on its way counts in the window.
            self._resend(list(self._pending), "after a damaged frame")

    def _result(self, frame: wire.Frame) -> None:
        request = self._pending.get(frame.seq)
        if request is None:
            return  # a late answer to something that was sent again
        batch = wire.decode_results(frame.payload, self._identity.output.nbytes)
        ids = batch.ids.tolist()
        if len(ids) != len(set(ids)) or not request.open.issuperset(ids):
            msg = f"RESULT {frame.seq} holds samples that were not in the request"
            raise WireError(wire.ErrorCode.BAD_PAYLOAD, msg, frame.seq)
        if ids:
            self._work.answer(batch.ids, batch.ticks, batch.scores)
            request.open.difference_update(ids)
            took = time.monotonic() - max(self._progress, self._resent)
            self._pace.answered(len(ids), min(took, self._quiet_s + _LONGEST_S))
            # Only answers are progress: a board that leaves a sample out for ever shall not keep the host for ever.
            self._heard()
        if batch.last:
            for lost in [seq for seq in self._pending if seq != frame.seq and self._before(seq, frame.seq)]:
                self._resend([lost], "its answer did not arrive")
            self._drop(frame.seq)
            self._pace.completed(request.size)
            # Answers and complaints come in order: what was damaged before is dealt with now.
            self._suspect = False
            self._again.extend(sorted(request.open))

    def _before(self, seq: int, other: int) -> bool:
        """Whether `seq` was sent before `other`: the dictionary keeps the order of sending."""
        for candidate in self._pending:
            if candidate in {seq, other}:
                return candidate == seq
        return False

    def _error(self, frame: wire.Frame) -> None:
        report = wire.decode_error(frame.payload)
        if report.sample_id is not None:
            request = self._pending.get(frame.seq)
            if request is not None and report.sample_id in request.open:
                request.open.discard(report.sample_id)
                self._heard()
                self._work.fail(report.sample_id, str(reported(report)))
        elif report.code in RESENDABLE:
            self._suspected(f"frame dropped by the board: {report.text}")
        elif not frame.seq or frame.seq in self._pending:
            raise reported(report)

    def _suspected(self, complaint: str) -> None:
        """Note that something was lost; what, the answers to come will show."""
        self._note("dropped", complaint)
        self._suspect, self._complaint = True, complaint

    def _drop(self, seq: int) -> _Request:
        request = self._pending.pop(seq)
        self._in_flight -= request.size
        return request

    def _resend(self, lost: list[int], why: str) -> None:
        """Send requests again that were lost together."""
        dropped = [self._drop(seq) for seq in lost]
        # However many they were, it was one event: a pulled cable is no reason to shrink batches to single samples.
        self._pace.lost(sum(request.size for request in dropped))
        samples = [sample for request in dropped for sample in sorted(request.open)]
        self._again.extend(samples)
        self._note("resend", f"{len(samples)} samples sent again: {why}", len(dropped))
        self._suspect, self._flush = False, True

    def _note(self, kind: str, text: str, count: int = 1) -> None:
        """Report a loss; on a bad line there are thousands, and from some point on they are only counted."""
        if self._losses[kind] < _NOTED:
            self._work.note(kind, text)
        self._losses[kind] += count

    def _sum_up(self) -> None:
        """Report how many losses there were, if not each was reported."""
        if max(self._losses.values(), default=0) > _NOTED:
            dropped, again = self._losses["dropped"], self._losses["resend"]
            self._work.note("losses", f"{dropped:,} damaged frames and {again:,} requests sent again in all")

    def _heard(self) -> None:
        """Begin to wait anew."""
        self._progress = time.monotonic()
        self._silent_s = self._quiet_s = 0.0

    def _check_silence(self) -> None:
        patience, silent = self._session.patience, self._silent_s
        if silent > patience.timeout_s:
            open_samples = sum(len(request.open) for request in self._pending.values())
            msg = f"no result for {silent:.1f} s with {open_samples} samples on the board"
            raise BoardTimeoutError(f"{msg}; last: {self._complaint}" if self._complaint else msg)
        if patience.resend_s is None:
            return
        # A slow board is not a lossy line: allow for what it is known to need, and at first for half the time-out.
        due = self._pace.due_s(sum(len(request.open) for request in self._pending.values()))
        beyond = min(patience.resend_s, _COMPLAINT_S) if self._suspect else patience.resend_s
        allowed = patience.timeout_s / 2 if due is None else beyond + 2 * due
        if self._quiet_s > allowed:
            self._resent, self._quiet_s = time.monotonic(), 0.0
            if self._pending:
                self._resend(list(self._pending), f"no answer for {silent:.1f} s")
