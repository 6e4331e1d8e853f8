"""What the image server answers: who may ask what, in what order it is checked, and what comes back."""

from __future__ import annotations

import hmac
import json
import re
import threading
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from pytest_tinyml.links.http.openapi import describe
from pytest_tinyml.links.http.port import Port
from pytest_tinyml.links.http.refusal import STATUS, Reason, RefusedError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from aiohttp.web_request import BaseRequest

    from pytest_tinyml.links.http.connection import Connection
    from pytest_tinyml.links.http.refusal import Counters
    from pytest_tinyml.links.http.served import ServedRun
    from pytest_tinyml.links.http.simple import Desk

MAX_BODY: Final = 1 << 22
"""Bytes of an exchange's body."""
_SMALL: Final = 4096
_MAX_NUMBER: Final = 32
"""Characters of a score in decimal, comma included; generous."""
_BINARY: Final = "application/octet-stream"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_SESSION: Final = re.compile(r"[0-9a-f]{8}")


class Handlers:
    """Answers requests, in the server's loop.

    Args:
        token: what a client has to show.
        run: what it is about, if anything.
        counters: the server's.
        poll_s: how long an exchange waits for bytes for the board.
    """

    def __init__(self, token: str, run: ServedRun | None, counters: Counters, poll_s: float) -> None:
        """Expect no board."""
        self.desk: Desk | None = None
        self._token = token.encode()
        self._run, self._counters, self._poll_s = run, counters, poll_s
        self._ports: dict[int, Port] = {}
        self._lock = threading.Lock()
        self._over = False

    def port(self, index: int, loop: asyncio.AbstractEventLoop) -> Port:
        """Return a board's port, made when it is first asked for; from any thread."""
        with self._lock:
            return self._ports.setdefault(index, Port(loop, self._counters, self._poll_s))

    def finish(self) -> None:
        """End the run; from any thread."""
        self._over = True
        with self._lock:
            for port in self._ports.values():
                port.finish()

    def all_told(self) -> bool:
        """Whether every board that is there knows that the run is over."""
        return all(port.told for port in self._ports.values())

    async def handle(self, request: BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        connection = cast("Connection", request.protocol)
        try:
            return await self._route(request, connection)
        except RefusedError as refusal:
            if not connection.refused:
                self._counters.refused(refusal.reason)
            left = {} if refusal.left is None else {"left": refusal.left}
            response = _json({"error": refusal.text, **left}, STATUS[refusal.reason])
            if refusal.allow:
                response.headers["Allow"] = refusal.allow
            if refusal.reason is Reason.UNAUTHORIZED:
                response.headers["WWW-Authenticate"] = "Bearer"
            if refusal.reason is Reason.NOT_READY:
                response.headers["Retry-After"] = "1"
            if refusal.close:
                response.force_close()
            return response

    async def _route(self, request: BaseRequest, connection: Connection) -> web.StreamResponse:
        if request.path == "/openapi.json":
            described = await self._get(request, connection, lambda: _json(describe(MAX_BODY)), always=True)
            # Who has shown no token does not keep one of the connections, of which there is a limit.
            described.force_close()
            return described
        self._authorize(request)
        first, *rest = request.path[1:].split("/")
        match first, rest:
            case "v1", ["boards", index, session, number]:
                _expect(request, "POST")
                body = await _read(request, connection, MAX_BODY)
                return await self._exchange(index, session, number, body)
            case "v1", ["run"]:
                return await self._get(request, connection, self._describe)
            case "image", [sample]:
                return await self._get(request, connection, lambda: self._image(sample))
            case "prediction", [sample]:
                _expect(request, "POST")
                return await self._prediction(request, connection, sample)
            case "done", []:
                _expect(request, "POST")
                await _read(request, connection, 0)
                return _json({"left": self._open_desk().finish()})
        raise RefusedError(Reason.NOT_FOUND, "there is nothing here", close=True)

    def _authorize(self, request: BaseRequest) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = token.strip().encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._token) or scheme.lower() != "bearer":
            raise RefusedError(Reason.UNAUTHORIZED, "this run's token is needed", close=True)

    async def _exchange(self, index: str, session: str, number: str, body: bytes) -> web.Response:
        if not (_NUMBER.fullmatch(index) and _SESSION.fullmatch(session) and _NUMBER.fullmatch(number)):
            raise RefusedError(Reason.MALFORMED, "expected /v1/boards/INDEX/SESSION/NUMBER (firmware/HTTP.md)")
        port = self._ports.get(int(index))
        if port is None:
            if self._over:
                raise RefusedError(Reason.OVER, "the run is over")
            raise RefusedError(Reason.NOT_READY, "this board is not expected")
        answer = await port.exchange(session, int(number), body)
        return _binary(answer)

    async def _get(
        self,
        request: BaseRequest,
        connection: Connection,
        answer: Callable[[], web.Response],
        *,
        always: bool = False,
    ) -> web.Response:
        """Answer a GET."""
        _expect(request, "GET")
        await _read(request, connection, 0)
        if self._over and not always:
            raise RefusedError(Reason.OVER, "the run is over")
        return answer()

    def _served(self) -> ServedRun:
        if self._run is None:
            raise RefusedError(Reason.NOT_READY, "no run is served yet")
        return self._run

    def _open_desk(self) -> Desk:
        if self._over:
            raise RefusedError(Reason.OVER, "the run is over")
        if self.desk is None:
            raise RefusedError(Reason.NOT_READY, "no client of this kind is expected (board http-client)")
        return self.desk

    def _sample(self, text: str) -> int:
        if not _NUMBER.fullmatch(text):
            raise RefusedError(Reason.MALFORMED, f"{text[:40]!r} is not the id of a sample")
        sample, samples = int(text), self._served().samples
        if sample >= samples:
            raise RefusedError(Reason.NOT_FOUND, f"no sample {sample}: there are {samples}")
        return sample

    def _image(self, text: str) -> web.Response:
        sample = self._sample(text)
        self._counters.add("images")
        run = self._served() if self.desk is None else self.desk
        return _binary(run.image(sample))

    async def _prediction(self, request: BaseRequest, connection: Connection, text: str) -> web.Response:
        output = self._served().model.output
        body = await _read(request, connection, max(_SMALL, _MAX_NUMBER * output.elements))
        sample = self._sample(text)
        left = self._open_desk().predict(sample, request.content_type, body)
        self._counters.add("predictions")
        return _json({"left": left})

    def _describe(self) -> web.Response:
        return _json({"protocol": 1, **self._served().describe(), "poll_s": self._poll_s, "max_body": MAX_BODY})


def _expect(request: BaseRequest, method: str) -> None:
    if request.method != method:
        raise RefusedError(Reason.METHOD, f"only {method} is understood here", close=True, allow=method)


async def _read(request: BaseRequest, connection: Connection, limit: int) -> bytes:
    """Return the body, which is refused as soon as it is known to be too large."""
    length = request.content_length
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError(Reason.MALFORMED, "bodies are not compressed", close=True)
    if length is not None and length > limit:
        raise RefusedError(Reason.TOO_LARGE, f"a body has at most {limit} bytes here", close=True)
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    if request.method == "POST" and length is None and not chunked:
        raise RefusedError(Reason.MALFORMED, "a body needs Content-Length or chunks", close=True)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        cast("asyncio.WriteTransport", request.transport).write(b"HTTP/1.1 100 Continue\r\n\r\n")
    parts: list[bytes] = []
    size = 0
    try:
        while not request.content.at_eof():
            part = await request.content.readany()
            size += len(part)
            if size > limit:
                raise RefusedError(Reason.TOO_LARGE, f"a body has at most {limit} bytes here", close=True)
            parts.append(part)
    except (OSError, web.HTTPException, ValueError) as error:
        # The client has gone, or what it sends are no chunks.
        raise RefusedError(Reason.MALFORMED, "the body is incomplete", close=True) from error
    connection.arrived()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _binary(content: bytes | bytearray) -> web.Response:
    return web.Response(body=content, headers={"Content-Type": _BINARY, "Server": "tinyml"})


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(content).encode(),
        headers={"Content-Type": "application/json", "Server": "tinyml"},
    )
