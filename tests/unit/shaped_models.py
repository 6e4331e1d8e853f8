"""Networks of one dense layer in every type and with every kind of output that results have to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from ai_edge_litert import schema_py_generated as fb

from pytest_tinyml.engines.flatbuild import FLOAT, INT8, INT32, Builder
from tests.unit.tflite_models import softmax_options

if TYPE_CHECKING:
    from pytest_tinyml.records import DType

INT16: Final = 7
INT64: Final = 4
SIDE: Final = 4
"""Of the input image."""
Head: TypeAlias = Literal["ten", "two", "sigmoid", "value", "pair"]
"""Softmax over ten or two classes, one sigmoid, one plain value, two plain values."""
HEADS: Final[tuple[Head, ...]] = ("ten", "two", "sigmoid", "value", "pair")
TYPES: Final[tuple[DType, ...]] = ("int8", "int16", "float32")
_UNITS: Final[dict[Head, int]] = {"ten": 10, "two": 2, "sigmoid": 1, "value": 1, "pair": 2}
# Scales and zero points as TensorFlow's converter chooses them: input, sums, probabilities by softmax and by sigmoid.
_QUANTISED: Final[dict[DType, tuple[tuple[float, int], ...]]] = {
    "int8": ((1 / 255, -128), (0.02, 3), (1 / 256, -128), (1 / 256, -128)),
    "int16": ((1 / 32767, 0), (0.0001, 0), (1 / 32768, 0), (1 / 32768, 0)),
}


def shaped_model(dtype: DType, head: Head, seed: int = 1) -> bytes:
    """Return a .tflite file: an image [1, 4, 4] of pixel / 255 to what `head` says, all tensors of one type."""
    units = _UNITS[head]
    weights = np.random.default_rng(seed).normal(0.0, 0.4, (units, SIDE * SIDE)).astype(np.float32)
    bias = np.linspace(-0.3, 0.2, units, dtype=np.float32)
    net = Builder()
    if dtype == "float32":
        source = net.tensor([1, SIDE * SIDE], kind=FLOAT)
        operands = [net.tensor(weights.shape, kind=FLOAT, data=weights), net.tensor([units], kind=FLOAT, data=bias)]
        sums = net.tensor([1, units], kind=FLOAT)
        made = net.tensor([1, units], kind=FLOAT)
    else:
        kind, sum_kind = (INT8, INT32) if dtype == "int8" else (INT16, INT64)
        (scale, zero), (sum_scale, sum_zero), *ends = _QUANTISED[dtype]
        (end_scale, end_zero) = ends[head == "sigmoid"]
        step = float(np.abs(weights).max()) / 127
        source = net.tensor([1, SIDE * SIDE], kind=kind, scale=scale, zero=zero)
        whole = np.round(bias / (scale * step)).astype(np.int32 if dtype == "int8" else np.int64)
        operands = [
            net.tensor(weights.shape, scale=step, data=np.round(weights / step).astype(np.int8)),
            net.tensor([units], kind=sum_kind, scale=scale * step, data=whole),
        ]
        sums = net.tensor([1, units], kind=kind, scale=sum_scale, zero=sum_zero)
        made = net.tensor([1, units], kind=kind, scale=end_scale, zero=end_zero)
    net.operator("FULLY_CONNECTED", [source, *operands], [sums], fb.FullyConnectedOptionsT(), version=4)
    if head in {"value", "pair"}:
        return net.finish(source, sums)
    if head == "sigmoid":
        net.operator("LOGISTIC", [sums], [made])
    else:
        net.operator("SOFTMAX", [sums], [made], softmax_options(), version=2)
    return net.finish(source, made)
