"""The line itself, a program of its own so that it shares no interpreter with the host: two descriptors, coupled.

    python cable.py A B SETTINGS

A is the host's end, B the board's: descriptors of pseudo-terminals. SETTINGS is a JSON object, see `tests.lines.plug`.
Bytes pass at baud / 10 per second and direction (8N1). Each direction has one buffer of `buffer_bytes`; what does not
fit stays with the sender. A byte is delivered when its stop bit is over, in steps of a millisecond as USB adapters do.
The program prints an empty line when it is ready, and ends when either end is gone, with what it has seen as JSON: at
once when it is the host's, and with everything delivered that the board had said when it is the board's.

It uses nothing but the standard library's core, so that it starts in a few hundredths of a second.
"""

from __future__ import annotations

import json
import math
import os
import random
import select
import sys
import time
from typing import Any

BITS_PER_BYTE = 10
"""A start bit, eight data bits, a stop bit."""
STEP_S = 0.001
LATE_BYTES = 1 << 20
"""What may wait for a receiver that does not read, more than any board's window; behind that bytes are lost."""


class Gaps:
    """Draws how many units pass between faults of probability p each: the geometric distribution, by inversion."""

    def __init__(self, p: float, rng: random.Random) -> None:
        """Draw the first."""
        self._p, self._rng = p, rng
        self._left = self._draw()

    def _draw(self) -> int:
        if self._p <= 0:
            return 1 << 62
        return int(math.log(1.0 - self._rng.random()) / math.log1p(-self._p)) if self._p < 1 else 0

    def within(self, units: int) -> list[int]:
        """Return which of the next `units` are hit."""
        hits = []
        at = self._left
        while at < units:
            hits.append(at)
            at += 1 + self._draw()
        self._left = at - units
        return hits


class Direction:
    """One wire."""

    def __init__(self, source: int, sink: int, settings: dict[str, Any], seed: int) -> None:
        """Be idle."""
        rng = random.Random(seed)  # noqa: S311 - reproducible faults, no secret
        self.source, self.sink = source, sink
        self.bits = Gaps(settings["bit_error"], rng)
        self.drops = Gaps(settings["dropped"], rng)
        self.doubles = Gaps(settings["doubled"], rng)
        self.rate = settings["baud"] / BITS_PER_BYTE
        self.capacity = settings["buffer_bytes"]
        self.buffer = bytearray()
        self.late = bytearray()
        self.busy_since = 0.0
        self.counts = dict.fromkeys(("taken", "delivered", "flipped", "dropped", "doubled", "silenced", "overrun"), 0)

    def take(self, now: float) -> None:
        """Read what the buffer has room for."""
        if len(self.buffer) >= self.capacity:
            return
        try:
            data = os.read(self.source, self.capacity - len(self.buffer))
        except BlockingIOError:
            return
        if not data:
            raise EOFError
        if not self.buffer:
            self.busy_since = max(self.busy_since, now)
        self.buffer += data
        self.counts["taken"] += len(data)

    def pass_on(self, now: float, *, silent: bool) -> None:
        """Deliver the bytes whose time has come."""
        due = len(self.buffer) if not self.rate else int((now - self.busy_since) * self.rate)
        data = bytes(self.buffer[: max(0, due)])
        if data:
            del self.buffer[: len(data)]
            # Whole bytes only, so that no fraction is lost and the rate is exact in the long run.
            self.busy_since += len(data) / self.rate if self.rate else 0.0
            if silent:
                self.counts["silenced"] += len(data)
            else:
                self.late += self._spoilt(data)
        if self.late:
            try:
                sent = os.write(self.sink, self.late)
            except BlockingIOError:
                sent = 0
            del self.late[:sent]
            self.counts["delivered"] += sent
            self.counts["overrun"] += max(0, len(self.late) - LATE_BYTES)
            del self.late[LATE_BYTES:]

    def _spoilt(self, data: bytes) -> bytes:
        """Flip bits, drop bytes, double bytes."""
        flips = self.bits.within(8 * len(data))
        drops = self.drops.within(len(data))
        doubles = self.doubles.within(len(data))
        if not (flips or drops or doubles):
            return data
        cells = [data[k : k + 1] for k in range(len(data))]
        for bit in flips:
            cells[bit >> 3] = bytes((cells[bit >> 3][0] ^ 1 << (bit & 7),))
        for at in doubles:
            cells[at] *= 2
        for at in drops:
            cells[at] = b""
        self.counts["flipped"] += len(flips)
        self.counts["dropped"] += len(drops)
        self.counts["doubled"] += len(doubles)
        return b"".join(cells)

    def next_step(self) -> float:
        """Return when the next bytes are due."""
        if not self.buffer or not self.rate:
            return math.inf
        step: float = max(1.0, min(len(self.buffer), self.rate * STEP_S)) / self.rate
        return self.busy_since + step


def run(host: int, board: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Couple both ends until one is gone."""
    seed = settings["seed"]
    to_board = Direction(host, board, settings, 2 * seed)
    from_board = Direction(board, host, settings, 2 * seed + 1)
    wires = [to_board, from_board]
    cuts = [tuple(cut) for cut in settings["cuts"]]
    silent_until = 0.0
    for fd in (host, board):
        os.set_blocking(fd, False)
    sys.stdout.write("\n")
    sys.stdout.flush()
    gone = select.poll()
    gone.register(host, 0)  # POLLHUP is always told; reading would say so only behind all that is still to be sent
    while not gone.poll(0) and (to_board in wires or from_board.buffer or from_board.late):
        now = time.monotonic()
        # A cable is pulled when so many bytes have come for the board: repeatable, unlike a time.
        if cuts and to_board.counts["taken"] >= cuts[0][0]:
            silent_until = now + cuts.pop(0)[1]
        try:
            for wire in wires:
                wire.pass_on(now, silent=now < silent_until)
            readers = [w.source for w in wires if to_board in wires and len(w.buffer) < w.capacity]
            writers = [w.sink for w in wires if w.late]
            wait = min(w.next_step() for w in wires) - time.monotonic()
            readable, _, _ = select.select(readers, writers, [], max(0.0, min(wait, 0.5)))
            now = time.monotonic()
            for wire in wires:
                if wire.source in readable:
                    wire.take(now)
        except (EOFError, OSError):
            # EIO: the last user of a pseudo-terminal has gone. If it was the board, its last words are on the way.
            if to_board not in wires:
                break
            wires.remove(to_board)
    return {"to_board": to_board.counts, "from_board": from_board.counts}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))))
