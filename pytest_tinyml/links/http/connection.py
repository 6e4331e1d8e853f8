"""Connections that are not waited for for ever: a request has a bounded time to arrive, from its first byte on."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web

from pytest_tinyml.links.http.refusal import STATUS, Reason

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

    from pytest_tinyml.links.http.refusal import Counters

ARRIVAL_S: Final = 10.0
"""How long a request may take to arrive (firmware/HTTP.md, section 1)."""
MAX_CONNECTIONS: Final = 256
"""Boards have one each; a file descriptor for each has to be left for the rest of the process."""
_LINGER_S: Final = 2.0
_READ_BYTES: Final = 1 << 18
_UNACKNOWLEDGED_MS: Final = 30_000


class Connection(web.RequestHandler):
    """One client's connection."""

    def __init__(self, listener: Listener, **settings: Any) -> None:  # noqa: ANN401 - aiohttp's own
        """Know when the first byte of what is not complete came."""
        super().__init__(listener, **settings)
        self.listener = listener
        self.since: float | None = None
        self.refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and let the kernel give up on a client that has left the network."""
        # Who connects has something to say: silence counts from now on.
        self.since = time.monotonic()
        super().connection_made(transport)
        self.listener.counters.add("connections")
        sock = transport.get_extra_info("socket")
        if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
        if len(self.listener.connections) > MAX_CONNECTIONS:
            self.refuse(Reason.CROWDED)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self.since is None:
            self.since = time.monotonic()
        super().data_received(data)

    def arrived(self) -> None:
        """Note that the request is complete."""
        self.since = None

    def refuse(self, reason: Reason) -> None:
        """Answer with a status line, whatever is going on, and close the connection."""
        self.refused = True
        self.listener.counters.refused(reason)
        transport = self.transport
        if transport is not None:
            body = f'{{"error": "{reason}"}}'
            kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
            transport.write(f"HTTP/1.1 {STATUS[reason]} {reason}\r\n{kind}\r\n{body}".encode())
        self.force_close()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Count what is not HTTP at all, and say no more about it than that."""
        if status >= 500:  # noqa: PLR2004 - ours
            return super().handle_error(request, status, exc, message)
        self.listener.counters.refused(Reason.MALFORMED)
        response = web.Response(
            status=status,
            body=b'{"error": "not an HTTP request that is understood here"}',
            headers={"Content-Type": "application/json", "Server": "tinyml"},
        )
        response.force_close()
        return response


class Listener(web.Server):
    """Makes connections and ends those that are slow.

    Args:
        handler: answers requests.
        counters: the server's.
        arrival_s: how long a request may take to arrive.
    """

    def __init__(self, handler: Any, counters: Counters, arrival_s: float) -> None:  # noqa: ANN401 - a coroutine function
        """Set aiohttp up: bodies come as they were sent, and nothing is logged."""
        super().__init__(
            handler,
            access_log=None,
            # A small body could become a large one.
            auto_decompress=False,
            lingering_time=_LINGER_S,
            read_bufsize=_READ_BYTES,
        )
        self.counters = counters
        self._arrival_s = arrival_s

    def __call__(self) -> Connection:
        """Make a connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    async def watch(self) -> None:
        """End slow connections, until cancelled."""
        while True:
            await asyncio.sleep(self._arrival_s / 20)
            limit = time.monotonic() - self._arrival_s
            for connection in cast("list[Connection]", self.connections):
                if connection.since is not None and connection.since < limit and not connection.refused:
                    connection.refuse(Reason.SLOW)
