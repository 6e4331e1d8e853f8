"""A serial port as a link: found by path, USB serial number or place, and opened so that nobody else has it.

For boards that talk on a plain serial line; pyserial, which the extra ``serial`` brings, is imported when it is needed.
"""

from __future__ import annotations

import os
import stat
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.boards import espport
from pytest_tinyml.boards.base import Missing
from pytest_tinyml.errors import MissingDependencyError, UsageError
from pytest_tinyml.links.base import FdLink

if TYPE_CHECKING:
    from collections.abc import Mapping

EXTRA: Final = "serial"
_PACKAGE: Final = "pyserial"
_PTY_MAJORS: Final = range(136, 144)
"""Of the far ends of pseudo-terminals, see Linux's Documentation/admin-guide/devices.txt."""


def missing_pyserial() -> list[Missing]:
    """Say that pyserial is missing, if it is."""
    if find_spec("serial") is not None:
        return []
    return [Missing(what=_PACKAGE, install=f"pip install 'pytest-tinyml[{EXTRA}]'")]


def find_port(device: Mapping[str, str]) -> str:
    """Return the path or URL of the port that is meant.

    Args:
        device: see `BoardRequest.device`: ``port``, ``port_serial_number``, ``port_location``.

    Raises:
        UsageError: there is none, or several; with a list.
        MissingDependencyError: pyserial, which lists the ports, is not installed.
    """
    if "port_mac" in device:
        msg = "--port-mac is for chips that a boot loader can ask for it; name the port, or its --port-serial-number"
        raise UsageError(msg)
    plain = espport.candidates(device, []) if _is_plain(device) else []
    if plain:
        return plain[0]
    ports = espport.usb_ports()
    return espport.the_only(espport.candidates(device, ports), ports)


def open_port(port: str, baud: int, *, name: str, packed: bool) -> FdLink:
    """Open a port for this process alone, 8N1, without flow control.

    Args:
        port: path, or a URL of pyserial that has a file descriptor (``socket://host:port``).
        baud: of the line; means nothing to pseudo-terminals.
        name: of the link.
        packed: see `Link`.

    Raises:
        UsageError: it is absent, busy, forbidden, or cannot be waited for.
        MissingDependencyError: pyserial is not installed.
    """
    try:
        import serial  # noqa: PLC0415 - comes with the extra
    except ImportError as error:
        raise MissingDependencyError(_PACKAGE, EXTRA, "a serial port") from error
    try:
        # Only files can be locked.
        line: Any = serial.serial_for_url(port, baudrate=baud, timeout=0, exclusive=None if "://" in port else True)
    except (serial.SerialException, OSError, ValueError) as error:
        ports = [] if "://" in port else espport.usb_ports()
        raise UsageError(espport.why_not_open(port, error, ports)) from error
    try:
        fd = line.fileno()
        if "://" not in port:
            line.reset_input_buffer()
    except (AttributeError, OSError) as error:
        line.close()
        msg = f"--port {port}: only paths and socket:// can be waited for"
        raise UsageError(msg) from error
    return FdLink(fd, name=name, packed=packed, closer=line.close)


def is_pseudo_terminal(port: str) -> bool:
    """Whether a program, and no part, is at the other end of a port, as far as its path says."""
    try:
        found = os.stat(port)  # noqa: PTH116 - a port is text, which may be a URL
    except OSError:
        return "://" in port
    return stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) in _PTY_MAJORS


def _is_plain(device: Mapping[str, str]) -> bool:
    """Whether the port is named by itself alone, so that nothing has to be looked for."""
    port = device.get("port", "")
    return bool(port) and not port.endswith("*") and not {"port_location", "port_serial_number"} & set(device)
