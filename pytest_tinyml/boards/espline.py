"""Boards with an ESP32 whose serial port carries frames and console side by side (firmware/PROTOCOL.md, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.boards import espidf
from pytest_tinyml.boards.espboard import EspBoard
from pytest_tinyml.boards.espdevice import EspDevice
from pytest_tinyml.boards.espkind import EspKind
from pytest_tinyml.engines.samplefile import fits, samples_source
from pytest_tinyml.errors import BoardError, UsageError
from pytest_tinyml.links.mixed import MixedLink, Splitter
from pytest_tinyml.links.session import Patience
from pytest_tinyml.stores.datasets import MNIST_28K, load_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.boards.espconsole import Commands
    from pytest_tinyml.boards.espcrash import CrashWatch
    from pytest_tinyml.boards.espidf import AppBuild, Application
    from pytest_tinyml.links.base import Link
    from pytest_tinyml.links.console import Console
    from pytest_tinyml.records import Model

SERIAL: Final = "serial"
_RESEND_S: Final = 1.0
_SAMPLES: Final = 10


class _Ear:
    """Takes what is read from the port, and what pytest-embedded prints on the board's behalf.

    Args:
        splitter: for the one.
        text: for the other.
    """

    def __init__(self, splitter: Splitter, text: Callable[[str], object]) -> None:
        """Have heard nothing."""
        self._splitter, self._print = splitter, text

    def put(self, data: bytes | str) -> None:
        """Take some bytes of the board's."""
        if isinstance(data, str):
            self._print(data)
        elif data:
            self._splitter.put(data)

    def write(self, data: str) -> None:
        """Take what is printed."""
        self._print(data)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        """Progress bars are not for a log."""
        return False


class LineDevice(EspDevice):
    """One ESP32 at a serial port that is also the link; see `EspDevice`."""

    def __init__(self, device: Mapping[str, str], console: Console) -> None:
        """Open nothing."""
        super().__init__(device, console)
        self._link: MixedLink | None = None
        self._splitter = Splitter(self.lines.put, self._to_link)
        self._ear = _Ear(self._splitter, self.lines.put)

    @property
    def heard_by(self) -> Any:  # noqa: ANN401 - as pytest-embedded has it
        """See `EspDevice.heard_by`: frames are not for it."""
        return self._ear

    def reset(self) -> int:
        """See `EspDevice.reset`."""
        self._link = None
        self._splitter.restart()
        return super().reset()

    def link(self) -> MixedLink:
        """Return a link to the frames that come from now on."""
        self._link = MixedLink(SERIAL, self._send)
        return self._link

    def _to_link(self, data: bytes) -> None:
        link = self._link
        if link is not None:
            link.take(data)

    def _send(self, data: bytes) -> None:
        try:
            self._write(data)
        except BoardError as error:
            raise OSError(error.message) from error


class LineBoard(EspBoard):
    """One board, see `EspBoard`."""

    device_type = LineDevice
    _device: LineDevice

    def connect(self, commands: Commands, watch: CrashWatch) -> Link:
        """See `EspBoard.connect`."""
        del commands, watch
        return self._device.link()

    def patience(self, link: Link) -> Patience:
        """A serial line may lose bytes."""
        del link
        return Patience(timeout_s=self.request.timeout_s, resend_s=_RESEND_S)

    def _newly_built(self) -> AppBuild:
        request = self.request
        return espidf.build_app(
            self._kind,
            request.model,
            request.clock or espidf.WALL,
            self._application,
            samples=compiled_in(request.model, request.options.get("samples")),
            baud=self._device.number("baud"),
        )


def compiled_in(model: Model, wanted: str | None) -> str:
    """Return C with the images of the self-test; empty for none.

    Args:
        model: what they are for.
        wanted: ``DATASET``, ``DATASET:COUNT`` or ``none``; None for the default data set's, if they fit.

    Raises:
        UsageError: there are no such samples, or they do not fit the model.
    """
    if wanted == "none":
        return ""
    if wanted is None:
        dataset = load_dataset(MNIST_28K)
        return samples_source(model, dataset, _SAMPLES) if fits(model, dataset) else ""
    name, _, count = wanted.rpartition(":")
    dataset = load_dataset(name if count.isdecimal() and name else wanted)
    return samples_source(model, dataset, int(count) if count.isdecimal() and name else _SAMPLES)


class LineKind(EspKind):
    """What kinds of such boards have in common; subclasses say which application is for a model."""

    name: str
    engine: str
    links: tuple[str, ...] = (SERIAL,)
    options: Mapping[str, str] = {
        "samples": "whose first images the self-test runs: DATASET or DATASET:COUNT, or none; default mnist-28k:10"
    }

    def application(self, model: Model) -> Application:
        """Return the firmware for a model."""
        raise NotImplementedError

    def create(self, request: BoardRequest) -> LineBoard:
        """See `BoardKind.create`.

        Raises:
            UsageError: an option has no such value.
        """
        if request.link not in {None, SERIAL}:
            msg = f"board {self.name!r} has no link {request.link!r}"
            raise UsageError(msg)
        return LineBoard(self.name, self.application(request.model), request)
