"""A device at the other end of a line: commands, answers, and the way back after bytes were lost.

The protocol has no checksum and no numbers: whether an answer belongs to a question can only be told from ``name``,
whose answer is like no other. So after a time-out the device is asked for its name until it gives it, and then the
sample is sent again from its start. A byte that was changed into another valid one is only found by asking twice
(`verify`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from pytest_tinyml.errors import BoardCrashedError, BoardReportedError, BoardTimeoutError, WireError
from pytest_tinyml.links.mlperf import lines as said
from pytest_tinyml.wire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tinyml.links.base import Link
    from pytest_tinyml.links.mlperf.lines import Inference

ATTEMPTS: Final = 5
"""How often a sample is tried before the line is said to be too bad."""
CHUNK_BYTES: Final = 31
"""Of a ``db`` command: with it, a receive buffer of 64 bytes and the 80 characters of the reference's are enough."""
_ANSWER_S: Final = 2.0
_RECOVER_S: Final = 2.0
_NAME: Final = "name"
_NAME_S: Final = 0.5
_LATE_S: Final = 0.2
_SLICE_S: Final = 0.5

T = TypeVar("T")


class LostError(Exception):
    """Something did not arrive as it was sent; doing it again helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What a device says of itself; nothing of it identifies a firmware or a model.

    Attributes:
        vendor: in its name.
        profile: of its protocol.
        model: e.g. ``ic01``.
        timed: it prints time stamps; otherwise it is in energy mode.
    """

    vendor: str
    profile: str
    model: str
    timed: bool


class Client:
    """See the module.

    Args:
        link: to the device.
        timeout_s: longest silence of an inference.
        say: takes what the device says besides its answers.
        chunk: bytes of a ``db`` command.
        verify: read back every input and ask twice for every result.

    Attributes:
        losses: how often something was done again.
        first_loss: why, the first time.
    """

    def __init__(
        self,
        link: Link,
        *,
        timeout_s: float,
        say: Callable[[str], None],
        chunk: int = CHUNK_BYTES,
        verify: bool = False,
    ) -> None:
        """Say nothing yet."""
        self.losses, self.first_loss = 0, ""
        self._link, self._say = link, say
        self._timeout_s, self._chunk, self._verify = timeout_s, chunk, verify
        self._answer_s = min(timeout_s, _ANSWER_S)
        self._lines = said.Lines()
        self._waiting: list[str] = []
        self._looked_at = 0.0  # the deadline behind which the line was looked at

    def greet(self, timeout_s: float) -> Greeting:
        """Wait for the device, which may just be starting, and ask what it is.

        Raises:
            BoardTimeoutError: it does not answer.
        """
        vendor = self._find(timeout_s, starting=True)
        facts = {"profile": "", "model": ""}

        def ask() -> bool:
            for line in self._ask("profile", self._answer_s):
                if found := said.PROFILE.fullmatch(line):
                    facts[found[1]] = found[2]
            return any(said.LAP.fullmatch(line) for line in self._ask("timestamp", self._answer_s))

        timed = self._again(ask)
        return Greeting(vendor=vendor, profile=facts["profile"], model=facts["model"], timed=timed)

    def infer(
        self,
        data: bytes,
        read: Callable[[Inference], T],
        *,
        times: int = 1,
        warmups: int = 0,
        timeout_s: float | None = None,
    ) -> tuple[Inference, T]:
        """Load one input and run it.

        Args:
            data: the input, as the device takes it.
            read: makes something of the outputs; raises WireError where they cannot be right, which is tried again.
            times: how often, between the two time stamps.
            warmups: how often before.
            timeout_s: longest silence meanwhile.

        Raises:
            BoardTimeoutError: no answer.
            BoardReportedError: it refuses, again and again.
            BoardCrashedError: it has started anew.
            WireError: what it answers makes no sense, again and again.
        """

        def once() -> tuple[Inference, T]:
            self._load(data)
            started = time.monotonic()
            answer = self._ask(f"infer {times} {warmups}", self._timeout_s if timeout_s is None else timeout_s)
            found = said.read_inference(answer, time.monotonic() - started)
            if self._verify and said.read_inference(self._ask("results", self._answer_s)).values != found.values:
                msg = "the results were other ones when they were asked for again"
                raise LostError(msg)
            return found, read(found)

        return self._again(once)

    def _load(self, data: bytes) -> None:
        self._ask(f"db load {len(data)}", self._answer_s)
        starts = range(0, len(data), self._chunk)
        for start in starts:
            answer = self._ask(f"db {data[start : start + self._chunk].hex()}", self._answer_s)
            if (said.LOADED in answer) is not (start == starts[-1]):
                msg = "the device has not counted the bytes that were sent"
                raise LostError(msg)
        if self._verify and said.read_buffer(self._ask("db print", self._answer_s)) != data:
            msg = "the input came back as another one"
            raise LostError(msg)

    def _again(self, action: Callable[[], T]) -> T:
        """Do something until it succeeds, finding the way back in between."""
        for attempt in range(ATTEMPTS):
            try:
                return action()
            except (LostError, WireError, BoardReportedError) as error:
                if attempt + 1 == ATTEMPTS:
                    if isinstance(error, LostError):
                        msg = f"{ATTEMPTS} times in a row: {error}; the line loses too much"
                        raise BoardTimeoutError(msg) from error
                    raise
                self.losses += 1
                self.first_loss = self.first_loss or str(error)
                self._say(f"again, because: {error}")
                self._find(_RECOVER_S)
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def _find(self, timeout_s: float, *, starting: bool = False) -> str:
        """Ask for the name until it is given, and nothing else is on its way; return the vendor in it."""
        deadline = time.monotonic() + timeout_s
        asked = 0
        while (left := deadline - time.monotonic()) > 0:
            asked += 1
            try:
                answer = self._ask(_NAME, min(left, _NAME_S), starting=starting)
            except (LostError, BoardReportedError):
                continue
            self._pass_over(asked - 1)
            return said.names(answer)[-1]
        msg = f"no answer to 'name%' within {timeout_s:g} s"
        raise BoardTimeoutError(msg)

    def _pass_over(self, answers: int) -> None:
        """Read the late answers to questions that were repeated, if they come."""
        deadline = time.monotonic() + _LATE_S
        while answers and (line := self._line(deadline)) is not None:
            if line == said.READY:
                answers -= 1
                deadline = time.monotonic() + _LATE_S

    def _ask(self, command: str, timeout_s: float, *, starting: bool = False) -> list[str]:
        """Send a command and return the lines of its answer.

        Raises:
            LostError: the answer does not end.
            BoardReportedError: it is a refusal.
            BoardCrashedError: the device has started anew.
        """
        self._send(f"{command}%".encode("ascii"), timeout_s)
        answer: list[str] = []
        deadline = time.monotonic() + timeout_s
        while True:
            line = self._line(deadline)
            if line is None:
                msg = f"no answer to {command[:20]!r} within {timeout_s:g} s"
                raise LostError(msg)
            if line == said.STARTED and not starting:
                msg = "the device has started anew"
                raise BoardCrashedError(msg)
            if line == said.READY and (command != _NAME or said.names(answer) or said.refusal(answer)):
                # Without its answer, this ends something else: the start of the device, or an earlier command.
                break
            answer.append(line)
            if not line.startswith("m-"):
                self._say(line)
        # A late refusal of something else is not that of the name.
        reason = None if command == _NAME and said.names(answer) else said.refusal(answer)
        if reason is not None:
            refused = BoardReportedError(f"the device refuses {command[:20]!r}: {reason}")
            refused.code = ErrorCode.BAD_PAYLOAD
            raise refused
        return answer

    def _send(self, data: bytes, timeout_s: float) -> None:
        view = memoryview(data)
        deadline = time.monotonic() + timeout_s
        while view:
            left = deadline - time.monotonic()
            if left <= 0:
                msg = f"the line has taken nothing for {timeout_s:g} s"
                raise LostError(msg)
            sent, received = self._link.exchange(view, min(left, _SLICE_S))
            view = view[sent:]
            self._waiting += self._lines.feed(received)

    def _line(self, deadline: float) -> str | None:
        while not self._waiting:
            left = deadline - time.monotonic()
            if left <= 0:
                # Once more, and no more than that: it may be this computer that stood still.
                if self._looked_at == deadline:
                    return None
                self._looked_at = deadline
            _, received = self._link.exchange(memoryview(b""), min(max(left, 0.0), _SLICE_S))
            self._waiting += self._lines.feed(received)
        return self._waiting.pop(0)
