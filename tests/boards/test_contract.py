"""Our own boards keep the contract, over each of their links."""

from __future__ import annotations

from typing import ClassVar

from pytest_tinyml.boards import native, tflm
from pytest_tinyml.contract import BoardContract
from pytest_tinyml.engines.select import FLOAT_TOLERANCE


class TestNativeSocket(BoardContract):
    """The firmware core as a process, over a socket pair, with a quantised and a float model."""

    kind = native.KIND
    link = "socket"
    models: ClassVar[tuple[str, ...]] = ("s1-ptq", "s1-float")
    max_abs = FLOAT_TOLERANCE
    faults: ClassVar = {"crash": {"fault": "crash@{n}"}, "hang": {"fault": "hang@{n}"}}


class TestNativeSerial(TestNativeSocket):
    """The firmware core as a process, over a pseudo-terminal like a serial board's."""

    link = "serial"
    models: ClassVar[tuple[str, ...]] = ("s1-ptq",)
    recovers = True


class TestNativeHttp(TestNativeSocket):
    """The firmware core as a process that pulls over HTTP."""

    link = "http"
    models: ClassVar[tuple[str, ...]] = ("s1-ptq",)


class TestTflmSocket(BoardContract):
    """TensorFlow Lite Micro's own interpreter, with a quantised and a float model."""

    kind = tflm.KIND
    link = "socket"
    models: ClassVar[tuple[str, ...]] = ("s1-ptq", "s1-float")
    faults: ClassVar = {"crash": {"fault": "crash@{n}"}, "hang": {"fault": "hang@{n}"}}


class TestTflmSerial(TestTflmSocket):
    """The same over a pseudo-terminal."""

    link = "serial"
    models: ClassVar[tuple[str, ...]] = ("s1-ptq",)
    recovers = True
