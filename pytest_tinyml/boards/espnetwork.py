"""Boards with an ESP32 that pull over HTTP: told the network and the server over their console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards import provisioning
from pytest_tinyml.boards.espboard import EspBoard
from pytest_tinyml.boards.watched import arrives
from pytest_tinyml.errors import BoardCrashedError, BoardError, BoardTimeoutError, UsageError
from pytest_tinyml.links.base import LinkClosedError

if TYPE_CHECKING:
    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.boards.espconsole import Commands
    from pytest_tinyml.boards.espcrash import CrashWatch
    from pytest_tinyml.boards.espidf import Application
    from pytest_tinyml.links.base import Link
    from pytest_tinyml.links.http import HttpLink, ImageServer

_PULL_S: Final = 20.0
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class NetworkBoard(EspBoard):
    """One board, see `EspBoard`."""

    def __init__(self, kind: str, application: Application, request: BoardRequest) -> None:
        """Start nothing."""
        super().__init__(kind, application, request)
        self._server: ImageServer | None = None

    def connect(self, commands: Commands, watch: CrashWatch) -> Link:
        """See `EspBoard.connect`."""
        address = self._joined(commands)
        server, host = self._served(address)
        link = server.connect(self.request.index)
        try:
            provisioning.point_to_server(commands, server, host, self.request.index)
            self._wait_for_it(link, watch, f"{host}:{server.port}")
        except BaseException:
            link.close()
            raise
        return link

    def close(self) -> None:
        """See `Board.close`."""
        super().close()
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _leave(self) -> None:
        provisioning.stop_pulling(self._device.commands)

    def _check(self) -> None:
        """Refuse to begin without the name of a network, unless the board has one.

        Raises:
            UsageError: nobody knows a network.
        """
        if provisioning.wifi_from_environment() is not None:
            return
        try:
            known = self._device.identity(self._device.reset()) is not None
            if known and provisioning.own_network(self._device.commands) is not None:
                return
        except BoardError as error:
            self.console.line(str(error))
        finally:
            self._device.release()
        raise provisioning.no_network()

    def _joined(self, commands: Commands) -> str:
        """Let the board into its network; returns its address, empty if only the board knows it."""
        return provisioning.join_network(commands)

    def _served(self, address: str) -> tuple[ImageServer, str]:
        """Return the server, and the name under which the board finds it."""
        from pytest_tinyml.links.http import ImageServer  # noqa: PLC0415 - imports aiohttp

        server = self.request.server
        if server is None:
            server = self._server = self._server or ImageServer(host="")
        if not address and server.host in LOOPBACK:
            msg = (
                f"board {self.name!r} keeps its network, and its firmware does not say its address: name this "
                "computer's address in that network with --tinyml-host, or set "
                f"{provisioning.SSID} and {provisioning.PASSWORD}"
            )
            raise UsageError(msg)
        host = server.face(address or "127.0.0.1")
        server.start()
        return server, host

    def _wait_for_it(self, link: HttpLink, watch: CrashWatch, where: str) -> None:
        """Wait for the board's first exchange.

        Raises:
            BoardCrashedError: it has died instead.
            BoardTimeoutError: it does not come.
        """
        try:
            if arrives(link, watch.reason, _PULL_S):
                return
        except LinkClosedError as error:
            msg = f"the board is gone: {error}"
            raise BoardCrashedError(msg) from error
        reason = watch.reason()
        if reason is not None:
            raise BoardCrashedError(reason)
        msg = (
            f"the board does not reach {where} within {_PULL_S:g} s: is this computer in the same network, and does a "
            "firewall let the board in? --tinyml-host is the address that it is given"
        )
        raise BoardTimeoutError(msg)
