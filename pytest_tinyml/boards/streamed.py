"""The part that all boards at the end of a byte stream share: greeting, canary, streaming, console, failures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_tinyml.engines.package import encode_package
from pytest_tinyml.errors import BoardError, IdentityError, WireError
from pytest_tinyml.links.console import Console
from pytest_tinyml.links.session import Patience, Session
from pytest_tinyml.links.stream import Streamer
from pytest_tinyml.wire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.links.base import Link
    from pytest_tinyml.links.work import Work
    from pytest_tinyml.records import CanaryResult, Encoding, Identity, Model
    from pytest_tinyml.wire import ResetKind


class StreamedBoard(ABC):
    """A board that is pushed to; subclasses say how it is built, started and stopped.

    Args:
        kind: the name of the kind of board.
        request: what the board shall be.
        boot_timeout_s: longest time from start to the first answer.
    """

    def __init__(self, kind: str, request: BoardRequest, *, boot_timeout_s: float = 20.0) -> None:
        """Start nothing."""
        self.name = f"{kind}#{request.index}" if request.index else kind
        self.request = request
        self.console = Console(request.work_dir / f"{self.name.replace('#', '-')}.console.log")
        self._boot_timeout_s = boot_timeout_s
        self._session: Session | None = None

    @abstractmethod
    def prepare(self) -> str:
        """See `Board.prepare`."""

    @abstractmethod
    def start(self) -> Link:
        """Start the board and return the link to it."""

    @abstractmethod
    def stop(self) -> str:
        """Switch the board off and say how it ended, e.g. ``killed by SIGSEGV``; empty if there is nothing to say."""

    def patience(self, link: Link) -> Patience:
        """Return how long to wait on a link: lossless unless a subclass knows better."""
        del link
        return Patience(timeout_s=self.request.timeout_s)

    def encoding(self, encodings: frozenset[Encoding], work: Work) -> Encoding:
        """Return how samples travel: what the work would choose for this board's link."""
        return work.encoding(encodings, packed=self.live().link.packed)

    def open(self) -> Identity:
        """See `Board.open`."""
        self.close()
        with self._explained():
            link = self.start()
            self._session = Session(link, self.patience(link), self.console.line)
            identity = self._session.hello(self._boot_timeout_s)
            if identity.loads_models and identity.model_sha256 != self.request.model.sha256:
                package = encode_package(self.request.model)
                self.console.line(f"uploading {self.request.model.name}, {len(package):,} bytes")
                self._session.load(package)
                identity = self._session.hello()
            return identity

    def give(self, model: Model) -> None:
        """Execute another model from the next `open` on; for boards that take models over their link."""
        self.request = replace(self.request, model=model)

    def live(self) -> Session:
        """Return the session of an open board.

        Raises:
            BoardError: it is not open.
        """
        if self._session is None:
            msg = "the board is not open"
            raise BoardError(msg, board=self.name)
        return self._session

    def canary(self, encoding: Encoding, sample: int, data: bytes) -> CanaryResult:
        """See `Board.canary`."""
        session = self.live()
        with self._explained():
            return session.canary(encoding, sample, data)

    def stream(self, work: Work) -> None:
        """See `Board.stream`."""
        session = self.live()
        if session.identity is None:  # pragma: no cover - open() sets it
            msg = "the board has not said what it is"
            raise BoardError(msg, board=self.name)
        with self._explained():
            Streamer(session, work, self.encoding(session.identity.encodings, work)).run()

    def stats(self) -> dict[str, int]:
        """See `Board.stats`."""
        session = self.live()
        with self._explained():
            return session.stats()

    def reset(self, kind: ResetKind) -> None:
        """Initialise the engine again or restart the board (`wire.ResetKind`)."""
        session = self.live()
        with self._explained():
            session.reset(kind)

    def close(self) -> None:
        """See `Board.close`."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        self.stop()

    @property
    def console_tail(self) -> tuple[str, ...]:
        """See `Board.console_tail`."""
        return self.console.tail

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Add the board's name, its end and its last words to what goes wrong in the block; it is closed then."""
        try:
            yield
        except WireError as error:
            failure = BoardError(f"the board broke the protocol: {error}")
            if error.code == ErrorCode.BAD_VERSION:
                failure = IdentityError(f"{error}: flash firmware of this version")
            raise self._complete(failure) from error
        except BoardError as error:
            raise self._complete(error) from error.__cause__

    def _complete(self, error: BoardError) -> BoardError:
        """Switch the board off and add how that went to an error."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        ending = self.stop()
        if not error.board:
            error.message = f"{error.message} ({ending})" if ending else error.message
            error.board, error.console_tail, error.log_path = self.name, self.console.tail, self.console.path
        return error
