"""The ESP32-CAM: ESP-IDF firmware with TensorFlow Lite Micro, which pulls over Wi-Fi."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.base import Missing
from pytest_tinyml.boards.espboard import EspBoard
from pytest_tinyml.boards.espidf import WALL
from pytest_tinyml.engines.tflmops import operators_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.records import Model

NAME: Final = "esp32cam"
_PACKAGES: Final = ("esptool", "pytest_embedded", "pytest_embedded_serial_esp", "pytest_embedded_idf")


class Esp32CamKind:
    """See the module."""

    name = NAME
    summary = "ESP32-CAM over Wi-Fi, flashed and watched over its serial port (engine: TensorFlow Lite Micro)"
    engine = "tflm"
    hardware = True
    links: tuple[str, ...] = ("http",)
    clocks: tuple[str, ...] = (WALL, "cycles")
    options: Mapping[str, str] = {}
    embedded_services = "esp,idf"
    """The services of pytest-embedded that a board of this kind has: it lends its port to the fixture ``dut``."""

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        lacking = [name.replace("_", "-") for name in _PACKAGES if find_spec(name) is None]
        return [Missing(what=", ".join(lacking), install="pip install 'pytest-tinyml[esp]'")] if lacking else []

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        operators_of(model)

    def create(self, request: BoardRequest) -> EspBoard:
        """See `BoardKind.create`."""
        return EspBoard(NAME, self.engine, request)


KIND: Final = Esp32CamKind()
