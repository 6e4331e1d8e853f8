"""What the kinds of boards with an ESP32 at a serial port have in common."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.base import Missing
from pytest_tinyml.boards.espidf import APP_BYTES, DRAM_BYTES, WALL

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGES: Final = ("esptool", "pytest_embedded", "pytest_embedded_serial_esp", "pytest_embedded_idf")


class EspKind:
    """See the module; implements part of `BoardKind`."""

    hardware = True
    links: tuple[str, ...] = ()
    clocks: tuple[str, ...] = (WALL, "cycles")
    options: Mapping[str, str] = {}
    memories: Mapping[str, int] = {"flash": APP_BYTES, "RAM": DRAM_BYTES}
    """Of a part without PSRAM: the application's partition, and internal RAM for data."""
    embedded_services = "esp,idf"
    """The services of pytest-embedded that a board of this kind has: it lends its port to the fixture ``dut``."""

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        return missing_packages(_PACKAGES)


def missing_packages(packages: tuple[str, ...]) -> list[Missing]:
    """Say which of the extra's packages this Python lacks."""
    lacking = [name.replace("_", "-") for name in packages if find_spec(name) is None]
    return [Missing(what=", ".join(lacking), install="pip install 'pytest-tinyml[esp]'")] if lacking else []
