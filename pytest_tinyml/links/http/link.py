"""The host's end of a conversation with a board that pulls: bytes that wait to be fetched, and bytes that came."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from pytest_tinyml.links.base import LinkClosedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

CAPACITY: Final = 1 << 22
"""Bytes that may wait in one direction: above any receive window worth having, and a bound on what a board can make
the host keep."""
GATHERED: Final = 1 << 18
"""An exchange that waits is answered at once when so many bytes are there, ..."""
GATHER_S: Final = 0.005
"""... when this time has passed, and when the host has nothing more to say for now."""


class HttpLink:
    """See `pytest_tinyml.links.base.Link`; made by `ImageServer.connect`.

    A link belongs to one session of the board: when the board starts anew, it ends.

    Args:
        changed: guards everything here; shared with the port.
        wake: makes the server answer the exchange that waits for bytes; called with the lock held.
    """

    name: str = "http"

    def __init__(self, changed: threading.Condition, wake: Callable[[], None]) -> None:
        """Wait for a session."""
        self.packed = False
        """Whether samples are packed: set by a board that knows its network to be slow."""
        self.session = ""
        """The board's session; empty before its first exchange."""
        self.used = False
        """Whether the host has said or heard anything."""
        self.ended = ""
        """Why nothing more comes; empty as long as something may."""
        self._changed, self._wake = changed, wake
        self._outbox = bytearray()
        self._inbox: deque[bytes] = deque()
        self._in_bytes = 0
        self._put_at = 0.0

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until a session has begun on this link; returns whether one has.

        Raises:
            LinkClosedError: the link was replaced by a newer one, or the server was closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.session or self.ended, timeout_s)
            if self.ended:
                raise LinkClosedError(self.ended)
            return bool(self.session)

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """See `Link.exchange`; takes nothing before the board has come, or while it does not fetch what waits.

        What is taken is answered to the board when much has gathered, or when the host calls this again.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                taken = self._put(out)
                received = self._drain()
                now = time.monotonic()
                if self._outbox and (len(self._outbox) >= GATHERED or now > self._put_at + GATHER_S):
                    self._wake()
                if taken or received:
                    self.used = True
                    return taken, received
                if self.ended:
                    raise LinkClosedError(self.ended)
                if now >= deadline:
                    return 0, b""
                if self._outbox:
                    self._wake()
                self._changed.wait(deadline - now)

    def close(self) -> None:
        """See `Link.close`."""
        with self._changed:
            self.end("the link was closed by the host")

    # What follows is for the port, with the lock held.

    def begin(self, session: str) -> None:
        """Take a session over, in place of another one that has not been used."""
        self.session = session
        self._inbox.clear()
        self._in_bytes = 0
        self._changed.notify_all()

    def end(self, why: str) -> None:
        """Say why nothing more comes, if that was not said before."""
        if not self.ended:
            self.ended = why
            self._outbox = bytearray()
            self._changed.notify_all()

    def receive(self, body: bytes) -> bool:
        """Take what a board has posted; returns False if there is no room."""
        if self.ended or not body:
            return True
        # One body always fits, however large it is.
        if self._inbox and self._in_bytes + len(body) > CAPACITY:
            return False
        self._inbox.append(body)
        self._in_bytes += len(body)
        self._changed.notify_all()
        return True

    @property
    def waiting(self) -> bool:
        """Whether there is something to fetch."""
        return bool(self._outbox)

    def fetch(self) -> bytearray:
        """Return what waits for the board."""
        data, self._outbox = self._outbox, bytearray()
        if len(data) >= CAPACITY:
            self._changed.notify_all()
        return data

    def _put(self, out: memoryview) -> int:
        if not out or not self.session or self.ended:
            return 0
        taken = min(len(out), CAPACITY - len(self._outbox))
        if taken:
            if not self._outbox:
                self._put_at = time.monotonic()
            # Copied, as frames that are kept until they are fetched make the allocator give memory back and take it.
            self._outbox += out[:taken]
        return taken

    def _drain(self) -> bytes:
        if not self._inbox:
            return b""
        data = self._inbox[0] if len(self._inbox) == 1 else b"".join(self._inbox)
        self._inbox.clear()
        self._in_bytes = 0
        return data
