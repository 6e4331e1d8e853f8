"""A device that answers as a test wants: bytes in, bytes out, in a thread on a pair of sockets."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

from pytest_tinyml.links.base import FdLink

if TYPE_CHECKING:
    from collections.abc import Callable


class ScriptedDevice:
    """See the module; by default it does what the reference devices do, and counts inferences in its results.

    Attributes:
        commands: what has come, in order.
        answers: replaces the answer to a command, once or for good; returns None where the usual one will do.
    """

    def __init__(self) -> None:
        """Be ready."""
        ours, self._theirs = socket.socketpair()
        self.link = FdLink(ours.detach(), name="mlperf", packed=False)
        self.commands: list[str] = []
        self.answers: Callable[[str], str | None] = lambda _: None
        self.buffer = b""
        self._size = self._clock_us = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Hang up."""
        self.link.close()
        self._thread.join(60)
        self._theirs.close()

    def usual(self, command: str) -> str:
        """Return what a healthy device answers, m-ready included."""
        word, _, rest = command.partition(" ")
        known: dict[str, Callable[[], str]] = {
            "name": lambda: "m-name-dut-[acme]\r\n",
            "profile": lambda: "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[ic01]\r\n",
            "timestamp": lambda: f"m-lap-us-{self._clock_us}\r\n",
            "results": self.results,
            "infer": lambda: self._infer(int(rest.split()[0])),
            "db": lambda: self._db(rest),
        }
        answer = known[word]() if word in known else f"e-[Unknown command: {word}]\r\n"
        return f"{answer}m-ready\r\n"

    def _infer(self, times: int) -> str:
        before, self._clock_us = self._clock_us, (self._clock_us + 1000 * times) % (1 << 32)
        return f"m-lap-us-{before}\r\nm-lap-us-{self._clock_us}\r\n{self.results()}"

    def _db(self, rest: str) -> str:
        if rest.startswith("load "):
            self._size, self.buffer = int(rest[5:]), b""
            return f"m-[Expecting {self._size} bytes]\r\n"
        if rest == "print":
            return f"m-buffer-{self.buffer.hex('-')}\r\n"
        self.buffer += bytes.fromhex(rest)
        return "m-load-done\r\n" if len(self.buffer) == self._size else ""

    def results(self) -> str:
        """Return the line of results: the buffer's mean, and what is missing to one."""
        mean = sum(self.buffer) / 255 / max(1, len(self.buffer))
        return f"m-results-[{mean:.3f},{1 - mean:.3f}]\r\n"

    def say(self, data: bytes) -> None:
        """Send bytes unasked; raises OSError when the line was hung up."""
        self._theirs.sendall(data)

    def at(self, microseconds: int) -> None:
        """Set the clock."""
        self._clock_us = microseconds

    def _serve(self) -> None:
        waiting = b""
        try:
            while data := self._theirs.recv(4096):
                *whole, waiting = (waiting + data).split(b"%")
                for raw in whole:
                    command = raw.decode("ascii", errors="replace")
                    self.commands.append(command)
                    scripted = self.answers(command)
                    self._theirs.sendall((self.usual(command) if scripted is None else scripted).encode("latin-1"))
        except OSError:
            pass
