"""A link to a board that somebody watches: it ends when the board does, not only when the line does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pytest_tinyml.links.base import LinkClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tinyml.links.base import Link
    from pytest_tinyml.links.http import HttpLink

_SLICE_S: Final = 0.1
_NOTHING: Final = memoryview(b"")


class WatchedLink:
    """See `pytest_tinyml.links.base.Link`.

    Args:
        link: to the board; closed by `close`.
        reason: says why the board is dead, and nothing while it is not.
    """

    def __init__(self, link: Link, reason: Callable[[], str | None]) -> None:
        """Take the link over."""
        self._link, self._reason = link, reason
        self.name, self.packed = link.name, link.packed

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """See `Link.exchange`; what a dead board had sent is delivered before its end is told."""
        deadline = time.monotonic() + timeout_s
        while True:
            reason = self._reason()
            left = max(0.0, deadline - time.monotonic())
            sent, received = self._link.exchange(_NOTHING if reason else out, 0.0 if reason else min(left, _SLICE_S))
            if sent or received:
                return sent, received
            if reason:
                raise LinkClosedError(reason)
            if left <= 0:
                return 0, b""

    def close(self) -> None:
        """See `Link.close`."""
        self._link.close()


def arrives(link: HttpLink, reason: Callable[[], str | None], timeout_s: float) -> bool:
    """Wait for a board's first exchange; returns False when the time is up, and early if the board is dead.

    Raises:
        LinkClosedError: the link was closed, or the session replaced.
    """
    deadline = time.monotonic() + timeout_s
    while reason() is None and time.monotonic() < deadline:
        if link.wait_connected(_SLICE_S):
            return True
    return False
