"""The serial port of an Espressif board: pytest-embedded's, but for when it flashes.

Imported when a board is opened: pytest-embedded and esptool come with the extra ``esp``.
"""

from __future__ import annotations

from typing import Any, Protocol

import esptool
import serial
from esptool.reset import HardReset
from pytest_embedded_idf import IdfSerial
from pytest_embedded_serial import Serial

_ATTEMPTS = 3
_WRITE_S = 10.0


class Listener(Protocol):
    """What pytest-embedded takes for its queue, and what it prints to."""

    def put(self, data: bytes | str) -> None:
        """Take some bytes of the board's."""
        ...

    def write(self, data: str) -> object:
        """Take what is printed."""
        ...

    def flush(self) -> None:
        """Nothing waits."""
        ...

    def isatty(self) -> bool:
        """Whether progress bars have a use."""
        ...


class BoardSerial(IdfSerial):  # type: ignore[misc]  # untyped
    """An open port, whose board has been reset and whose console is being read.

    pytest-embedded resets every board into its boot loader to see what it is, and flashes. This one only opens the
    port: boards without an auto-reset circuit can be used, and a board that has the right firmware keeps it. All other
    methods, `flash` above all, are pytest-embedded's; they connect to the boot loader when they are first used.

    Args:
        port: path or URL.
        lines: receives what the board says.
        baud: of the console.
        esptool_baud: for flashing.
        force: pass ``--force`` to esptool.
        erase_nvs: erase what the board has kept when flashing.

    Raises:
        serial.SerialException: the port cannot be opened.
    """

    def __init__(
        self,
        port: str,
        lines: Listener,
        *,
        baud: int,
        esptool_baud: int,
        force: bool = False,
        erase_nvs: bool = False,
    ) -> None:
        """Open the port and reset the board."""
        self.app: Any = None
        """What `flash` flashes, see `IdfApp`."""
        self.confirm_target_elf_sha256 = self.erase_all = False
        self.skip_autoflash = True
        self.esptool_baud, self.esp_flash_force, self.erase_nvs = esptool_baud, force, erase_nvs
        self.attempts = _ATTEMPTS
        """How often the boot loader is called before it is said not to answer; each takes a few seconds."""
        self._esp: Any = None
        line = serial.serial_for_url(port, baudrate=baud, exclusive=True, do_not_open=True)
        # Both lines at rest: an open port would otherwise pull at the pins of boards (and of Espressif's RFC 2217
        # server) that listen to either alone.
        line.dtr = line.rts = False
        line.timeout = self.DEFAULT_PORT_CONFIG["timeout"]
        if "://" not in port:  # pyserial's clients of servers know no bound, and do not wait for the line
            line.write_timeout = _WRITE_S
        line.open()
        Serial.__init__(self, lines, port=line, baud=baud)

    @property
    def esp(self) -> Any:  # noqa: ANN401 - esptool's class of the chip
        """The board's boot loader, connected to when first asked for.

        Raises:
            esptool.FatalError: it does not answer.
        """
        if self._esp is None:
            if not self.proc.is_open:  # esptool closes it when nobody answers
                self.proc.open()
            self._esp = esptool.detect_chip(port=self.proc, connect_attempts=self.attempts)
        return self._esp

    def hard_reset(self) -> None:
        """Reset the board by its lines, which needs no boot loader."""
        self.proc.baudrate = self.baud  # the boot loader has its own
        HardReset(self.proc)()

    def reopen(self) -> None:
        """Open a closed port again, and reset the board."""
        self.proc.open()
        self.hard_reset()
        self.start_redirect_thread()

    def stop_redirect_thread(self) -> bool:
        """As there, and end the queue that commands to the thread came through.

        It would keep a thread and a pipe for each time that the port was opened, or flashed over, until the host ends.
        """
        thread = self._redirect_thread
        stopped = bool(super().stop_redirect_thread())
        commands = getattr(thread, "_event_q", None)
        if stopped and commands is not None:
            commands.close()
            commands.join_thread()
        return stopped

    def _post_init(self) -> None:
        """Erase nothing: `flash` is a step of its own."""
