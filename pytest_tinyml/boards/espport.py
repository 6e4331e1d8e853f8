"""Which serial port: as pytest-embedded's options name it, or the only one that there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import MissingDependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXTRA: Final = "esp"
_PACKAGE: Final = "pytest-embedded-idf"
VARIABLES: Final = {"port": "ESPPORT", "esptool_baud": "ESPBAUD"}
"""Of the environment, by option: as with pytest-embedded, these win over the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A serial port of this computer.

    Attributes:
        path: e.g. ``/dev/ttyUSB0``.
        serial_number: of the USB device; empty if it has none.
        location: of the USB device, e.g. ``1-2.3``; likewise.
        what: what the device says it is.
    """

    path: str
    serial_number: str = ""
    location: str = ""
    what: str = ""

    def __str__(self) -> str:
        """Return one line for a list."""
        number = f", serial number {self.serial_number}" if self.serial_number else ""
        place = f", at {self.location}" if self.location else ""
        return f"{self.path} ({self.what or 'unknown device'}{number}{place})"


def usb_ports() -> list[Port]:
    """Return the serial ports that are USB devices, by path; the others of a computer are not development boards.

    Raises:
        MissingDependencyError: pyserial is not installed.
    """
    try:
        from serial.tools import list_ports  # noqa: PLC0415 - comes with the extra
    except ImportError as error:
        raise missing_package("finding serial ports") from error
    return [
        Port(
            path=found.device,
            serial_number=found.serial_number or "",
            location=found.location or "",
            what=found.description or "",
        )
        for found in sorted(list_ports.comports(), key=lambda found: str(found.device))
        if found.vid is not None
    ]


def candidates(device: Mapping[str, str], ports: Sequence[Port]) -> list[str]:
    """Return the paths that may be meant, by everything but the MAC, which only the chip itself knows.

    Args:
        device: pytest-embedded's options: ``port`` (path, URL, or a pattern with ``*`` at its end), ``port_location``,
            ``port_serial_number`` (several with commas).
        ports: that this computer has.

    Raises:
        UsageError: there is none; with those that there are.
    """
    given, place = device.get("port", ""), device.get("port_location", "")
    numbers = {number.strip() for number in device.get("port_serial_number", "").split(",") if number.strip()}
    if given and not given.endswith("*") and not place and not numbers:
        return [given]
    fitting = [
        port
        for port in ports
        if (not numbers or port.serial_number in numbers)
        and (not place or port.location == place)
        and (not given or given.strip("*") in port.path)
    ]
    if not fitting:
        wanted = ", ".join(
            f"{option} {text}"
            for option, text in (
                ("--port", given), ("--port-location", place), ("--port-serial-number", ", ".join(sorted(numbers))),
            )
            if text
        )  # fmt: skip
        raise UsageError(
            f"no serial port fits {wanted}; {listed(ports)}" if wanted else f"no board found: {listed(ports)}"
        )
    return [port.path for port in fitting]


def the_only(paths: Sequence[str], ports: Sequence[Port]) -> str:
    """Return the port if it is one.

    Raises:
        UsageError: there are several.
    """
    if len(paths) == 1:
        return paths[0]
    msg = f"{len(paths)} serial ports fit; choose with --port, --port-serial-number or --port-mac: {listed(ports)}"
    raise UsageError(msg)


def listed(ports: Sequence[Port]) -> str:
    """Return what there is, for a message."""
    if not ports:
        return "this computer has no USB serial port (connect the board, or name another port with --port)"
    return "USB serial ports are\n" + "\n".join(f"  {port}" for port in ports)


def missing_package(purpose: str) -> MissingDependencyError:
    """Make the error for what comes with the extra."""
    return MissingDependencyError(_PACKAGE, EXTRA, purpose)


def plain_mac(text: str) -> str:
    """Return twelve lower-case hexadecimal digits.

    Raises:
        UsageError: it is no MAC.
    """
    digits = text.replace(":", "").replace("-", "").lower()
    if len(digits) != 12 or set(digits) - set("0123456789abcdef"):  # noqa: PLR2004 - six bytes
        msg = f"--port-mac: {text!r} is not a MAC, e.g. 24:0a:c4:00:00:01"
        raise UsageError(msg)
    return digits


def why_not_open(port: str, error: Exception, ports: Sequence[Port]) -> str:
    """Say why a port cannot be opened, and what to do."""
    text = str(error)
    if "Errno 2]" in text or "No such file" in text:
        return f"there is no serial port {port}; {listed(ports)}"
    if "Errno 13]" in text or "Permission denied" in text:
        return f"no permission for serial port {port}: sudo usermod -aG dialout $USER, then log in again"
    if "Errno 11]" in text or "Errno 16]" in text or "exclusively lock" in text:
        return f"serial port {port} is busy: another program, such as a serial monitor, has it open"
    return f"serial port {port} cannot be opened: {text}"
