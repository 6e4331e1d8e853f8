"""The ESP32-CAM: ESP-IDF firmware with TensorFlow Lite Micro, which pulls over Wi-Fi."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.espapps import tflm_application
from pytest_tinyml.boards.espidf import APP_BYTES, PSRAM_BYTES
from pytest_tinyml.boards.espkind import EspKind
from pytest_tinyml.boards.espnetwork import NetworkBoard
from pytest_tinyml.engines.tflmops import operators_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.records import Model

NAME: Final = "esp32cam"


class Esp32CamKind(EspKind):
    """See the module."""

    name = NAME
    summary = "ESP32-CAM over Wi-Fi, flashed and watched over its serial port (engine: TensorFlow Lite Micro)"
    engine = "tflm"
    links: tuple[str, ...] = ("http",)
    memories: Mapping[str, int] = {"flash": APP_BYTES, "RAM": PSRAM_BYTES}

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        operators_of(model)

    def create(self, request: BoardRequest) -> NetworkBoard:
        """See `BoardKind.create`."""
        return NetworkBoard(NAME, tflm_application(NAME), request)


KIND: Final = Esp32CamKind()
