"""A host that answers as badly as a test wants, and the native firmware that pulls from it.

The package's own server is not used: what it would never send is what is wanted here.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

from pytest_tinyml import wire

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.errors import WireError

TIMEOUT_S = 60.0
_HOLD_S = 0.05
"""How long an exchange waits for frames; a real host waits for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """One request as it came."""

    at: float
    connection: int
    session: str
    number: int
    body: bytes
    head: str


Mischief: TypeAlias = Callable[[socket.socket, bytes], None]
"""Answers a request, badly; an exception closes the connection."""


def answer(body: bytes, status: str = "200 OK", extra: str = "") -> bytes:
    """Return a whole answer."""
    return f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body


class PullHost:
    """A server on loopback, and one board.

    Args:
        program: the native firmware.
        arguments: of the program.
        first: what answers the first attempt of each exchange, by its number; every one if it is callable.
        host: what the board is told; an address or a name.
    """

    def __init__(
        self,
        program: Path,
        *arguments: str,
        first: dict[int, list[Mischief]] | Mischief | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """Listen, and start the program; it is told where to pull by `provision`."""
        self.token = secrets.token_urlsafe(32)
        self.posted: list[Posted] = []
        self._first, self._tries = first, defaultdict[tuple[str, int], int](int)
        self._answers: dict[tuple[str, int], bytes] = {}
        self._outbox = b""
        self._replies: list[wire.Frame | WireError] = []
        self._decoder = wire.FrameDecoder()
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._host, self.closed = host, False
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        self.process = subprocess.Popen(
            [str(program), "--console", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.heard: list[str] = []
        self.errors = ""
        self.dies = False
        self._listened = 0
        self._listener_thread = threading.Thread(target=self._listen, daemon=True)
        self._listener_thread.start()

    def __enter__(self) -> Self:
        """Provision the board."""
        self.command(f"server {self._host} {self.port} 3 {self.token}", "ok server")
        return self

    def __exit__(self, *unused: object) -> None:
        """Hang up; the program ends by itself."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.closed = True
            # Closing alone does not end a thread that waits in accept().
            for sock in (self._listener, *self._connections):
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
            self._listener_thread.join(TIMEOUT_S)
            if self.process.stderr is not None:
                self.errors = self.process.stderr.read()
                self.process.stderr.close()
        if not self.dies:
            assert self.process.returncode == 0, self.errors

    # The console.

    def say(self, line: str) -> None:
        """Send a line to the console."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                with self._changed:
                    self.heard.append(line.rstrip("\n"))
                    self._changed.notify_all()

    def hear(self, wanted: str, timeout_s: float = TIMEOUT_S) -> str:
        """Wait for a console line, after the last one that was waited for, that has `wanted` in it."""

        def found() -> str | None:
            for k in range(self._listened, len(self.heard)):
                if wanted in self.heard[k]:
                    self._listened = k + 1
                    return self.heard[k]
            return None

        with self._changed:
            line = self._changed.wait_for(found, timeout_s)
        assert line is not None, f"{wanted!r} was not heard, but {self.heard}"
        return line

    def command(self, line: str, wanted: str) -> str:
        """Send a command and return its answer."""
        self.say(f"tinyml {line}")
        return self.hear(f"tinyml: {wanted}")

    def counted(self) -> dict[str, int]:
        """Return the numbers of `status`."""
        words = self.command("status", "ok status").split()
        return {key: int(value) for key, _, value in (word.partition("=") for word in words) if value.isdigit()}

    # The server.

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection, len(self._connections)), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, suppress(OSError, EOFError):
            while not self.closed:
                posted = self._receive(connection, number)
                key = (posted.session, posted.number)
                with self._changed:
                    self.posted.append(posted)
                    attempt = self._tries[key]
                    self._tries[key] += 1
                    body = self._exchange(key, posted.body)
                mischief = self._mischief(posted.number, attempt)
                if mischief is None:
                    connection.sendall(answer(body))
                else:
                    mischief(connection, body)

    def _mischief(self, number: int, attempt: int) -> Mischief | None:
        if self._first is None:
            return None
        if callable(self._first):
            return self._first if attempt == 0 else None
        planned = self._first.get(number, [])
        return planned[attempt] if attempt < len(planned) else None

    def _exchange(self, key: tuple[str, int], body: bytes) -> bytes:
        """Take a body once, and answer the same question in the same way."""
        if key not in self._answers:
            for item in self._decoder.feed(body):
                self._replies.append(item)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._outbox or self.closed, _HOLD_S)
            self._answers = {key: self._outbox}
            self._outbox = b""
        return self._answers[key]

    @staticmethod
    def _receive(connection: socket.socket, number: int) -> Posted:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(1 << 16)
            if not more:
                raise EOFError
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("ascii").split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        size = int(fields["content-length"])
        while len(body) < size:
            more = connection.recv(1 << 16)
            if not more:
                raise EOFError
            body += more
        assert len(body) == size, "bytes behind the request"
        method, path, version = lines[0].split(" ")
        *_, session, exchange = path.split("/")
        assert (method, version, path.rsplit("/", 2)[0]) == ("POST", "HTTP/1.1", "/v1/boards/3")
        return Posted(
            at=time.monotonic(),
            connection=number,
            session=session,
            number=int(exchange),
            body=body,
            head=head.decode("ascii"),
        )

    # What a test does.

    def send(self, frame: bytes) -> None:
        """Have a frame fetched with the next exchange."""
        with self._changed:
            self._outbox += frame
            self._changed.notify_all()

    def receive(self, timeout_s: float = TIMEOUT_S) -> wire.Frame | WireError | None:
        """Return the next frame from the board; None if none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._replies), timeout_s)
            return self._replies.pop(0) if self._replies else None

    def ask(self, kind: int, seq: int, payload: bytes) -> wire.Frame:
        """Send a request and return the first frame that comes."""
        self.send(wire.encode_frame(kind, seq, payload))
        reply = self.receive()
        assert isinstance(reply, wire.Frame), reply
        return reply

    def wait_posted(self, count: int, timeout_s: float = TIMEOUT_S) -> list[Posted]:
        """Wait for so many requests."""
        deadline = time.monotonic() + timeout_s
        while len(self.posted) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(self.posted) >= count, self.heard
        return list(self.posted)
