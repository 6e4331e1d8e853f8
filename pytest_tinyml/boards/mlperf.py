"""Devices whose firmware was made for MLPerf Tiny's runner, or EEMBC's: nothing has to be changed in them.

Such a device cannot say which model it runs, nor what it really fed to it, and prints its outputs as decimal numbers:
its identity is not verified, and scores are compared as exactly as the numbers tell them (`resolution`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.boards.mlperfoptions import DIGITS, NAME, PERFORMANCE, choice, digits_of, whole, window_of
from pytest_tinyml.boards.serialport import find_port, is_pseudo_terminal, missing_pyserial, open_port
from pytest_tinyml.boards.unverified import unverified
from pytest_tinyml.errors import BoardCrashedError, BoardError, IdentityError, UsageError, WireError
from pytest_tinyml.links import mlperf
from pytest_tinyml.links.base import LinkClosedError
from pytest_tinyml.links.console import Console
from pytest_tinyml.links.performance import WINDOW_S
from pytest_tinyml.records import CanaryResult, Encoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_tinyml.boards.base import BoardRequest, Missing
    from pytest_tinyml.links.base import Link
    from pytest_tinyml.links.performance import Performance
    from pytest_tinyml.links.work import Work
    from pytest_tinyml.records import Identity, Model

BAUD: Final = 115_200
_BOOT_S: Final = 20.0
_BACK_S: Final = 5.0
_LOOK_S: Final = 0.1
_TICK_HZ: Final = 1_000_000


class MlperfBoard:
    """One device; implements `Board`.

    Args:
        request: what it shall be; `BoardRequest.device` says where it is.

    Attributes:
        name: see `Board`.
        request: see above.
        console: what the device says besides its answers.
        emulated: a program is at the other end, whose times say nothing about a part; known when it was opened.

    Raises:
        UsageError: an option has no such value.
    """

    def __init__(self, request: BoardRequest) -> None:
        """Open nothing."""
        self.name = f"{NAME}#{request.index}" if request.index else NAME
        self.request = request
        options = request.options
        self._labels = choice(options, "answers") == "labels"
        self._encoding = Encoding.PIXELS if choice(options, "input") == "pixels" else Encoding.TENSOR
        self._verify = choice(options, "verify") == "yes"
        self._digits = digits_of(options)
        self._chunk = whole(options, "chunk", mlperf.CHUNK_BYTES, 1, 1 << 12)
        self._baud = whole(request.device, "baud", BAUD, 1, 1 << 30)
        self.console = Console(request.work_dir / f"{self.name.replace('#', '-')}.console.log")
        self._port = ""
        self._client: mlperf.Client | None = None
        self._link: Link | None = None
        self._was_open = False
        self.emulated = False

    def prepare(self) -> str:
        """See `Board.prepare`: nothing is built, and nothing known of what the device runs.

        Raises:
            UsageError: there is no port, or several.
        """
        self._port = self._port or find_port(self.request.device)
        return ""

    def start(self) -> Link:
        """Open the port; one that was there before is given the time that USB takes to find a device again.

        Raises:
            UsageError: it cannot be opened.
            BoardCrashedError: it is gone.
        """
        self.prepare()
        deadline = time.monotonic() + _BACK_S
        while True:
            try:
                return open_port(self._port, self._baud, name=NAME, packed=False)
            except UsageError as error:
                if not self._was_open:
                    raise
                if time.monotonic() > deadline:
                    msg = f"the device does not come back: {error}"
                    raise BoardCrashedError(msg) from error
                time.sleep(_LOOK_S)

    def open(self) -> Identity:
        """See `Board.open`; of the identity only names are from the device, the rest is what it should have.

        Raises:
            UsageError: the port cannot be opened.
            BoardTimeoutError: nobody answers.
        """
        self.close()
        with self._explained():
            self._link = self.start()
            self.emulated, self._was_open = is_pseudo_terminal(self._port), True
            self._client = mlperf.Client(
                self._link,
                timeout_s=self.request.timeout_s,
                say=self.console.line,
                chunk=self._chunk,
                verify=self._verify,
            )
            greeting = self._client.greet(_BOOT_S)
        self.console.line(f"{greeting.vendor!r}, profile {greeting.profile!r}, model {greeting.model!r}")
        return unverified(
            self.request.model,
            board=NAME,
            engine=KIND.engine,
            encoding=self._encoding,
            chip=f"device {greeting.vendor!r}, model {greeting.model!r}",
            firmware_version=greeting.profile,
            name=greeting.model,
            tick_hz=_TICK_HZ if greeting.timed else 0,
        )

    def canary(self, encoding: Encoding, sample: int, data: bytes) -> CanaryResult:
        """See `Board.canary`; what the engine has read is not known."""
        del encoding
        with self._explained():
            ticks, scores = self._infer(self._live(), data)
        return CanaryResult(id=sample, ticks=ticks, input_crc=None, scores=scores)

    def stream(self, work: Work) -> None:
        """See `Board.stream`."""
        client = self._live()
        lost = client.losses
        with self._explained():
            try:
                while not work.finished:
                    ids = work.take(1)
                    if not ids:
                        work.wait(0.05)
                        continue
                    data = work.raw(self._encoding, ids)[0].tobytes()
                    ticks, scores = self._infer(client, data)
                    work.answer(
                        np.array(ids, dtype=np.uint32),
                        np.array([ticks], dtype=np.uint32),
                        np.frombuffer(scores, dtype=np.uint8).reshape(1, -1),
                    )
            finally:
                if client.losses > lost:
                    again = client.losses - lost
                    work.note("losses", f"{again:,} inputs or answers were sent again; first: {client.first_loss}")

    def performance(self, inputs: Mapping[int, bytes]) -> tuple[Performance, dict[int, bytes]]:
        """See `TimedBoard.performance`; the protocol's rules are in `pytest_tinyml.links.mlperf.performance`.

        Raises:
            BoardError: it fails, or prints no time stamps.
        """
        client = self._live()
        with self._explained():
            window_s, timeout_s = window_of(self.request.options) or WINDOW_S, self.request.timeout_s
            return mlperf.measure(client, inputs, self._read, window_s=window_s, timeout_s=timeout_s)

    def outputs(self, values: tuple[float, ...]) -> bytes:
        """Return the output tensor that was printed as `values`.

        Raises:
            WireError: it cannot be one of this model.
        """
        output = self.request.model.output
        if self._labels:
            return mlperf.one_of_labels(values, output).tobytes()
        return mlperf.nearest_outputs(values, output, 10.0**-self._digits).tobytes()

    def stats(self) -> dict[str, int]:
        """See `Board.stats`: the device does not count."""
        self._live()
        return {}

    def close(self) -> None:
        """See `Board.close`."""
        self._client = None
        link, self._link = self._link, None
        if link is not None:
            link.close()

    @property
    def console_tail(self) -> tuple[str, ...]:
        """See `Board.console_tail`."""
        return self.console.tail

    def _infer(self, client: mlperf.Client, data: bytes) -> tuple[int, bytes]:
        found, scores = client.infer(data, self._read)
        return min(found.microseconds or 0, 0xFFFFFFFF), scores

    def _read(self, found: mlperf.Inference) -> bytes:
        if found.digits < self._digits and not self._labels:
            text = f"the device prints {found.digits} decimals; say so with --tinyml-option digits={found.digits}"
            raise WireError(0, text)
        return self.outputs(found.values)

    def _live(self) -> mlperf.Client:
        if self._client is None:
            msg = "the board is not open"
            raise BoardError(msg, board=self.name)
        return self._client

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Add the board's name and its last words to what goes wrong in the block; it is closed then."""
        try:
            yield
        except WireError as error:
            # Several times in a row: not a damaged line, but another device than was meant.
            raise self._complete(IdentityError(str(error))) from error
        except LinkClosedError as error:
            raise self._complete(BoardCrashedError(f"the device is gone: {error}")) from error
        except BoardError as error:
            raise self._complete(error) from error.__cause__

    def _complete(self, error: BoardError) -> BoardError:
        self.console.line(error.message)
        self.close()
        error.board, error.console_tail, error.log_path = self.name, self.console.tail, self.console.path
        return error


class MlperfKind:
    """See the module."""

    name = NAME
    summary = "any device made for MLPerf Tiny's or EEMBC's runner, at --port (not verified)"
    engine = "device"
    hardware = True
    verifiable = False
    answers_canaries = True
    links: tuple[str, ...] = (NAME,)
    clocks: tuple[str, ...] = ("wall",)
    options: Mapping[str, str] = {
        "answers": "what is compared: scores, or labels only",
        "digits": f"decimals of the printed results; {DIGITS} unless given",
        "input": "what the device takes: pixels, or tensor (what the model's input tensor holds)",
        "verify": "yes: every input is read back and every result asked for twice; takes more than twice as long",
        "chunk": f"bytes of an input per command; {mlperf.CHUNK_BYTES} unless given",
        PERFORMANCE: "performance mode: the least length of its windows in seconds, by the rules 10",
    }

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        return missing_pyserial()

    def check(self, model: Model) -> None:
        """See `BoardKind.check`: the device has its own engine."""

    def labels_only(self, options: Mapping[str, str]) -> bool:
        """Whether only labels are compared."""
        return choice(options, "answers") == "labels"

    def resolution(self, options: Mapping[str, str]) -> float:
        """Return how far a printed output may be from the real one, in units of the output.

        The reference devices print with ``%0.3f``, which rounds, or cut digits off, which loses up to a whole unit.
        """
        return 0.0 if self.labels_only(options) else 10.0 ** -digits_of(options)

    def create(self, request: BoardRequest) -> MlperfBoard:
        """See `BoardKind.create`."""
        return MlperfBoard(request)


KIND: Final = MlperfKind()
