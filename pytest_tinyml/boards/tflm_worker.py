"""The process behind board ``tflm``: a TFLM interpreter that speaks the protocol.

Run as ``python -m pytest_tinyml.boards.tflm_worker (--fd N | --tty PATH) SETTINGS``; SETTINGS is JSON, see
`boards.tflm`.

A fault can be planted: ``crash@N`` (abort before inference N, counted from 1), ``hang@N``, ``corrupt@N`` (one bit of
reply N is wrong), ``truncate@N`` (reply N ends early), ``state`` (each output depends on the input before).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import termios
import time
import tty
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pytest_tinyml import __version__
from pytest_tinyml.boards.device import MAX_FRAME, RX_WINDOW, Device
from pytest_tinyml.preprocess import input_tensors
from pytest_tinyml.records import Clock, Encoding, Identity, PreprocessSpec, TensorSpec

_HANG_S = 3600


class TflmDevice(Device):
    """TFLM behind the protocol; see the module."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """Load the model."""
        # Takes 0.1 s, and only this process needs it.
        from tflite_micro import runtime  # noqa: PLC0415
        from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema  # noqa: PLC0415

        self._runtime = runtime
        data = Path(settings["model"]).read_bytes()
        self._preprocess = PreprocessSpec(**settings["preprocess"])
        tensors = {key: dict(settings[key], shape=tuple(settings[key]["shape"])) for key in ("input", "output")}
        identity = Identity(
            clock=Clock.WALL,
            tick_hz=1_000_000_000,
            encodings=frozenset(Encoding),
            rx_window=RX_WINDOW,
            max_frame=MAX_FRAME,
            arena_used=settings["arena_used"],
            arena_capacity=settings["arena_capacity"],
            flash_bytes=0,
            ram_bytes=0,
            firmware_sha256=settings["firmware_sha256"],
            model_sha256=hashlib.sha256(data).hexdigest(),
            input=TensorSpec(**tensors["input"]),
            output=TensorSpec(**tensors["output"]),
            firmware_version=f"pytest-tinyml {__version__}, tflite-micro {version('tflite-micro')}",
            board="tflm",
            chip=f"host ({platform.machine()})",
            engine="tflm",
            model=settings["name"],
            preprocess=self._preprocess.kind,
        )
        super().__init__(identity)
        self._data = data
        self._input_index = schema.Model.GetRootAsModel(self._data, 0).Subgraphs(0).Inputs(0)
        self._arena = settings["arena_capacity"]
        self._canary_interpreter: Any = None
        kind, _, number = settings["fault"].partition("@")
        self._fault, self._at = kind, int(number or 0)
        self._inferences = self._replies = 0
        self._carried = 0
        self.initialise()

    def initialise(self) -> None:
        """Make a new interpreter."""
        self._interpreter = self._runtime.Interpreter.from_bytes(self._data, arena_size=self._arena)

    def _tensor(self, encoding: Encoding, data: bytes) -> np.ndarray[Any, Any]:
        shape = self.identity.input.shape
        if encoding is Encoding.TENSOR:
            return np.frombuffer(data, dtype=self.identity.input.dtype).reshape(shape)
        pixels = np.frombuffer(data, dtype=np.uint8).reshape(shape)
        return input_tensors(pixels, self._preprocess, self.identity.input)

    def infer(self, encoding: Encoding, data: bytes) -> tuple[int, bytes]:
        """See `Device.infer`; a tick is a nanosecond."""
        self._inferences += 1
        if self._inferences == self._at:
            if self._fault in {"crash", "hang"}:
                sys.stderr.write(f"fault injected: {self._fault}@{self._at}\n")
                sys.stderr.flush()
            if self._fault == "crash":
                os.abort()
            if self._fault == "hang":
                time.sleep(_HANG_S)
        tensor = self._tensor(encoding, data)
        self._interpreter.set_input(tensor, 0)
        before = time.perf_counter_ns()
        self._interpreter.invoke()
        ticks = time.perf_counter_ns() - before
        output = self._interpreter.get_output(0).tobytes()
        if self._fault == "state":
            output = bytes((output[0] ^ self._carried,)) + output[1:]
            self._carried = (self._carried + 1 + data[len(data) // 2]) % 256
        return ticks, output

    def input_tensor(self, encoding: Encoding, data: bytes) -> bytes:
        """See `Device.input_tensor`.

        The interpreter of the inferences gives its input buffer to other tensors, as it should; one that preserves all
        tensors is asked in its place.
        """
        if self._canary_interpreter is None:
            self._canary_interpreter = self._runtime.Interpreter.from_bytes(
                self._data,
                arena_size=4 * self._arena + len(self._data),
                intrepreter_config=self._runtime.InterpreterConfig.kPreserveAllTensors,
            )
        self._canary_interpreter.set_input(self._tensor(encoding, data), 0)
        self._canary_interpreter.invoke()
        return bytes(self._canary_interpreter.GetTensor(self._input_index, 0)["tensor_data"].tobytes())

    def reply(self, frame: bytes) -> None:
        """See `Device.reply`."""
        self._replies += 1
        if self._replies == self._at and self._fault == "corrupt":
            middle = len(frame) // 2
            frame = frame[:middle] + bytes((frame[middle] ^ 0x10 or 0x11,)) + frame[middle + 1 :]
        if self._replies == self._at and self._fault == "truncate":
            frame = frame[: len(frame) // 2] + b"\0"
        super().reply(frame)


def main(arguments: list[str]) -> int:
    """Serve until the host closes the line."""
    transport, where, settings = arguments
    device = TflmDevice(json.loads(settings))
    if transport == "--fd":
        fd = int(where)
    else:
        fd = os.open(where, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd, termios.TCSANOW)  # what the host has already said is kept
    device.serve(fd)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
