"""Which engine translates a model to C, by what the model is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.engines import aot
from pytest_tinyml.engines.layers import AOT_FLOAT, ESPDL_C

if TYPE_CHECKING:
    from pytest_tinyml.engines.sources import EngineSources
    from pytest_tinyml.records import Model

DEFAULT: Final = "aot"
_ESPDL: Final = "espdl"
ROUNDED: Final = frozenset({"LOGISTIC", "SOFTMAX", "Softmax"})
"""Operators with an exponential, which every C library rounds as it likes."""
FLOAT_TOLERANCE: Final = 1e-6
"""Behind one of them; 3e-8 is the largest difference that was measured over the zoo."""


def engine_of(model: Model) -> str:
    """Return the engine of `sources_for`: ``espdl-c`` for an .espdl, ``aot-float`` for a float .tflite, or ``aot``."""
    if model.format == "espdl":
        return ESPDL_C
    return AOT_FLOAT if model.input.dtype == model.output.dtype == "float32" else DEFAULT


def absolute_tolerance(engine: str, model: Model) -> float:
    """Return how far float outputs may be from the golden reference's.

    See docs/explanation/float-engine.md, and espdl.md there for ESP-DL on a part: integers, but for the softmax.
    """
    rounded = engine in {AOT_FLOAT, _ESPDL} and not ROUNDED.isdisjoint(model.operators)
    return FLOAT_TOLERANCE if rounded else 0.0


def sources_for(model: Model, kernels: str = aot.PORTABLE) -> EngineSources:
    """Return the C of a model, generated now or before.

    Args:
        model: an int8 or float32 .tflite, or an .espdl.
        kernels: whose kernels compute an int8 .tflite, see `aot.generate`; the other engines have portable ones only.

    Raises:
        UnknownNameError: no such kernels.
        ModelError, UnsupportedOperatorError: the model cannot be translated.
        UsageError: the cache folder cannot be written.
    """
    if engine_of(model) == DEFAULT:
        return aot.generated(model, kernels)
    from pytest_tinyml.engines.layers.generate import generated  # noqa: PLC0415 - most models do without

    return generated(model)
