"""The ESP-IDF applications, and what is generated for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tinyml.boards.espidf import Application
from pytest_tinyml.engines import espdl, tflm
from pytest_tinyml.engines.aot import ESP_NN
from pytest_tinyml.engines.component import describe
from pytest_tinyml.engines.select import engine_of, sources_for

if TYPE_CHECKING:
    from pytest_tinyml.records import Model


def tflm_application(name: str, *also: str) -> Application:
    """Return an application with TensorFlow Lite Micro.

    Args:
        name: its folder.
        also: files of its settings.
    """
    return Application(
        name=name, engine="tflm", model_dir=lambda model, _: tflm.generated(model).folder, also=tuple(also)
    )


def generated_application(name: str, model: Model) -> Application:
    """Return an application with a model as generated C.

    Args:
        name: its folder.
        model: chooses the engine.
    """
    return Application(
        name=name,
        engine=engine_of(model),
        model_dir=lambda model, folder: describe(model, sources_for(model, ESP_NN), folder),
    )


def espdl_application(name: str) -> Application:
    """Return an application with ESP-DL.

    Args:
        name: its folder.
    """
    return Application(name=name, engine=espdl.ENGINE, model_dir=espdl.generate)
