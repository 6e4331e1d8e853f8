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
    """A link over a file descriptor: a socket, a pseudo-terminal or an open serial port; or over two pipes.

    Args:
        fd: taken over, made non-blocking, and closed by `close`.
        out_fd: what is written to, likewise, where that is not the same.
        name: see `Link`.
        packed: see `Link`.
        closer: called by `close` in place of `os.close`, for owners of the descriptor.
        chunk: largest read in bytes.
    """

    def __init__(
        self,
        fd: int,
        *,
        name: str,
        packed: bool,
        out_fd: int | None = None,
        closer: Callable[[], None] | None = None,
        chunk: int = 1 << 18,
    ) -> None:
        """Take the descriptor over."""
        self.name, self.packed = name, packed
        self._fd, self._closer, self._chunk = fd, closer, chunk
        self._out_fd = fd if out_fd is None else out_fd
        self._poll = select.poll()
        os.set_blocking(fd, False)
        os.set_blocking(self._out_fd, False)

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """See `Link.exchange`."""
        if self._fd < 0:
            msg = "the link was closed by the host"
            raise LinkClosedError(msg)
        writing = select.POLLOUT if out else 0
        if self._out_fd == self._fd:
            self._poll.register(self._fd, select.POLLIN | writing)
        else:
            self._poll.register(self._fd, select.POLLIN)
            self._poll.register(self._out_fd, writing)
        ready = dict(self._poll.poll(max(0.0, timeout_s) * 1000))
        received, written = b"", 0
        if ready.get(self._fd, 0) & (select.POLLIN | select.POLLHUP | select.POLLERR):
            received = self._read()
        # A pipe whose reader has gone reports an error, which writing to it then names.
        if out and ready.get(self._out_fd, 0) & (select.POLLOUT | select.POLLERR):
            try:
                written = os.write(self._out_fd, out)
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
            return
        os.close(fd)
        if self._out_fd != fd:
            os.close(self._out_fd)
