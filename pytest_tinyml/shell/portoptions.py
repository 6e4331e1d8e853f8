"""The options that say where a board's port is, by the names that pytest-embedded gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pytest

PORT_OPTIONS: Final = {
    "--port": "path, URL, or the beginning of a path and *, of the board's serial port (default: the only USB one)",
    "--port-location": "place of its USB device, e.g. 1-2.3",
    "--port-serial-number": "serial number of its USB device",
    "--baud": "of its serial port",
}
"""Those of pytest-embedded's that mean something to every board at a serial port."""


def add_port_options(parser: pytest.Parser) -> None:
    """Declare what pytest-embedded would, were it here: several boards' values have ``|`` between them."""
    group = parser.getgroup("tinyml")
    for flag, text in PORT_OPTIONS.items():
        group.addoption(flag, default=None, help=text)
