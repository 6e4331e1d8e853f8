"""A process that runs TensorFlow Lite Micro, so that the caller survives what TensorFlow Lite Micro does not.

Started by `tflm` as a file, not as a module: it imports nothing of the package, so that it works whatever the
caller's import path is, and starts in the time that numpy and the runtime take.

    tflm_worker.py probe ARENA < model                 runs once on zeros, prints the allocations on fd 2
    tflm_worker.py serve ARENA MODEL_BYTES             model, then requests, on fd 0; answers on fd 1

A request is a u32 count and that many input tensors; the answer is that many output tensors, in pieces: a u32 count and
their bytes. The process ends when fd 0 does: with its parent, whatever the parent died of.
"""

from __future__ import annotations

import os
import queue
import struct
import sys
import threading
import time
from typing import Any, BinaryIO

import numpy as np

PIECE_S = 0.5
"""How long results are collected before they are sent: a caller that hears nothing for much longer knows that it
hangs."""


def _interpreter(data: bytes, arena: int) -> Any:  # noqa: ANN401 - the wheel has no types
    from tflite_micro import runtime  # noqa: PLC0415 - a missing wheel is told by exit code, below

    return runtime.Interpreter.from_bytes(data, arena_size=arena)


def _input(interpreter: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:  # noqa: ANN401
    details = interpreter.get_input_details(0)
    return tuple(int(n) for n in details["shape"]), np.dtype(details["dtype"])


def probe(arena: int) -> None:
    """Run once on zeros and let TensorFlow Lite Micro print what it allocated."""
    interpreter = _interpreter(sys.stdin.buffer.read(), arena)
    shape, dtype = _input(interpreter)
    interpreter.set_input(np.zeros(shape, dtype), 0)
    interpreter.invoke()
    interpreter.print_allocations()


def _read(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        # The parent is gone or has closed the line; another thread may be in the middle of an inference.
        os._exit(0)
    return data


def _requests(item: int, waiting: queue.Queue[bytes]) -> None:
    while True:
        (count,) = struct.unpack("<I", _read(sys.stdin.buffer, 4))
        waiting.put(_read(sys.stdin.buffer, count * item))


def serve(arena: int, model_bytes: int) -> None:
    """Answer requests until fd 0 ends."""
    interpreter = _interpreter(_read(sys.stdin.buffer, model_bytes), arena)
    shape, dtype = _input(interpreter)
    item = int(np.prod(shape)) * dtype.itemsize
    waiting: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_requests, args=(item, waiting), daemon=True).start()
    while True:
        tensors = np.frombuffer(waiting.get(), dtype=dtype).reshape(-1, *shape)
        piece: list[bytes] = []
        since = time.monotonic()
        for position, tensor in enumerate(tensors):
            interpreter.set_input(tensor, 0)
            interpreter.invoke()
            piece.append(np.asarray(interpreter.get_output(0)).tobytes())
            if time.monotonic() - since > PIECE_S or position == len(tensors) - 1:
                sys.stdout.buffer.write(struct.pack("<I", len(piece)) + b"".join(piece))
                sys.stdout.buffer.flush()
                piece, since = [], time.monotonic()


if __name__ == "__main__":
    if sys.argv[1] == "probe":
        probe(int(sys.argv[2]))
    else:
        serve(int(sys.argv[2]), int(sys.argv[3]))
