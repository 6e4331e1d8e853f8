"""What a board says in words: kept whole in a file, and its tail in memory for the message of a failure."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from pathlib import Path

TAIL_LINES = 20
LINE_BYTES = 500


class Console:
    """Collects lines of text from a board.

    No file is held open between lines: a board that is not open shall not cost a descriptor.

    Args:
        path: the log file; appended to, so that a restarted board does not erase why it died.

    Attributes:
        dull: lines that match are only for the file.

    Raises:
        OSError: the log cannot be written. Later it may fill the disk: then the tail goes on without it.
    """

    def __init__(self, path: Path) -> None:
        """Make the log."""
        self.path = path
        self.dull: re.Pattern[str] | None = None
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._fresh = 0
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a", encoding="utf-8").close()

    def line(self, text: str) -> None:
        """Add one line."""
        with self._lock:
            if self.dull is None or not self.dull.match(text):
                self._tail.append(text[:LINE_BYTES])
                self._fresh += 1
            # A full disk costs the log, not the run.
            with suppress(OSError), self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text + "\n")

    def follow(self, stream: IO[bytes]) -> None:
        """Read lines from a pipe in the background until it ends: a board was started."""
        with self._lock:
            self._fresh = 0

        def read() -> None:
            with stream:
                for raw in stream:
                    self.line(raw.decode(errors="replace").rstrip())

        self._reader = threading.Thread(target=read, name=f"console {self.path.name}", daemon=True)
        self._reader.start()

    def drain(self, timeout_s: float) -> None:
        """Wait until the pipe has ended, at most `timeout_s` seconds."""
        if self._reader is not None:
            self._reader.join(timeout_s)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines, oldest first."""
        with self._lock:
            return tuple(self._tail)

    @property
    def fresh(self) -> tuple[str, ...]:
        """Those lines of the tail that came since `follow`: what the board that runs now has said, and we of it."""
        with self._lock:
            return tuple(self._tail)[-self._fresh :] if self._fresh else ()
