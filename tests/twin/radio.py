"""The air between the board and the network: a TCP relay that can lose everything for a while."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

_STEP_S: Final = 0.05
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """When the network goes, and for how long.

    Attributes:
        after_bytes: passed to the board since it was switched on.
        seconds: in which nothing gets through; what was on the way is lost.
    """

    after_bytes: int
    seconds: float


class Radio:
    """Relays connections to one address.

    Args:
        target: host and port.
        losses: in order.

    Attributes:
        port: on loopback, to be connected to instead.
        lost: how many losses there were.
    """

    def __init__(self, target: tuple[str, int], losses: tuple[Loss, ...]) -> None:
        """Listen and relay in the background."""
        self._target, self._losses = target, list(losses)
        self.lost = 0
        self._passed = 0
        self._peers: dict[socket.socket, socket.socket] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ended = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="twin radio", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Be silent for ever; harmless when repeated."""
        self._ended.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        with self._selector, self._listener:
            while not self._ended.is_set():
                for key, _ in self._selector.select(_STEP_S):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._peers:
                        self._relay(key.fileobj)
                if self._losses and self._passed >= self._losses[0].after_bytes:
                    self._fade(self._losses.pop(0).seconds)
            self._drop_all()

    def _accept(self) -> None:
        ours, _ = self._listener.accept()
        try:
            theirs = socket.create_connection(self._target, 2.0)
        except OSError:
            ours.close()
            return
        for one, other in ((ours, theirs), (theirs, ours)):
            one.settimeout(5.0)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ, data=one is theirs)

    def _relay(self, source: socket.socket) -> None:
        sink = self._peers[source]
        to_board = self._selector.get_key(source).data
        try:
            data = source.recv(_CHUNK)
            if data:
                sink.sendall(data)
        except OSError:
            data = b""
        if to_board:
            self._passed += len(data)
        if not data:
            self._drop(source)

    def _fade(self, seconds: float) -> None:
        """Let nothing through; whoever asks for a connection waits, and those that there were end without a word."""
        self.lost += 1
        time.sleep(seconds)
        self._drop_all()

    def _drop_all(self) -> None:
        while self._peers:
            self._drop(next(iter(self._peers)))

    def _drop(self, end: socket.socket) -> None:
        other = self._peers.pop(end, None)
        if other is not None:
            self._peers.pop(other, None)
            self._selector.unregister(other)
            other.close()
        self._selector.unregister(end)
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
