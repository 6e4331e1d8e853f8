"""A minimal host for one native process, for tests of the firmware alone: the package's links are tested elsewhere."""

from __future__ import annotations

import os
import pty
import select
import socket
import subprocess
import time
import tty
from typing import TYPE_CHECKING, Self

from pytest_tinyml import wire

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.errors import WireError
    from pytest_tinyml.records import Identity

TIMEOUT_S = 60.0


class Host:
    """Starts the program on a socket pair or a pty, asks, and switches it off at the end."""

    def __init__(self, program: Path, *arguments: str, over_tty: bool = False) -> None:
        """Start the process; its console is collected."""
        if over_tty:
            ours, theirs = pty.openpty()
            tty.setraw(theirs)
            transport, passed = ["--tty", os.ttyname(theirs)], []
        else:
            left, right = socket.socketpair()
            ours, theirs = left.detach(), right.detach()
            transport, passed = ["--fd", str(theirs)], [theirs]
        self.fd: int | None = ours
        self.process = subprocess.Popen(
            [str(program), *transport, *arguments], pass_fds=passed, stderr=subprocess.PIPE, text=True
        )
        if over_tty:
            # The board must have opened the terminal before we drop it, or we would read end-of-file.
            self._wait_for_line()
        os.close(theirs)
        os.set_blocking(ours, False)
        self._decoder = wire.FrameDecoder()
        self._found: list[wire.Frame | WireError] = []

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Hang up, and end the process if that does not."""
        self.hang_up()
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()

    def _wait_for_line(self) -> None:
        assert self.process.stderr is not None
        assert select.select([self.process.stderr], [], [], TIMEOUT_S)[0], "the board says nothing"
        assert "tinyml" in self.process.stderr.readline()

    def hang_up(self) -> None:
        """Close our end."""
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None

    def send(self, data: bytes) -> None:
        """Send all bytes, within a bound."""
        assert self.fd is not None
        deadline = time.monotonic() + TIMEOUT_S
        while data:
            assert select.select([], [self.fd], [], deadline - time.monotonic())[1], "the board does not read"
            data = data[os.write(self.fd, data) :]

    def receive(self, timeout_s: float = TIMEOUT_S) -> wire.Frame | WireError | None:
        """Return the next frame or decoding error; None if none comes in time.

        Raises:
            EOFError: the board closed the line.
        """
        assert self.fd is not None
        deadline = time.monotonic() + timeout_s
        while not self._found:
            if not select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                data = b""
            if not data:
                raise EOFError
            self._found += self._decoder.feed(data)
        return self._found.pop(0)

    def ask(self, kind: int, seq: int, payload: bytes) -> wire.Frame:
        """Send a request and return the first frame that comes."""
        self.send(wire.encode_frame(kind, seq, payload))
        reply = self.receive()
        assert isinstance(reply, wire.Frame), reply
        return reply

    def hello(self, session: int = 1) -> Identity:
        """Return the board's identity."""
        reply = self.ask(wire.MessageType.HELLO, 1, wire.encode_hello(session))
        assert reply.type == wire.MessageType.IDENTITY
        return wire.decode_identity(reply.payload)
