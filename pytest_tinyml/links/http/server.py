"""The image server: a thread with an event loop of its own, so that everything else stays synchronous."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import UsageError
from pytest_tinyml.links.http.address import address_facing
from pytest_tinyml.links.http.connection import ARRIVAL_S
from pytest_tinyml.links.http.handlers import Handlers
from pytest_tinyml.links.http.port import POLL_S
from pytest_tinyml.links.http.refusal import Counters
from pytest_tinyml.links.http.simple import Desk
from pytest_tinyml.links.http.thread import ServerThread

if TYPE_CHECKING:
    from pytest_tinyml.links.http.link import HttpLink
    from pytest_tinyml.links.http.served import ServedRun

LOOPBACK: Final = "127.0.0.1"
_WILDCARDS: Final = {"0.0.0.0", "::"}  # noqa: S104 - what a user may ask for


class ImageServer:
    """What boards in a network pull from, for one run; methods may be called from any thread.

    Args:
        host: address to listen on; empty to have it chosen by `face`, else loopback.
        port: likewise; 0 for any that is free.
        run: what ``GET /v1/run`` and ``GET /image`` give; without one these are 503.
        arrival_s: how long a request may take to arrive.
        poll_s: how long an exchange waits for bytes for the board.

    Attributes:
        token: what clients authorise themselves with; made for this server.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        run: ServedRun | None = None,
        arrival_s: float = ARRIVAL_S,
        poll_s: float = POLL_S,
    ) -> None:
        """Start nothing."""
        self._host, self._asked_port = host, port
        self.token = secrets.token_urlsafe(32)
        self._counters = Counters()
        self._run = run
        self._handlers = Handlers(self.token, run, self._counters, poll_s)
        self._thread = ServerThread(
            "tinyml image server", self._handlers.handle, self._counters, self._handlers.all_told, arrival_s=arrival_s
        )
        self._lock = threading.Lock()
        self._closed = self._by_route = False

    def start(self) -> None:
        """Listen; harmless when repeated.

        Raises:
            UsageError: it cannot listen there, or was closed.
        """
        with self._lock:
            if self._closed:
                msg = "the image server was closed"
                raise UsageError(msg)
            try:
                self._thread.start(self.host, self._asked_port)
            except OSError as error:
                msg = f"cannot listen on {self.host}:{self._asked_port}: {error}; --tinyml-host is the address"
                raise UsageError(msg) from error

    @property
    def host(self) -> str:
        """The address that it listens on; where boards find it is what `face` says."""
        return self._host or LOOPBACK

    def face(self, peer: str) -> str:
        """Return the address by which a board finds this server, which listens there if none was asked for.

        Args:
            peer: the board's own address.

        Raises:
            UsageError: there is no route to it, or the server listens where the board cannot find it.
        """
        if self._host in _WILDCARDS:
            return address_facing(peer)
        with self._lock:
            if not self._host:
                self._host = address_facing(peer) if not self._thread.running else LOOPBACK
                self._by_route = True
        if self._by_route and self._host != (needed := address_facing(peer)):
            msg = (
                f"the image server listens on {self._host}, but {peer} is reached through {needed}: "
                "--tinyml-host 0.0.0.0 listens on all interfaces"
            )
            raise UsageError(msg)
        return self._host

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before `start`."""
        return self._thread.port

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def connect(self, index: int) -> HttpLink:
        """Expect board `index` from now on, and return the link to its next session; an earlier link ends.

        Raises:
            UsageError: the server cannot listen, or was closed.
        """
        self.start()
        return self._handlers.port(index, self._thread.loop).connect()

    def desk(self, *, labels: bool) -> Desk:
        """Serve clients that ask for one image at a time, and return where they leave their predictions.

        Args:
            labels: they post labels in place of scores.

        Raises:
            UsageError: the server cannot listen, was closed, or has no run.
        """
        if self._run is None:
            msg = "this image server was given no run"
            raise UsageError(msg)
        self.start()
        if self._handlers.desk is None:
            self._handlers.desk = Desk(self._run, labels=labels)
        return self._handlers.desk

    def counters(self) -> dict[str, int]:
        """Return what came in, by name; what begins with ``refused_`` was refused, and for what reason."""
        return self._counters.copy()

    def close(self) -> None:
        """Tell the boards that the run is over, and listen no more; harmless when repeated."""
        with self._lock:
            self._closed = True
        self._handlers.finish()
        self._thread.close()
