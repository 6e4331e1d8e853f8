"""Boards that are processes of this computer: on a socket pair, on a pseudo-terminal, or pulling over HTTP."""

from __future__ import annotations

import os
import socket
import tty
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_tinyml.boards.child import ChildBoard
from pytest_tinyml.boards.pulling import Puller
from pytest_tinyml.errors import UsageError
from pytest_tinyml.links.base import FdLink
from pytest_tinyml.links.session import Patience

if TYPE_CHECKING:
    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.links.base import Link

SOCKET: Final = "socket"
SERIAL: Final = "serial"
HTTP: Final = "http"
LINKS: Final = (SOCKET, SERIAL)
_BUFFER_BYTES = 1 << 20
_END_S: Final = 2.0


class ProcessBoard(ChildBoard):
    """A board that is started by a command line.

    Args:
        kind: the name of the kind of board.
        request: what the board shall be.

    Raises:
        UsageError: it has no such link.
    """

    links: ClassVar[tuple[str, ...]] = LINKS
    """What `BoardRequest.link` may be."""

    def __init__(self, kind: str, request: BoardRequest) -> None:
        """Start nothing."""
        self.link_name = request.link or SOCKET
        if self.link_name not in self.links:
            msg = f"board {kind!r} has no link {self.link_name!r}; --tinyml-link is one of: {', '.join(self.links)}"
            raise UsageError(msg)
        super().__init__(kind, request)
        self._puller: Puller | None = None

    @abstractmethod
    def command(self, transport: list[str]) -> list[str]:
        """Return the command line.

        Args:
            transport: the arguments that name the link: ``--fd N``, ``--tty PATH`` or ``--console``.
        """

    def patience(self, link: Link) -> Patience:
        """A serial line may lose bytes, a socket does not."""
        return Patience(timeout_s=self.request.timeout_s, resend_s=1.0 if link.name == SERIAL else None)

    def start(self) -> Link:
        """See `StreamedBoard.start`."""
        if self.link_name == HTTP:
            return self._start_pulling()
        if self.link_name == SERIAL:
            ours, theirs = os.openpty()
            tty.setraw(theirs)
            transport = ["--tty", os.ttyname(theirs)]
            link = FdLink(ours, name=SERIAL, packed=True)
        else:
            left, right = socket.socketpair()
            for end in (left, right):
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    end.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
            ours, theirs = left.detach(), right.detach()
            transport = ["--fd", str(theirs)]
            link = FdLink(ours, name=SOCKET, packed=False)
        try:
            # Also a terminal is inherited, which the board opens by its name: without a user in between, reading our
            # end of it would say that the board is gone, before it has come.
            self.spawn(self.command(transport), [theirs])
        except BaseException:
            link.close()
            raise
        finally:
            os.close(theirs)
        return link

    def stop(self) -> str:
        """See `StreamedBoard.stop`."""
        puller, self._puller = self._puller, None
        if puller is None:
            return super().stop()
        puller.hang_up()
        try:
            return super().stop()
        finally:
            puller.end(_END_S)

    def _start_pulling(self) -> Link:
        puller = self._puller = Puller(self.request.server, self.request.index, self.console)
        link = puller.connect()
        try:
            program = self.spawn(self.command(["--console"]), [], talks=True)
            assert program.stdin is not None  # noqa: S101 - asked for
            assert program.stdout is not None  # noqa: S101
            return puller.provision(link, program.stdin, program.stdout, self.ending, self._boot_timeout_s)
        except BaseException:
            link.close()
            raise
