"""The live page's server: a thread of its own, which looks at the runs once a second and waits for nobody."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.errors import UsageError
from pytest_tinyml.links.http.refusal import Counters
from pytest_tinyml.links.http.thread import ServerThread
from pytest_tinyml.report.live import handlers
from pytest_tinyml.report.live.feed import Feed
from pytest_tinyml.report.live.handlers import LiveHandlers
from pytest_tinyml.report.live.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tinyml.report.live.source import Source

PERIOD_S: Final = 1.0
"""Between two looks."""
_FINAL_S: Final = 5.0
_WILDCARDS: Final = {"0.0.0.0", "::"}  # noqa: S104 - what a user may ask for


class LiveServer:
    """One session's page; methods may be called from any thread.

    Args:
        host: address to listen on.
        port: likewise; 0 for any that is free.
        title: what the session is about.
        period_s: between two looks.

    Attributes:
        token: what makes the address a secret; made for this server.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, title: str = "", period_s: float = PERIOD_S) -> None:
        """Start nothing."""
        self.token = secrets.token_urlsafe(24)
        self._host, self._port, self._title, self._period_s = host, port, title, period_s
        self._feed = Feed()
        self._counters = Counters()
        self._handlers = LiveHandlers(self.token, self._feed, self._counters, lambda: self._look(watched=True))
        self._thread = ServerThread(
            "tinyml live page", self._handlers.handle, self._counters, self._handlers.all_told, beside=self._keep_up
        )
        self._observers: tuple[Observer, ...] = ()
        self._session: dict[str, Any] = {
            "title": title,
            "started": time.time(),
            "runs": [],
            "end": None,
            "error": None,
            # From its silence a page knows that the connection has gone.
            "quiet_s": handlers.QUIET_S,
        }
        self._lock = threading.Lock()

    def start(self) -> None:
        """Listen; harmless when repeated.

        Raises:
            UsageError: it cannot listen there.
        """
        with self._lock:
            try:
                self._thread.start(self._host, self._port)
            except OSError as error:
                # asyncio's own text repeats the address.
                reason = os.strerror(code) if (code := error.errno or 0) > 0 else str(error)
                msg = (
                    f"--tinyml-live: cannot listen on {self._host}:{self._port}: {reason}; without a port, any free one"
                )
                raise UsageError(msg) from error

    @property
    def url(self) -> str:
        """Where the page is, once it was started; whoever knows it may look."""
        host = socket.gethostname() if self._host in _WILDCARDS else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._thread.port}/{self.token}/"

    @property
    def watchers(self) -> int:
        """How many pages are open at the moment."""
        return self._handlers.watchers

    def counters(self) -> dict[str, int]:
        """Return what came in, by name; what begins with ``refused_`` was refused, and for what reason."""
        return self._counters.copy()

    def show(self, sources: Sequence[Source]) -> None:
        """Show these runs from now on."""
        self._session = self._session | {"runs": [source.name for source in sources]}
        self._observers = tuple(Observer(source, index, self._feed) for index, source in enumerate(sources))

    def close(self, end: str = "interrupted") -> None:
        """Show how it ended, and listen no more; harmless when repeated, or if it was never started.

        Args:
            end: ``passed``, ``failed`` or ``interrupted``.
        """
        with self._lock:
            if self._thread.port and not self._feed.over:
                # It ended by itself, or does not come to it: whoever closes it has other things to do.
                with suppress(RuntimeError, TimeoutError):
                    asyncio.run_coroutine_threadsafe(self._end(end), self._thread.loop).result(_FINAL_S)
        self._thread.close()

    async def _end(self, end: str) -> None:
        self._session = self._session | {"end": end}
        self._look(watched=True)
        await self._feed.finish()

    async def _keep_up(self) -> None:
        """Look now and then; while nobody has the page open, only at the figures that its curves need."""
        # Pictures and curves every second time: a browser on this computer takes the processors from the run.
        for draw in itertools.cycle((True, False)):
            if self._feed.over:
                return
            self._look(watched=self._handlers.watchers > 0, draw=draw)
            await self._feed.publish()
            await asyncio.sleep(self._period_s)

    def _look(self, *, watched: bool, draw: bool = True) -> None:
        try:
            for observer in self._observers:
                observer.look(watched=watched, draw=draw)
        except Exception as error:  # noqa: BLE001 - a page must not fail a run: it says that it is out of date
            self._session = self._session | {"error": f"{type(error).__name__}: {error}"[:400]}
            self._observers = ()
        self._feed.put("session", self._session)
