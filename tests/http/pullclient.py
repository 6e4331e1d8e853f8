"""A board that pulls (firmware/HTTP.md, section 2) in Python, around a simulated device, with losses on request."""

from __future__ import annotations

import http.client
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_tinyml import wire
from pytest_tinyml.boards.streamed import StreamedBoard
from pytest_tinyml.errors import BoardTimeoutError, WireError
from tests.unit.simulated import FIRMWARE_SHA256, IDENTITY, SimulatedDevice

if TYPE_CHECKING:
    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.links.base import Link
    from pytest_tinyml.links.http import ImageServer
    from pytest_tinyml.records import Identity

BOOT_S = 60.0


@dataclass(kw_only=True)
class Losses:
    """What goes wrong on the way.

    Attributes:
        unread: every so many exchanges, the answer is lost: the connection is dropped before it is read.
        unsent: every so many exchanges, the connection is dropped in the middle of the body.
        away_at: number of the exchange before which the network is gone ...
        away_s: ... for so long.
        reset_after: number of the inference after which the board starts anew, once.
    """

    unread: int = 0
    unsent: int = 0
    away_at: int = -1
    away_s: float = 0.0
    reset_after: int = -1


@dataclass(kw_only=True)
class Seen:
    """What a client has seen: over all of its sessions."""

    exchanges: int = 0
    repeats: int = 0
    sessions: int = 0
    overruns: int = 0
    statuses: list[int] = field(default_factory=list)


class PullClient:
    """Pulls in a thread until it is stopped, or told that the run is over.

    Args:
        server: pulled from.
        index: which board this is.
        identity: of the simulated device.
        losses: what goes wrong.
        seen: is added to.
    """

    def __init__(
        self, server: ImageServer, index: int, *, identity: Identity = IDENTITY, losses: Losses, seen: Seen
    ) -> None:
        """Begin to pull."""
        self.device = SimulatedDevice(identity)
        self.losses, self.seen = losses, seen
        self._server, self._index = server, index
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=10.0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._pull, name=f"pull client {index}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Leave; an exchange that waits is cut off."""
        self._stopped.set()
        sock = self._connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(BOOT_S)
        self._connection.close()

    def _pull(self) -> None:
        while not self._stopped.is_set():
            self.seen.sessions += 1
            with suppress(_ReplacedError):
                self._session()
                return

    def _session(self) -> None:
        """Pull until the run is over, or the board starts anew."""
        session = f"{secrets.randbits(32):08x}"
        decoder = wire.FrameDecoder(self.device.identity.max_frame)
        self.device.sent.clear()
        waiting: list[wire.Frame | WireError] = []
        number = 0
        while not self._stopped.is_set():
            body = b"".join(self.device.sent)
            self.device.sent.clear()
            answer = self._exchange(session, number, body)
            if answer is None:
                return
            number += 1
            if len(answer) > self.device.identity.rx_window:
                self.seen.overruns += 1
            waiting.extend(decoder.feed(answer))
            # What has been computed is posted before more is.
            while waiting and not self.device.sent:
                self._handle(waiting.pop(0))

    def _handle(self, item: wire.Frame | WireError) -> None:
        assert not isinstance(item, WireError)
        try:
            self.device._handle(item)
        except WireError as error:
            self.device.error(item.seq, error.code, wire.NO_SAMPLE, str(error))
        if 0 <= self.losses.reset_after <= self.device.inferred:
            self.losses.reset_after = -1
            raise _ReplacedError

    def _exchange(self, session: str, number: int, body: bytes) -> bytes | None:
        """Carry one exchange out, however often it takes; None when there is no point any more."""
        path = f"/v1/boards/{self._index}/{session}/{number}"
        self.seen.exchanges += 1
        count = self.seen.exchanges
        if number == self.losses.away_at:
            self._connection.close()
            self.losses.away_at = -1
            self._stopped.wait(self.losses.away_s)
        attempt = 0
        while not self._stopped.is_set():
            attempt += 1
            self.seen.repeats += attempt > 1
            try:
                if attempt == 1 and self.losses.unsent and count % self.losses.unsent == 0 and len(body) > 1:
                    self._connection.putrequest("POST", path)
                    self._connection.putheader("Content-Length", str(len(body)))
                    self._connection.putheader("Authorization", f"Bearer {self._server.token}")
                    self._connection.endheaders(body[: len(body) // 2])
                    self._connection.close()
                    continue
                self._connection.request("POST", path, body, {"Authorization": f"Bearer {self._server.token}"})
                if attempt == 1 and self.losses.unread and count % self.losses.unread == 0:
                    # The server has everything, and what it answers is lost.
                    time.sleep(0.03)
                    self._connection.close()
                    continue
                response = self._connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                self._stopped.wait(0.05)
                continue
            if response.status == 200:
                return answer
            self.seen.statuses.append(response.status)
            if response.status == 409:
                raise _ReplacedError
            if response.status not in {408, 503}:
                return None
            self._stopped.wait(0.05)
        return None


class _ReplacedError(Exception):
    """A new session is to be begun."""


class PullBoard(StreamedBoard):
    """A simulated board that pulls.

    Args:
        request: with the server.
        identity: of the simulated device.
        losses: what goes wrong.
    """

    def __init__(self, request: BoardRequest, *, identity: Identity = IDENTITY, losses: Losses | None = None) -> None:
        """Start nothing."""
        super().__init__("pulling", request)
        self.seen, self.losses = Seen(), losses or Losses()
        self._identity = identity
        self._client: PullClient | None = None

    def prepare(self) -> str:
        """Have nothing to build."""
        return FIRMWARE_SHA256

    def start(self) -> Link:
        """Begin to pull."""
        server = self.request.server
        assert server is not None
        link = server.connect(self.request.index)
        self._client = PullClient(
            server, self.request.index, identity=self._identity, losses=self.losses, seen=self.seen
        )
        if not link.wait_connected(BOOT_S):
            msg = "the simulated board did not come"
            raise BoardTimeoutError(msg)
        return link

    def stop(self) -> str:
        """Stop pulling."""
        client, self._client = self._client, None
        if client is not None:
            client.stop()
        return ""
