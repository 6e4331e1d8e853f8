"""An ESP32 at a serial port: ESP-IDF firmware with Espressif's ESP-DL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.espapps import espdl_application
from pytest_tinyml.boards.espline import LineKind
from pytest_tinyml.engines import espdl

if TYPE_CHECKING:
    from pytest_tinyml.boards.espidf import Application
    from pytest_tinyml.records import Model

NAME: Final = "esp32-espdl"
CHIP: Final = "esp32"


class Esp32EspdlKind(LineKind):
    """See the module."""

    name = NAME
    summary = "ESP32 over its serial port (engine: ESP-DL)"
    engine = espdl.ENGINE

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        espdl.check(model, CHIP)

    def application(self, model: Model) -> Application:
        """See `LineKind.application`."""
        del model
        return espdl_application(NAME)


KIND: Final = Esp32EspdlKind()
