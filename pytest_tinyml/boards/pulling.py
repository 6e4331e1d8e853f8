"""Programs of this computer that pull over HTTP.

They are told where from over their standard input, as a board is over its serial console (firmware/HTTP.md, section 4).
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

from pytest_tinyml.boards.espconsole import Commands, ConsoleLines
from pytest_tinyml.boards.provisioning import point_to_server
from pytest_tinyml.boards.watched import WatchedLink, arrives
from pytest_tinyml.errors import BoardCrashedError, BoardError, BoardTimeoutError
from pytest_tinyml.links.base import LinkClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tinyml.links.console import Console
    from pytest_tinyml.links.http import HttpLink, ImageServer

LOOPBACK: Final = "127.0.0.1"


class Puller:
    """The console of a program, and the server that it pulls from.

    Args:
        server: of the run; None for one of its own.
        index: of the board among those of the run.
        console: keeps what the program says.
    """

    def __init__(self, server: ImageServer | None, index: int, console: Console) -> None:
        """Start nothing."""
        self._given, self._index = server, index
        self._own: ImageServer | None = None
        self._lines = ConsoleLines(console)
        self._reader: threading.Thread | None = None
        self._stdin: IO[bytes] | None = None

    def connect(self) -> HttpLink:
        """Expect the program to pull from now on.

        Raises:
            UsageError: the server cannot listen, or not where the program could find it.
        """
        from pytest_tinyml.links.http import ImageServer  # noqa: PLC0415 - imports aiohttp

        server = self._given or self._own
        if server is None:
            server = self._own = ImageServer()
        return server.connect(self._index)

    def provision(
        self, link: HttpLink, stdin: IO[bytes], stdout: IO[bytes], reason: Callable[[], str | None], timeout_s: float
    ) -> WatchedLink:
        """Let a program that was just started pull.

        Args:
            link: from `connect`.
            stdin: of the program; closed by `end`.
            stdout: likewise, closed when it ends.
            reason: why the program is dead; nothing while it is not.
            timeout_s: longest time to its first exchange.

        Raises:
            BoardCrashedError: it ended.
            BoardError: it refuses, or is silent.
        """
        server = self._given or self._own
        assert server is not None  # noqa: S101 - connect() has come first
        self._stdin = stdin
        self._reader = threading.Thread(target=self._read, args=(stdout,), name="console of a program", daemon=True)
        self._reader.start()
        try:
            point_to_server(Commands(self._lines, self._write), server, server.face(LOOPBACK), self._index)
            arrived = arrives(link, reason, timeout_s)
        except (OSError, LinkClosedError, BoardTimeoutError) as error:
            if reason() is None and isinstance(error, BoardTimeoutError):
                raise
            msg = f"the board is gone: {reason() or error}"
            raise BoardCrashedError(msg) from error
        if why := reason():
            raise BoardCrashedError(why)
        if not arrived:
            msg = f"the board does not reach {server.url} within {timeout_s:g} s"
            raise BoardTimeoutError(msg)
        return WatchedLink(link, reason)

    def hang_up(self) -> None:
        """Close the program's console, which ends a healthy one."""
        stdin, self._stdin = self._stdin, None
        if stdin is not None:
            with suppress(OSError):
                stdin.close()

    def end(self, timeout_s: float) -> None:
        """Forget a program that has ended, and close a server of our own."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.join(timeout_s)
        own, self._own = self._own, None
        if own is not None:
            own.close()

    def _write(self, data: bytes) -> None:
        if self._stdin is None:
            msg = "its console is closed"
            raise BoardError(msg)
        self._stdin.write(data)
        self._stdin.flush()

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            for line in stdout:
                self._lines.put(line)
