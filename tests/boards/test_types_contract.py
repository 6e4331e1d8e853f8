"""The contract holds for outputs other than ten int8 classes: int16, float, two classes, one sigmoid."""

from __future__ import annotations

import os
from typing import ClassVar, Final

import numpy as np

from pytest_tinyml.boards import native, tflm
from pytest_tinyml.contract import BoardContract
from pytest_tinyml.engines.select import FLOAT_TOLERANCE
from pytest_tinyml.paths import cache_dir
from tests.unit.shaped_models import SIDE, Head, shaped_model

FOLDER: Final = cache_dir() / "tests"
"""The same for all processes of pytest-xdist, which have to collect the same tests."""
IMAGES: Final = np.random.default_rng(2).integers(0, 256, (40, SIDE, SIDE), dtype=np.uint8)


def _written(name: str, data: bytes) -> str:
    """Write a file whole or not at all, and return its path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    temporary = FOLDER / f"{name}.{os.getpid()}"
    temporary.write_bytes(data)
    return str(temporary.replace(FOLDER / name))


def _model(head: Head, dtype: str) -> str:
    return _written(f"{head}-{dtype}.tflite", shaped_model("int16" if dtype == "int16" else "float32", head))


def _data() -> str:
    FOLDER.mkdir(parents=True, exist_ok=True)
    temporary = FOLDER / f"images-{os.getpid()}.npz"
    np.savez(temporary, images=IMAGES)
    return str(temporary.replace(FOLDER / "images.npz"))


class TestTflmTypes(BoardContract):
    """int16 in and out on TensorFlow Lite Micro's interpreter."""

    kind = tflm.KIND
    link = "socket"
    models: ClassVar = (_model("ten", "int16"), _model("sigmoid", "int16"))
    data = _data()
    faults: ClassVar = {"crash": {"fault": "crash@{n}"}, "hang": {"fault": "hang@{n}"}}


class TestNativeTypes(BoardContract):
    """float32 in and out on the firmware core: the host preprocesses, tensors travel."""

    kind = native.KIND
    link = "socket"
    models: ClassVar = (_model("two", "float32"),)
    data = TestTflmTypes.data
    max_abs = FLOAT_TOLERANCE
    faults: ClassVar = TestTflmTypes.faults
