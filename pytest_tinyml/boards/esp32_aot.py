"""An ESP32 at a serial port: ESP-IDF firmware with the model as generated C and ESP-NN's kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.espapps import generated_application
from pytest_tinyml.boards.espline import LineKind
from pytest_tinyml.engines.aot import ESP_NN
from pytest_tinyml.engines.select import engine_of, sources_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.boards.espidf import Application
    from pytest_tinyml.records import Model

NAME: Final = "esp32-aot"


class Esp32AotKind(LineKind):
    """See the module."""

    name = NAME
    summary = "ESP32 over its serial port (engine: generated C, ESP-NN)"
    engine = "aot"
    kernels = ESP_NN

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        sources_for(model, ESP_NN)

    def engine_for(self, model: Model, options: Mapping[str, str]) -> str:
        """See `boards.base.engine_for`."""
        del options
        return engine_of(model)

    def application(self, model: Model) -> Application:
        """See `LineKind.application`."""
        return generated_application(NAME, model)


KIND: Final = Esp32AotKind()
