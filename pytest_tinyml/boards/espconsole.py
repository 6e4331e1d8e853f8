"""What a board says on its serial console, cut into lines, searched and waited for (firmware/HTTP.md, section 4)."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pytest_tinyml.errors import BoardError, BoardTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_tinyml.links.console import Console

_KEPT: Final = 4000
_LINE_BYTES: Final = 2000
_READY: Final = re.compile(r"tinyml: (?:ready|ok identity) (protocol=.*)")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_PROTOCOL: Final = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleIdentity:
    """What a board says on its console that it is.

    Attributes:
        board: name of its firmware's application, e.g. ``esp32cam``.
        chip: e.g. ``esp32``.
        engine: what executes the model.
        firmware_sha256: of its firmware, in hex.
        model_sha256: of the model in it, in hex.
        mac: twelve hexadecimal digits.
    """

    board: str
    chip: str
    engine: str
    firmware_sha256: str
    model_sha256: str
    mac: str


class ConsoleLines:
    """Takes bytes as they come and keeps the last lines; `pytest-embedded` calls what it puts them into a queue.

    Args:
        console: keeps everything in a file.
    """

    def __init__(self, console: Console) -> None:
        """Have heard nothing."""
        self._console = console
        self._changed = threading.Condition()
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._count = 0
        self._rest = b""
        self._listeners: list[Callable[[bytes], None]] = []

    # What pytest-embedded's classes, and whatever prints on their behalf, call.

    def put(self, data: bytes | str, **_: Any) -> None:  # noqa: ANN401 - a queue's other arguments
        """Take some bytes."""
        if not data:
            return
        raw = data.encode() if isinstance(data, str) else data
        for listener in list(self._listeners):
            listener(raw)
        with self._changed:
            *lines, self._rest = re.split(rb"[\r\n]+", self._rest + raw)
            if len(self._rest) > _LINE_BYTES:  # noise, or binary data
                lines.append(self._rest)
                self._rest = b""
            for line in lines:
                text = _COLOUR.sub("", line.decode("utf-8", "replace")).rstrip()
                if text:
                    self._console.line(text)
                    self._lines.append(text)
                    self._count += 1
            self._changed.notify_all()

    def write(self, data: str) -> None:
        """Take what is printed."""
        self.put(data)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        """Progress bars are not for a log."""
        return False

    # What boards call.

    def also(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Give all further bytes to a listener too; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def position(self) -> int:
        """How many lines there were; for `find` and `wait`."""
        with self._changed:
            return self._count

    def find(self, pattern: re.Pattern[str], since: int) -> re.Match[str] | None:
        """Return the first match in the lines since a position, of those that are kept."""
        with self._changed:
            return self._find(pattern, since)

    def wait(self, pattern: re.Pattern[str], since: int, timeout_s: float) -> re.Match[str] | None:
        """Wait for a match in the lines since a position; None when the time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: self._find(pattern, since), timeout_s)

    def since(self, position: int) -> list[str]:
        """Return the lines since a position, of those that are kept."""
        with self._changed:
            return list(self._lines)[max(0, len(self._lines) - (self._count - position)) :]

    def _find(self, pattern: re.Pattern[str], since: int) -> re.Match[str] | None:
        new = min(self._count - since, len(self._lines))
        matches = (pattern.search(self._lines[k]) for k in range(len(self._lines) - new, len(self._lines)))
        return next((found for found in matches if found), None)


class Commands:
    """Asks a board on its console.

    Args:
        lines: what it says.
        write: sends bytes to it.
    """

    def __init__(self, lines: ConsoleLines, write: Callable[[bytes], object]) -> None:
        """Say nothing yet."""
        self.lines, self._write = lines, write

    def ask(self, name: str, *arguments: str, timeout_s: float) -> str:
        """Send a command; returns what follows its name in the answer. The arguments appear in no message.

        Raises:
            BoardError: the board refuses; with its words.
            BoardTimeoutError: no answer.
        """
        since = self.lines.position
        words = ["tinyml", name, *(quote(argument, safe="") for argument in arguments)]
        # The line end in front ends what noise may have left in the board's line.
        self._write(b"\n" + " ".join(words).encode() + b"\n")
        found = self.lines.wait(re.compile(rf"tinyml: (ok|error) {re.escape(name)}\b ?(.*)"), since, timeout_s)
        if found is None:
            msg = f"no answer to 'tinyml {name}' on the console within {timeout_s:g} s"
            raise BoardTimeoutError(msg)
        if found[1] == "error":
            msg = f"the board refuses 'tinyml {name}': {found[2]}"
            raise BoardError(msg)
        return found[2].strip()

    def identity(self, since: int, boot_s: float, answer_s: float) -> ConsoleIdentity | None:
        """Wait for a board that is starting to say what it is, and ask it if it does not; None if it never does."""
        if self.lines.wait(_READY, since, boot_s) is None:
            self._write(b"\ntinyml identity\n")
        found = self.lines.wait(_READY, since, answer_s)
        return None if found is None else parse_identity(found[1])

    def settle(self, tries: int, timeout_s: float) -> int:
        """Wait until a board that was reset answers, and return the console's position behind everything before that.

        Opening a port resets many boards, and resetting one does it once more: its first line may be of the start
        before the last one, whose lines are still to come. An answer to what was asked after the reset is behind them.

        Args:
            tries: a board that is starting may lose what it is told.
            timeout_s: for each.

        Raises:
            BoardTimeoutError: it does not answer.
        """
        for left in reversed(range(tries)):
            try:
                self.ask("status", timeout_s=timeout_s)
                break
            except BoardTimeoutError:
                if not left:
                    raise
        return self.lines.position

    def status(self, timeout_s: float) -> Mapping[str, str]:
        """Return what the board counts, and whether it is in a network."""
        return _pairs(self.ask("status", timeout_s=timeout_s))


def parse_identity(text: str) -> ConsoleIdentity:
    """Parse what follows ``tinyml: ready``.

    Raises:
        BoardError: another version of the console, or a field is missing.
    """
    fields = _pairs(text)
    if fields.get("protocol") != _PROTOCOL:
        msg = f"the board's console speaks version {fields.get('protocol')}, this is {_PROTOCOL}: flash it again"
        raise BoardError(msg)
    try:
        return ConsoleIdentity(
            board=fields["board"],
            chip=fields["chip"],
            engine=fields["engine"],
            firmware_sha256=fields["firmware"],
            model_sha256=fields["model"],
            mac=fields["mac"].lower(),
        )
    except KeyError as error:
        msg = f"the board does not say its {error.args[0]}: {text}"
        raise BoardError(msg) from error


def _pairs(text: str) -> dict[str, str]:
    return {key: value for key, equals, value in (word.partition("=") for word in text.split()) if equals}


def wait_until_quiet(lines: ConsoleLines, quiet_s: float, limit_s: float) -> None:
    """Wait until nothing was said for a while."""
    deadline = time.monotonic() + limit_s
    count = lines.position
    while time.monotonic() < deadline:
        time.sleep(quiet_s)
        if lines.position == count:
            return
        count = lines.position
