"""What a link is: a stream of bytes to a board that never blocks longer than it is told to."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class LinkClosedError(Exception):
    """The other end is gone."""


class Link(Protocol):
    """A stream of bytes to one board."""

    name: str
    """For results and messages: ``socket``, ``serial``, ..."""
    packed: bool
    """Whether the line is slow enough for packing samples to pay."""

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """Move bytes in both directions, so that neither end can wait for the other for ever.

        Args:
            out: what is to be sent; may be empty.
            timeout_s: longest wait for the first byte in either direction.

        Returns:
            How many bytes of `out` were taken, and what was received (both may be nothing on a time-out).

        Raises:
            LinkClosedError: the other end is gone and everything it had sent was delivered.
        """
        ...

    def close(self) -> None:
        """Give the line back; harmless when repeated."""
        ...


class FdLink:
    """A link over a file descriptor: a socket, a pseudo-terminal or an open serial port.

    Args:
        fd: taken over, made non-blocking, and closed by `close`.
        name: see `Link`.
        packed: see `Link`.
        closer: called by `close` in place of `os.close`, for owners of the descriptor.
        chunk: largest read in bytes.
    """

    def __init__(
        self, fd: int, *, name: str, packed: bool, closer: Callable[[], None] | None = None, chunk: int = 1 << 18
    ) -> None:
        """Take the descriptor over."""
        self.name, self.packed = name, packed
        self._fd, self._closer, self._chunk = fd, closer, chunk
        self._poll = select.poll()
        os.set_blocking(fd, False)

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """See `Link.exchange`."""
        if self._fd < 0:
            msg = "the link was closed by the host"
            raise LinkClosedError(msg)
        wanted = select.POLLIN | (select.POLLOUT if out else 0)
        self._poll.register(self._fd, wanted)
        events = dict(self._poll.poll(max(0.0, timeout_s) * 1000)).get(self._fd, 0)
        received, written = b"", 0
        if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
            received = self._read()
        if out and events & select.POLLOUT:
            try:
                written = os.write(self._fd, out)
            except BlockingIOError:
                written = 0
            except OSError as error:
                # What the board said before it died is worth more than the broken pipe; it may have come just now.
                received = received or self._read()
                if not received:
                    raise LinkClosedError(str(error)) from error
        return written, received

    def _read(self) -> bytes:
        try:
            data = os.read(self._fd, self._chunk)
        except BlockingIOError:
            return b""
        except OSError as error:  # EIO: the last user of a pseudo-terminal has gone
            raise LinkClosedError(str(error)) from error
        if not data:
            msg = "the board closed the link"
            raise LinkClosedError(msg)
        return data

    def close(self) -> None:
        """See `Link.close`."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        if self._closer is not None:
            self._closer()
        else:
            os.close(fd)
