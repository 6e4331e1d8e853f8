"""Where a board's exchanges meet the host's link: numbering, repeats, and sessions that replace each other."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pytest_tinyml.links.http.link import HttpLink
from pytest_tinyml.links.http.refusal import Reason, RefusedError

if TYPE_CHECKING:
    from pytest_tinyml.links.http.refusal import Counters

POLL_S: Final = 5.0
"""How long an exchange waits for bytes for the board."""
BUSY_S: Final = 0.02
"""The same for an exchange that has brought something: a board may be computing what it will want to post next."""
_REMEMBERED: Final = 1024


class Exchange:
    """One exchange of a session; kept until the next, so that a repeat gets the same answer.

    Attributes:
        link: whose session it belongs to.
        number: within the session.
        crc: CRC-32 of the body; a repeat has the same.
        ready: done when there is something to answer.
        answer: None until it is known.
    """

    __slots__ = ("answer", "crc", "link", "number", "ready")

    def __init__(self, link: HttpLink, number: int, crc: int, loop: asyncio.AbstractEventLoop) -> None:
        """Have no answer yet."""
        self.link, self.number, self.crc = link, number, crc
        self.ready: asyncio.Future[None] = loop.create_future()
        self.answer: bytearray | None = None


class Port:
    """One board's place at the server.

    Args:
        loop: the server's.
        counters: the server's.
        poll_s: how long an exchange waits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, counters: Counters, poll_s: float) -> None:
        """Expect nobody: `connect` does."""
        self._loop, self._counters, self._poll_s = loop, counters, poll_s
        self._changed = threading.Condition()
        self._link: HttpLink | None = None
        self._last: Exchange | None = None
        self._parked: Exchange | None = None
        self._retired: deque[str] = deque(maxlen=_REMEMBERED)
        self._over = False
        self.told = False
        """Whether the board knows that the run is over, or there is none to be told."""

    def connect(self) -> HttpLink:
        """Expect a new session; from any thread."""
        with self._changed:
            self._end("another link took its place")
            self._link = HttpLink(self._changed, self._wake)
            if self._over:
                self._link.end("the image server was closed")
            self._wake()
            return self._link

    def finish(self) -> None:
        """End the run; from any thread."""
        with self._changed:
            self._over = True
            self.told = self._link is None or not self._link.session
            self._end("the image server was closed")
            self._wake()

    async def exchange(self, session: str, number: int, body: bytes) -> bytearray:
        """Carry one exchange out, or repeat its answer; in the server's loop.

        Raises:
            RefusedError: see firmware/HTTP.md, sections 1 and 2.
        """
        with self._changed:
            current = self._accept(session, number, body)
            if current.answer is None and current.link.waiting:
                current.answer = current.link.fetch()
            if current.answer is not None:
                return current.answer
            self._parked = current
        # The future is shared with the repeats of this exchange, none of which may cancel it.
        wait_s = min(BUSY_S, self._poll_s) if body else self._poll_s
        timer = self._loop.call_later(wait_s, _resolve, current.ready)
        try:
            await asyncio.shield(current.ready)
        finally:
            timer.cancel()
        with self._changed:
            if self._parked is current:
                self._parked = None
            if current.answer is None:
                self._check(current.link)
                if current.link.ended:
                    raise RefusedError(Reason.ORDER, "the host has ended this session; start a new one")
                current.answer = current.link.fetch()
            return current.answer

    def _accept(self, session: str, number: int, body: bytes) -> Exchange:
        """Return the exchange that this is, new or known."""
        if self._over:
            self.told = True
            raise RefusedError(Reason.OVER, "the run is over")
        link, last = self._link, self._last
        if link is None:
            raise RefusedError(Reason.NOT_READY, "this board is not expected")
        if session in self._retired:
            raise RefusedError(Reason.ORDER, "this session has been replaced")
        crc = zlib.crc32(body)
        if session != link.session:
            if number:
                raise RefusedError(Reason.ORDER, "a session begins with exchange 0")
            self._begin(link, session)
        elif last is None or number != last.number + 1 or last.answer is None:
            if last is None or number != last.number:
                raise RefusedError(Reason.ORDER, f"exchange {number} is out of order")
            if crc != last.crc:
                raise RefusedError(Reason.ORDER, f"exchange {number} is repeated with another body")
            self._counters.add("repeats")
            return last
        if not link.receive(body):
            raise RefusedError(Reason.NOT_READY, "the host has not worked off what came before")
        self._counters.add("exchanges")
        self._last = Exchange(link, number, crc, self._loop)
        return self._last

    def _begin(self, link: HttpLink, session: str) -> None:
        if link.used or link.ended:
            # The board has started anew; what it held is given to others before it is listened to.
            self._end("the board started anew")
            raise RefusedError(Reason.NOT_READY, "the host gives the last session up")
        if link.session:
            self._retired.append(link.session)
        link.begin(session)
        self._counters.add("sessions")

    def _end(self, why: str) -> None:
        """End the present link and its session."""
        if self._link is not None:
            if self._link.session and self._link.session not in self._retired:
                self._retired.append(self._link.session)
            self._link.end(why)

    def _check(self, link: HttpLink) -> None:
        if self._over:
            self.told = True
            raise RefusedError(Reason.OVER, "the run is over")
        if link is not self._link:
            raise RefusedError(Reason.ORDER, "this session has been replaced")

    def _wake(self) -> None:
        """Let the exchange that waits be answered; the lock is held."""
        parked, self._parked = self._parked, None
        if parked is not None:
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self._loop.call_soon_threadsafe(_resolve, parked.ready)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
