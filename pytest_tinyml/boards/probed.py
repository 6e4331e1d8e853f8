"""Boards with a debug probe that shows a serial port, too: asked what they run, flashed if that is something else."""

from __future__ import annotations

import os
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_tinyml.boards import espport
from pytest_tinyml.boards.serialport import find_port, open_port
from pytest_tinyml.boards.streamed import StreamedBoard
from pytest_tinyml.errors import BoardReportedError, BoardTimeoutError, IdentityError, UsageError, WireError
from pytest_tinyml.links.session import Patience, Session
from pytest_tinyml.wire import ResetKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.boards.flashers import Flasher
    from pytest_tinyml.firmware import Firmware
    from pytest_tinyml.links.base import Link
    from pytest_tinyml.records import Identity

SERIAL: Final = "serial"
_RESEND_S: Final = 1.0
_ANSWER_S: Final = 1.5
"""For a board that runs, or does not."""
_START_S: Final = 5.0
"""For one that was reset."""
OTHER_PART: Final = "not "
"""How a firmware's name for a part begins that it was not built for."""
_PROBE: Final = "stlink"
"""What the description of such a port has in it, in lower case and without dashes."""


class ProbedBoard(StreamedBoard):
    """One board; subclasses say which firmware it gets.

    Args:
        kind: the name of the kind of board.
        request: what the board shall be.
        baud: of the line.
    """

    chip: ClassVar[str]
    """What the firmware reads from the part: anything else is an emulator, or another part."""
    firmware_board: ClassVar[str]
    """What the firmware says that its board is."""

    def __init__(self, kind: str, request: BoardRequest, *, baud: int) -> None:
        """Open nothing."""
        super().__init__(kind, request)
        self.baud = baud
        self._port = ""
        self._seen_chip = ""

    @property
    @abstractmethod
    def image(self) -> Firmware:
        """The firmware that the board shall run."""

    @abstractmethod
    def flasher(self, serial_number: str) -> Flasher | None:
        """Return what writes the flash; None if that is somebody else's business.

        Args:
            serial_number: of the probe; empty if it is not known.
        """

    @property
    def emulated(self) -> bool:
        """Whether what answers is not the part, so that its times say nothing about it; known after `open`."""
        return self._seen_chip not in {"", self.chip}

    def prepare(self) -> str:
        """See `Board.prepare`: a board need not be there."""
        return self.image.sha256

    def patience(self, link: Link) -> Patience:
        """A serial line may lose bytes."""
        del link
        return Patience(timeout_s=self.request.timeout_s, resend_s=_RESEND_S)

    def open(self) -> Identity:
        """See `Board.open`.

        Raises:
            UsageError: there is no port, or several, or it is busy.
            IdentityError: it is another board or part; or another firmware, and nobody is to flash it.
        """
        identity = super().open()
        self._seen_chip = identity.chip
        return identity

    def start(self) -> Link:
        """See `StreamedBoard.start`: afterwards the right firmware has just started."""
        self.prepare()
        self._port = self._port or find_probe(self.request.device)
        link = open_port(self._port, self.baud, name=SERIAL, packed=True)
        try:
            self._make_right(link)
        except BaseException:
            link.close()
            raise
        return link

    def stop(self) -> str:
        """See `StreamedBoard.stop`: the port is closed, and the board stays as it is."""
        return ""

    def _make_right(self, link: Link) -> None:
        session = Session(link, Patience(timeout_s=_ANSWER_S, resend_s=_RESEND_S / 2), self.console.line)
        identity = self._ask(session, _ANSWER_S)
        if self._is_right(identity):
            with suppress(BoardTimeoutError):  # then it is a flasher's turn, below
                session.reset(ResetKind.BOARD)
                return
            identity = None
        flasher = self.flasher(probe_number(self.request.device, self._port))
        if flasher is None:
            raise self._unhelped(identity)
        if identity is None:
            # A firmware that hangs may be the right one.
            flasher.reset()
            identity = self._ask(session, _ANSWER_S)
        if not self._is_right(identity):
            self._say(f"flashing with {flasher.name}: the board runs {_said(identity)}, not {self._wanted()}")
            flasher.flash(self.image.path)
            identity = self._ask(session, _START_S)
        if not self._is_right(identity):
            msg = f"after flashing the board at {self._port} runs {_said(identity)}, not {self._wanted()}"
            raise IdentityError(msg)

    def _ask(self, session: Session, limit_s: float) -> Identity | None:
        """Return what the board says it is; None if it says nothing, or nothing that we understand.

        Raises:
            IdentityError: it is another board, which nobody has asked for.
            BoardCrashedError: the port is gone.
        """
        try:
            identity = session.hello(limit_s)
        except (BoardTimeoutError, BoardReportedError, WireError, IdentityError) as error:
            self.console.line(f"no identity from {self._port}: {error}")
            return None
        if identity.board != self.firmware_board:
            msg = f"at {self._port} is a board {identity.board!r}, and nothing was done to it: name another --port"
            raise IdentityError(msg)
        if identity.chip.startswith(OTHER_PART):
            msg = f"the part at {self._port} is {identity.chip}, for which this firmware was built"
            raise IdentityError(msg)
        return identity

    def _is_right(self, identity: Identity | None) -> bool:
        return (
            identity is not None
            and identity.firmware_sha256 == self.image.sha256
            and identity.model_sha256 == self.request.model.sha256
        )

    def _wanted(self) -> str:
        return f"firmware {self.image.sha256[:12]} with model {self.request.model.sha256[:12]}"

    def _say(self, text: str) -> None:
        self.console.line(text)
        self.request.say(text)

    def _unhelped(self, identity: Identity | None) -> BoardTimeoutError | IdentityError:
        """Make the error for a board that would have to be flashed, or reset."""
        image: Path = self.image.path
        if identity is None:
            msg = (
                f"no answer at {self._port} ({self.baud} baud): press the board's reset button; or flash {image}, or "
                "let that be done by leaving --tinyml-flasher out"
            )
            return BoardTimeoutError(msg)
        msg = f"the board runs {_said(identity)}, not {self._wanted()}: flash {image}, or leave --tinyml-flasher out"
        return IdentityError(msg)


def find_probe(device: Mapping[str, str]) -> str:
    """Return the port that is meant: as `find_port`, but if nothing is named it is the only one of an ST-LINK.

    Raises:
        UsageError: there is none, or several; with a list.
    """
    if {"port", "port_serial_number", "port_location", "port_mac"} & set(device):
        return find_port(device)
    ports = espport.usb_ports()
    probes = [port.path for port in ports if _PROBE in port.what.lower().replace("-", "")]
    if not probes:
        msg = f"no ST-LINK found: {espport.listed(ports)}"
        raise UsageError(msg)
    return espport.the_only(probes, ports)


def probe_number(device: Mapping[str, str], path: str) -> str:
    """Return the serial number of the probe that shows a port: that of the USB device; empty if it has none."""
    real = os.path.realpath(path)
    known = [port.serial_number for port in espport.usb_ports() if os.path.realpath(port.path) == real]
    return next(iter(known), device.get("port_serial_number", ""))


def _said(identity: Identity | None) -> str:
    if identity is None:
        return "nothing that answers"
    return f"firmware {identity.firmware_sha256[:12]} with model {identity.model_sha256[:12]}"
