"""What is between the serial adapter and the chip: DTR and RTS, two transistors, the pins EN and IO0."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from esp_rfc2217_server.esp_port_manager import EspPortManager
from esptool.reset import ClassicReset

if TYPE_CHECKING:
    from collections.abc import Callable

RISE_S: Final = 0.01
"""The capacitor at EN: IO0 is looked at so long after EN was let go."""


class Adapter:
    """The serial port that the RFC 2217 server drives, with the circuit that boards with an auto-reset have.

    A line that is asserted pulls its pin low, unless both are: then neither is pulled.

    Args:
        off: called when EN falls.
        on: called when the chip starts, with True if IO0 is low then (download mode).
        wired: whether DTR and RTS lead anywhere.
    """

    def __init__(self, off: Callable[[], None], on: Callable[[bool], None], *, wired: bool = True) -> None:
        """Be powered, with both lines idle."""
        self._wired = wired
        self.baudrate, self.bytesize, self.parity, self.stopbits = 115200, 8, "N", 1
        self.xonxoff = self.rtscts = self.break_condition = False
        self.cts = self.dsr = self.ri = self.cd = False
        self.port = self.name = "twin"
        self._off, self._on = off, on
        self._dtr = self._rts = False
        self._enabled = True
        self._starting: threading.Timer | None = None
        self._rises_at = 0.0
        self._lock = threading.RLock()

    @property
    def dtr(self) -> bool:
        """Whether DTR is asserted."""
        return self._dtr

    @dtr.setter
    def dtr(self, asserted: bool) -> None:
        with self._lock:  # the server's threads drive one line each at the same time
            self._set(asserted, self._rts)

    @property
    def rts(self) -> bool:
        """Whether RTS is asserted."""
        return self._rts

    @rts.setter
    def rts(self, asserted: bool) -> None:
        with self._lock:
            self._set(self._dtr, asserted)

    def setDTR(self, asserted: bool) -> None:  # noqa: N802 - pyserial's name
        """Assert DTR or let go of it."""
        self.dtr = asserted

    def setRTS(self, asserted: bool) -> None:  # noqa: N802 - pyserial's name
        """Assert RTS or let go of it."""
        self.rts = asserted

    def isOpen(self) -> bool:  # noqa: N802 - pyserial's name
        """It always is."""
        return True

    def reset_input_buffer(self) -> None:
        """There is none."""

    def reset_output_buffer(self) -> None:
        """There is none."""

    def _set(self, dtr: bool, rts: bool) -> None:
        with self._lock:
            if self._starting is not None and time.monotonic() >= self._rises_at:
                # This computer is late: the chip has looked at IO0 already, as it was until now.
                self._starting.cancel()
                self._rise()
            self._dtr, self._rts = dtr, rts
            if not self._wired:
                return
            enabled = not (rts and not dtr)
            if enabled == self._enabled:
                return
            self._enabled = enabled
            if self._starting is not None:
                self._starting.cancel()
                self._starting = None
            if enabled:
                self._rises_at = time.monotonic() + RISE_S
                self._starting = threading.Timer(RISE_S, self._start)
                self._starting.daemon = True
                self._starting.start()
            else:
                self._off()

    def press_reset(self, *, jumper: bool) -> None:
        """Reset by hand, with IO0 at GND or not."""
        self._off()
        self._on(jumper)

    def _start(self) -> None:
        with self._lock:
            if self._starting is threading.current_thread():
                self._rise()

    def _rise(self) -> None:
        self._starting = None
        if self._enabled:
            self._on(self._dtr and not self._rts)


class TwinPortManager(EspPortManager):  # type: ignore[misc]  # untyped
    """The server that Espressif ships for boards on other computers, at the twin's circuit."""

    def __init__(self, adapter: Adapter, connection: Any) -> None:
        """Begin to negotiate."""
        super().__init__(adapter, connection, False)

    def _reset_thread(self) -> None:
        """As there, without the system calls that need a real port."""
        ClassicReset(self.serial)()
