"""A server in a thread with an event loop of its own, so that everything else stays synchronous."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.links.http.connection import ARRIVAL_S, Listener

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from aiohttp import web
    from aiohttp.web_request import BaseRequest

    from pytest_tinyml.links.http.refusal import Counters

_START_S: Final = 10.0
_FAREWELL_S: Final = 0.5
_STOP_S: Final = 5.0


class ServerThread:
    """One server's thread; used by the one who made it.

    Args:
        name: of the thread.
        handler: answers requests, in the thread's loop.
        counters: the server's.
        all_told: whether every client knows that it is over; asked in the loop.
        arrival_s: how long a request may take to arrive.
        beside: runs beside the server, in its loop, until it ends.

    Attributes:
        port: that it listens on; 0 before `start`.
    """

    def __init__(
        self,
        name: str,
        handler: Callable[[BaseRequest], Awaitable[web.StreamResponse]],
        counters: Counters,
        all_told: Callable[[], bool],
        *,
        arrival_s: float = ARRIVAL_S,
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Start nothing."""
        self.port = 0
        self._name, self._handler, self._counters, self._all_told = name, handler, counters, all_told
        self._arrival_s, self._beside = arrival_s, beside
        self._started = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: OSError | None = None

    @property
    def running(self) -> bool:
        """Whether `start` was called."""
        return self._thread is not None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The thread's, once it has started."""
        assert self._loop is not None  # noqa: S101 - start() has set it
        return self._loop

    def start(self, host: str, port: int) -> None:
        """Listen; harmless when repeated.

        Args:
            host: address to listen on.
            port: likewise; 0 for any that is free.

        Raises:
            OSError: it cannot listen there.
            TimeoutError: it did not start, nobody knows why.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(host, port), name=self._name, daemon=True)
            self._thread.start()
        if not self._started.wait(_START_S):  # pragma: no cover - a machine that is out of everything
            msg = f"the server did not start within {_START_S:g} s"
            raise TimeoutError(msg)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Give clients a moment to hear that it is over, and listen no more; harmless when repeated."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_S)

    def _run(self, host: str, port: int) -> None:
        try:
            asyncio.run(self._serve(host, port))
        except OSError as error:
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self, host: str, port: int) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        listener = Listener(self._handler, self._counters, self._arrival_s)
        server = await loop.create_server(listener, host, port, backlog=128)
        tasks = [loop.create_task(listener.watch())]
        if self._beside is not None:
            tasks.append(loop.create_task(self._beside()))
        try:
            self.port = server.sockets[0].getsockname()[1]
            self._started.set()
            await self._stop.wait()
            # Clients that are busy hear that it is over when they come back, if that is soon.
            until = loop.time() + _FAREWELL_S
            while not self._all_told() and listener.connections and loop.time() < until:  # noqa: ASYNC110 - three things, for half a second
                await asyncio.sleep(0.01)
        finally:
            for task in tasks:
                task.cancel()
            server.close()
            listener.pre_shutdown()
            await listener.shutdown(_FAREWELL_S)
