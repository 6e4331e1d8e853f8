"""Frames and text on one line, told apart (firmware/PROTOCOL.md, section 7), and a link that gets the frames."""

from __future__ import annotations

import re
import threading
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from pytest_tinyml.links.base import LinkClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

_VERSION: Final = 0x01
_TEXT: Final = frozenset(b"\r\n\t\x1b") | frozenset(range(ord(" "), ord("~") + 1))
# A line of text after a frame that never ended: what a processor says that died while it was sending.
_LINE: Final = re.compile(rb"[\r\n][ -~\x1b]{8,}[\r\n]")
_REMEMBERED: Final = 4096
_PIECE: Final = 1024
"""Bytes that are written at once: at 115,200 baud they are a tenth of a second, in which nothing is read."""


class _Kind(Enum):
    UNKNOWN = auto()
    TEXT = auto()
    FRAME = auto()


class Splitter:
    """Sorts what a board says, as it comes; everything is text until the first zero.

    Args:
        text: takes what is text.
        frames: takes frames, whole or damaged, with their zeros.
    """

    def __init__(self, text: Callable[[bytes], object], frames: Callable[[bytes], object]) -> None:
        """Have heard nothing."""
        self._text, self._frames = text, frames
        self._kind = _Kind.TEXT
        self._open, self._dying = b"", False

    def restart(self) -> None:
        """Forget what was begun: the board starts anew, and will say so in words."""
        self._kind, self._open, self._dying = _Kind.TEXT, b"", False

    def put(self, data: bytes) -> None:
        """Take some bytes."""
        *ended, rest = data.split(b"\0")
        for part in ended:
            self._go_on(part)
            self._end()
        if rest:
            self._go_on(rest)

    def _go_on(self, part: bytes) -> None:
        if self._kind is _Kind.TEXT:
            self._text(part)
            return
        self._open += part
        if self._kind is _Kind.UNKNOWN and len(self._open) > 1:
            self._decide()
        elif self._kind is _Kind.FRAME:
            self._frames(part)
        if self._kind is _Kind.FRAME:
            if self._dying:
                self._text(part)
            elif _LINE.search(self._open):
                # It is given to both: only the frame's end could say which it is, and may never come.
                self._dying = True
                self._text(self._open)
            self._open = self._open[-_REMEMBERED:]

    def _decide(self) -> None:
        begins = self._open[:2]
        if begins[1] != _VERSION and _TEXT.issuperset(begins):
            self._kind = _Kind.TEXT
            self._text(self._open)
        else:
            self._kind = _Kind.FRAME
            self._frames(self._open)

    def _end(self) -> None:
        if self._kind is not _Kind.TEXT:
            # A single byte, too, is a damaged frame.
            self._frames(self._open + b"\0" if self._kind is _Kind.UNKNOWN else b"\0")
        self._kind, self._open, self._dying = _Kind.UNKNOWN, b"", False


class MixedLink:
    """The frames of a line that somebody else reads; see `Link`.

    Args:
        name: see `Link`.
        write: sends bytes to the board, within a bound; an OSError says that the line is gone.
    """

    packed = True

    def __init__(self, name: str, write: Callable[[bytes], object]) -> None:
        """Have received nothing."""
        self.name, self._write = name, write
        self._changed = threading.Condition()
        self._received = bytearray()
        self._closed = ""

    def take(self, data: bytes) -> None:
        """Take what has come for the host; called by the thread that reads."""
        with self._changed:
            self._received += data
            self._changed.notify_all()

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """See `Link.exchange`."""
        with self._changed:
            if not out:
                self._changed.wait_for(lambda: self._received or self._closed, max(0.0, timeout_s))
            received = bytes(self._received)
            self._received.clear()
            if self._closed and not received:
                raise LinkClosedError(self._closed)
        if not out or self._closed:
            return 0, received
        piece = bytes(out[:_PIECE])
        try:
            self._write(piece)
        except OSError as error:
            if not received:
                raise LinkClosedError(str(error)) from error
            self._closed = str(error)
            return 0, received
        return len(piece), received

    def close(self) -> None:
        """See `Link.close`; the line stays its owner's."""
        with self._changed:
            self._closed = self._closed or "the link was closed by the host"
            self._changed.notify_all()
