"""Puts a serial line of `cable` between the host and any board whose `start` returns an `FdLink`."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import tty
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from pytest_tinyml.boards.native import NativeBoard, NativeKind
from pytest_tinyml.boards.process import SERIAL
from pytest_tinyml.links.base import FdLink

if TYPE_CHECKING:
    from pytest_tinyml.boards.base import Board, BoardRequest
    from pytest_tinyml.links.base import Link

CABLE: Final = Path(__file__).with_name("cable.py")
END_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """What a line does to bytes.

    Attributes:
        baud: bits per second and direction, ten per byte; 0 passes them at once.
        buffer_bytes: held by the line per direction, besides what the kernel keeps for the sender. 4096 is what Linux
            keeps for a serial port (UART_XMIT_SIZE); the FIFO of an adapter, 64 to 4096 bytes, is counted with it.
        bit_error: probability that a data bit is flipped.
        dropped: probability that a byte is lost.
        doubled: probability that a byte comes twice.
        cuts: when the cable is pulled, as bytes taken from the host, and for how many seconds everything is lost.
        seed: of the faults.
    """

    baud: int
    buffer_bytes: int = 4096
    bit_error: float = 0.0
    dropped: float = 0.0
    doubled: float = 0.0
    cuts: tuple[tuple[int, float], ...] = ()
    seed: int = 1


class CountedLink(FdLink):
    """The host's end of a line, which knows how many bytes it has sent and received."""

    sent = 0
    received = 0

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """See `Link.exchange`."""
        sent, received = super().exchange(out, timeout_s)
        self.sent += sent
        self.received += len(received)
        return sent, received


@dataclass(slots=True)
class Line:
    """A running line, the host's end open.

    Attributes:
        settings: what it does.
        host: descriptor of the host's end, a terminal in raw mode; closing it ends the line.
        link: the host's link over it.
        counts: bytes by direction (``to_board``, ``from_board``) and fate, known after `close`.
    """

    settings: LineSettings
    host: int = -1
    link: CountedLink | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def open(self, board: int) -> None:
        """Couple `board`, a descriptor that is taken over, with a new terminal."""
        ours, self.host = os.openpty()
        tty.setraw(self.host)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", str(CABLE), str(ours), str(board), json.dumps(asdict(self.settings))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                pass_fds=(ours, board),
                process_group=0,
            )
        finally:
            os.close(ours)
            os.close(board)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"\n"

    def close(self) -> None:
        """Let go of the host's end, which ends the line, and take its counts; harmless when repeated."""
        host, self.host = self.host, -1
        if host >= 0:
            os.close(host)
        process, self._process = self._process, None
        if process is None:
            return
        try:
            said, _ = process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        self.counts = json.loads(said)


def measure_rate(settings: LineSettings, seconds: float) -> dict[str, float]:
    """Return the bytes per second that a line really passes, with both directions busy: by direction.

    From the first that is sent to the last that is delivered, so that a busy computer makes it less and never more.

    Raises:
        TimeoutError: no byte for `END_S` seconds.
    """
    board, far = os.openpty()
    tty.setraw(far)
    line = Line(settings)
    line.open(board)
    for fd in (line.host, far):
        os.set_blocking(fd, False)
    total = int(settings.baud / 10 * seconds)
    to_send = {line.host: total, far: total}
    seen, ended = dict.fromkeys(to_send, 0), dict.fromkeys(to_send, 0.0)
    begun = time.monotonic()
    try:
        while any(size < total for size in seen.values()):
            readable, writable, _ = select.select(seen, [fd for fd, left in to_send.items() if left], [], END_S)
            if not (readable or writable):
                msg = f"the line has stopped: {seen}"
                raise TimeoutError(msg)
            for fd in readable:
                seen[fd] += len(os.read(fd, 1 << 16))
                ended[fd] = time.monotonic()
            for fd in writable:
                to_send[fd] -= os.write(fd, bytes(min(to_send[fd], 1 << 12)))
        return {name: total / (ended[fd] - begun) for name, fd in (("to_board", far), ("from_board", line.host))}
    finally:
        line.close()
        os.close(far)


def plug_line(board: Board, settings: LineSettings) -> list[Line]:
    """Put a line in front of a board; returns the lines, one per start, that it will have had."""
    start = cast("Any", board).start
    lines: list[Line] = []

    def start_behind_line() -> Link:
        direct: Link = start()
        assert isinstance(direct, FdLink)
        line = Line(settings)
        line.open(os.dup(direct._fd))
        direct.close()
        lines.append(line)
        line.link = CountedLink(line.host, name=SERIAL, packed=True, closer=line.close)
        return line.link

    cast("Any", board).start = start_behind_line
    return lines


class LineKind(NativeKind):
    """The native board behind a line, under a name of its own.

    Args:
        settings: of the line.

    Attributes:
        lines: one per start of each board.
    """

    name = "behind-line"
    links: tuple[str, ...] = (SERIAL,)

    def __init__(self, settings: LineSettings) -> None:
        """Have started nothing."""
        self.settings = settings
        self.lines: list[Line] = []

    def create(self, request: BoardRequest) -> NativeBoard:
        """See `BoardKind.create`."""
        board = super().create(request)
        self.lines = plug_line(board, self.settings)
        return board
