"""One ESP32 at a serial port: found, opened, reset, asked what it is, flashed."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.boards import espport
from pytest_tinyml.boards.base import to_nobody
from pytest_tinyml.boards.espconsole import Commands, ConsoleLines
from pytest_tinyml.boards.espidf import BAUD
from pytest_tinyml.errors import BoardError, BoardTimeoutError, IdentityError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_tinyml.boards.espconsole import ConsoleIdentity
    from pytest_tinyml.boards.espserial import BoardSerial, Listener
    from pytest_tinyml.links.console import Console

ESPTOOL_BAUD: Final = 921_600
_READY_S: Final = 4.0
"""From reset to the firmware's first line."""
_ANSWER_S: Final = 2.0
_FLASHED_S: Final = 60.0
"""Likewise after flashing, if somebody has to move a jumper and press a button."""
_HAND_S: Final = 30.0
"""For the boot loader of a board that somebody has to put into it."""
_SLICE_S: Final = 0.5


class EspDevice:
    """See the module.

    Args:
        device: pytest-embedded's options, see `BoardRequest.device`.
        console: receives all that the board says.

    Attributes:
        lines: what the board says.
        commands: asks it.
        serial: its port, pytest-embedded's, once it was opened.
        port: path or URL; empty before `find`.
        say: tells the user what to do, see `BoardRequest.say`.
        console_baud: of the board's console, unless the user says another.
    """

    def __init__(self, device: Mapping[str, str], console: Console) -> None:
        """Open nothing."""
        self._device, self._console = device, console
        self.lines = ConsoleLines(console)
        self.commands = Commands(self.lines, self._write)
        self.serial: BoardSerial | None = None
        self.port = ""
        self.say: Callable[[str], object] = to_nobody
        self.console_baud = BAUD
        self._in_vain = False

    @property
    def heard_by(self) -> Listener:
        """Takes what the board says, and what pytest-embedded says on its behalf."""
        return self.lines

    def find(self) -> None:
        """Find the port.

        Raises:
            UsageError: there is none, or several; with a list.
        """
        if self.port:
            return
        ports = [] if "://" in self._device.get("port", "") else espport.usb_ports()
        paths = espport.candidates(self._device, ports)
        mac = self._device.get("port_mac")
        self.port = espport.the_only(paths, ports) if mac is None else self._with_mac(paths, espport.plain_mac(mac))

    def reset(self) -> int:
        """Open the port if it is closed, reset the board, and return the console's position before that.

        Raises:
            UsageError: the port cannot be opened.
        """
        import serial  # noqa: PLC0415 - comes with the extra

        since = self.lines.position
        try:
            if self.serial is None:
                self.serial = self._opened()
            elif self.serial.proc.is_open:
                self.serial.hard_reset()
            else:
                self.serial.reopen()
        except (serial.SerialException, OSError, ValueError) as error:
            ports = [] if "://" in self.port else espport.usb_ports()
            raise UsageError(espport.why_not_open(self.port, error, ports)) from error
        return since

    def identity(self, since: int) -> ConsoleIdentity | None:
        """Return what a board that was reset says it is; None if it says nothing, or nothing that is understood."""
        try:
            return self.commands.identity(since, _READY_S, _ANSWER_S)
        except BoardError as error:
            self._console.line(str(error))
            return None

    def flash(self, app: Any, why: str) -> ConsoleIdentity:  # noqa: ANN401 - pytest-embedded's
        """Flash the board, as pytest-embedded does, and return what it says then.

        Args:
            app: pytest-embedded's description of a build.
            why: what the board runs and what it shall run.

        Raises:
            IdentityError: it shall not be flashed, or is another chip.
            BoardError: no boot loader answers, or esptool fails.
            BoardTimeoutError: the new firmware does not start.
        """
        if self._device.get("skip_autoflash") == "true":
            msg = f"{why}; --skip-autoflash forbids to flash it"
            raise IdentityError(msg)
        self._console.line(f"flashing: {why}")
        port = self._open_port()
        port.app, port.target = app, app.target
        try:
            chip = self._reached(port)
            if chip == app.target:
                if self._device.get("erase_all") == "true":
                    port.erase_flash()
                port.flash()
        except (Exception, SystemExit) as error:
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            msg = (
                f"it cannot be flashed over {self.port}: {what}. Boards without an auto-reset circuit need IO0 at GND "
                "while they are reset (docs/tutorial/esp32cam.md); a charge-only cable or a missing GND looks the same"
            )
            raise BoardError(msg) from error
        if chip != app.target:
            msg = f"wrong chip: the board at {self.port} is an {chip}, the firmware is for {app.target}"
            raise IdentityError(msg)
        return self._after_flash()

    def ending(self) -> str | None:
        """Say how the board ended for good, if it has; a port does not know."""
        return None

    def release(self) -> None:
        """Close the port; harmless when repeated. `reset` opens it again."""
        if self.serial is not None and self.serial.proc.is_open:
            with suppress(OSError):
                self.serial.close()

    @property
    def is_open(self) -> bool:
        """Whether the port is open."""
        return self.serial is not None and bool(self.serial.proc.is_open)

    def _opened(self) -> BoardSerial:
        from pytest_tinyml.boards.espserial import BoardSerial  # noqa: PLC0415 - comes with the extra

        return BoardSerial(
            self.port,
            self.heard_by,
            baud=self.number("baud") or self.console_baud,
            esptool_baud=self.number("esptool_baud") or ESPTOOL_BAUD,
            force=self._device.get("esp_flash_force") == "true",
            erase_nvs=self._device.get("erase_nvs") == "true",
        )

    def _open_port(self) -> BoardSerial:
        if self.serial is None:
            msg = "the port is not open"
            raise BoardError(msg)
        return self.serial

    def _write(self, data: bytes) -> None:
        import serial  # noqa: PLC0415 - comes with the extra

        try:
            self._open_port().proc.write(data)
        except (serial.SerialException, OSError) as error:
            msg = f"the serial port {self.port} is gone: {error}"
            raise BoardError(msg) from error

    def _reached(self, port: BoardSerial) -> str:
        """Return what the boot loader says; a board without auto-reset is waited for, but not twice in vain.

        Raises:
            esptool.FatalError: it does not answer.
        """
        from esptool import FatalError  # noqa: PLC0415 - comes with the extra

        deadline = None
        while True:
            try:
                chip = self._chip(port)
            except FatalError:
                if deadline is None and not self._in_vain:
                    self._ask(
                        f"no boot loader answers at {self.port}: connect IO0 to GND (with a jumper) and press RST, "
                        f"within {_HAND_S:g} s"
                    )
                    deadline, port.attempts = time.monotonic() + _HAND_S, 1
                elif deadline is None or time.monotonic() > deadline:
                    self._in_vain = True
                    raise
            else:
                port.start_redirect_thread()  # which is not done after an error
                return chip

    def _ask(self, what: str) -> None:
        """Say what the user has to do, on the screen and in the log."""
        self._console.line(what)
        self.say(what)

    def _chip(self, port: BoardSerial) -> str:
        """Return what the boot loader says, in the form of ESP-IDF's targets."""
        with port.disable_redirect_thread():
            return str(port.esp.CHIP_NAME).lower().replace("-", "")

    def _after_flash(self) -> ConsoleIdentity:
        """Wait for the new firmware to start, which somebody may have to help: a jumper to take off, a button to press.

        Raises:
            BoardTimeoutError: it does not.
        """
        since = self.reset()
        began, asked = time.monotonic(), False
        while (identity := self.commands.identity(since, _SLICE_S, _SLICE_S)) is None:
            if not asked and time.monotonic() > began + _READY_S:
                asked = True
                self._ask(f"flashed; now take the jumper off IO0 and press RST, within {_FLASHED_S - _READY_S:g} s")
            if time.monotonic() > began + _FLASHED_S:
                msg = (
                    "the board is flashed, but does not start: if IO0 is wired to GND, take it off, press the reset "
                    "button, and run the same command again, which will not flash it again"
                )
                raise BoardTimeoutError(msg)
        return identity

    def _with_mac(self, paths: Sequence[str], mac: str) -> str:
        """Return the port whose board has this MAC: its firmware is asked, or else its boot loader."""
        for path in paths:
            self.port = path
            try:
                found = self._mac()
            except Exception as error:  # noqa: BLE001 - esptool's own, of many kinds; the next port may be the one
                self._console.line(f"{path}: {error}")
                continue
            finally:
                self.release()
                self.serial = None
            if found == mac:
                return path
        self.port = ""
        msg = f"none of {', '.join(paths)} has a board with MAC {mac}; what they say is in {self._console.path}"
        raise UsageError(msg)

    def _mac(self) -> str:
        identity = self.identity(self.reset())
        if identity is not None:
            return identity.mac
        port = self._open_port()
        with port.disable_redirect_thread():
            return "".join(f"{byte:02x}" for byte in port.esp.read_mac())

    def number(self, name: str) -> int | None:
        """Return one of pytest-embedded's options that are numbers; None if it was not given.

        Raises:
            UsageError: it is not a number.
        """
        text = self._device.get(name)
        try:
            return None if text is None else int(text)
        except ValueError as error:
            option = name.replace("_", "-")
            msg = f"--{option}: not a number: {text!r}"
            raise UsageError(msg) from error
