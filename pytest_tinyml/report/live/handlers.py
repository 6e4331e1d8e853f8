"""What the live page's server answers: three files and a stream of events, to whoever knows the token."""

from __future__ import annotations

import asyncio
import hmac
from importlib.resources import files
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from pytest_tinyml.links.http.refusal import STATUS, Reason, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.web_request import BaseRequest

    from pytest_tinyml.links.http.connection import Connection
    from pytest_tinyml.links.http.refusal import Counters
    from pytest_tinyml.report.live.feed import Feed

MAX_WATCHERS: Final = 16
"""Streams of events at a time; each open page has one."""
WRITE_S: Final = 15.0
"""A client that takes nothing for so long has gone."""
QUIET_S: Final = 10.0
"""When nothing changes, an event says that the server is still there."""
_BUFFER_BYTES: Final = 1 << 16
_FILES: Final = {
    "": ("live/page.html", "text/html"),
    # The report's, so that both look the same.
    "style.css": ("html/templates/style.css", "text/css"),
    "live.css": ("live/live.css", "text/css"),
    "live.js": ("live/live.js", "text/javascript"),
}
_HEADERS: Final = {
    "Server": "tinyml",
    "Cache-Control": "no-store",
    # The address holds the token: nobody else is told it, and nothing from elsewhere runs beside it.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


class LiveHandlers:
    """Answers requests, in the server's loop.

    Args:
        token: first part of every path.
        feed: what is streamed.
        counters: the server's.
        look: brings the feed up to date, as it is not while nobody watches.

    Attributes:
        watchers: streams of events at the moment.
    """

    def __init__(self, token: str, feed: Feed, counters: Counters, look: Callable[[], None]) -> None:
        """Read the page's files: what is installed may be replaced while the session runs."""
        self.watchers = 0
        self._token = token.encode()
        self._feed, self._counters, self._look = feed, counters, look
        folder = files("pytest_tinyml.report")
        self._files = {
            path: (folder.joinpath(name).read_bytes(), f"{kind}; charset=utf-8")
            for path, (name, kind) in _FILES.items()
        }

    def all_told(self) -> bool:
        """Whether nobody is left who waits for the end."""
        return not self.watchers

    async def handle(self, request: BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        connection = cast("Connection", request.protocol)
        try:
            path = self._allowed(request)
            if path == "events":
                connection.arrived()
                return await self._stream(request)
            body, kind = self._files[path]
        except RefusedError as refusal:
            self._counters.refused(refusal.reason)
            response = web.Response(
                status=STATUS[refusal.reason], text=refusal.text, headers=_HEADERS | {"Content-Type": "text/plain"}
            )
            if refusal.allow:
                response.headers["Allow"] = refusal.allow
            # Nobody reads what else was sent.
            response.force_close()
            return response
        connection.arrived()
        return web.Response(body=body, headers=_HEADERS | {"Content-Type": kind})

    def _allowed(self, request: BaseRequest) -> str:
        """Return the path behind the token."""
        token, slash, path = request.path[1:].partition("/")
        if not hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token) or not slash:
            raise RefusedError(Reason.NOT_FOUND, "there is nothing here; the whole address is needed")
        if path not in self._files and path != "events":
            raise RefusedError(Reason.NOT_FOUND, "there is nothing here")
        if request.method not in {"GET", "HEAD"} or (path == "events" and request.method != "GET"):
            raise RefusedError(Reason.METHOD, "this page is only to be looked at", allow="GET")
        if request.body_exists:
            raise RefusedError(Reason.MALFORMED, "a request has no body here")
        if path == "events" and self.watchers >= MAX_WATCHERS:
            raise RefusedError(Reason.CROWDED, f"{MAX_WATCHERS} pages are open already")
        return path

    async def _stream(self, request: BaseRequest) -> web.StreamResponse:
        """Send what changes until the session is over or the client has gone.

        Every stream begins with all there is, so that a page that was loaded again, or has lost its connection, needs
        to remember nothing.
        """
        self.watchers += 1
        self._counters.add("sessions")
        if self.watchers == 1 and not self._feed.over:
            self._look()
        try:
            response = web.StreamResponse(headers=_HEADERS | {"Content-Type": "text/event-stream; charset=utf-8"})
            if request.transport is not None:
                # What waits for a slow client is bounded: so much, and one event.
                cast("asyncio.WriteTransport", request.transport).set_write_buffer_limits(_BUFFER_BYTES)
            try:
                await response.prepare(request)
                await self._send_changes(response)
            except (ConnectionError, TimeoutError):
                # What it was sent would be waited for at the end, too.
                if request.transport is not None:
                    request.transport.abort()
            return response
        finally:
            self.watchers -= 1

    async def _send_changes(self, response: web.StreamResponse) -> None:
        feed, sent = self._feed, 0
        await _write(response, "retry: 1000\n\n")
        while True:
            if feed.version > sent:
                version, changes = feed.version, feed.since(sent)
                await _write(response, f"id: {version}\nevent: {'change' if sent else 'state'}\ndata: {changes}\n\n")
                sent = version
            elif feed.over:
                await _write(response, "event: over\ndata: {}\n\n")
                return
            elif not await feed.wait(sent, QUIET_S):
                await _write(response, "event: still\ndata: {}\n\n")


async def _write(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(WRITE_S):
        await response.write(text.encode())
