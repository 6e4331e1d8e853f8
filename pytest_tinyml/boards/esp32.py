"""An ESP32 at a serial port: ESP-IDF firmware with TensorFlow Lite Micro."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.espapps import tflm_application
from pytest_tinyml.boards.espline import LineKind
from pytest_tinyml.engines.tflmops import operators_of

if TYPE_CHECKING:
    from pytest_tinyml.boards.espidf import Application
    from pytest_tinyml.records import Model

NAME: Final = "esp32"


class Esp32Kind(LineKind):
    """See the module."""

    name = NAME
    summary = "ESP32 over its serial port (engine: TensorFlow Lite Micro)"
    engine = "tflm"

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        operators_of(model)

    def application(self, model: Model) -> Application:
        """See `LineKind.application`."""
        del model
        return tflm_application(NAME)


KIND: Final = Esp32Kind()
