"""A process that runs esp-ppq's simulation of an .espdl: PyTorch, and what esp-ppq prints, stay out of the caller.

Started by `espdl` as a file:

    espdl_worker.py MODEL_BYTES NAME                   model, then requests, on fd 0; answers on fd 1

A request is a u32 count and that many input tensors; the answer is that many output tensors, in pieces: a u32 count and
their bytes. The process ends when fd 0 does: with its parent, whatever the parent died of.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import Final

REFUSED: Final = "refused: "
"""Before the words about a model that cannot be run, in the last line on fd 2."""
PIECE: Final = 250
"""Samples at a time: large enough for PyTorch, small enough to be heard of."""
_ROOT: Final = str(Path(__file__).resolve().parents[2])


def _read(count: int) -> bytes:
    data = sys.stdin.buffer.read(count)
    if len(data) < count:
        sys.exit(0)  # the parent is gone or has closed the line
    return data


def serve(model_bytes: int, name: str) -> None:
    """Answer requests until fd 0 ends."""
    # esp-ppq prints on fd 1: that goes where errors go.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if _ROOT not in sys.path:
        sys.path.append(_ROOT)  # the package may be known to the caller only
    import numpy as np  # noqa: PLC0415 - after the line is set up: a missing package is told by exit code

    from pytest_tinyml.errors import ModelError  # noqa: PLC0415
    from pytest_tinyml.references.espdl_graph import Executor  # noqa: PLC0415
    from pytest_tinyml.stores.espdl import read_espdl  # noqa: PLC0415

    try:
        graph = read_espdl(_read(model_bytes), name)
        executor = Executor(graph, name)
    except ModelError as error:
        sys.stderr.write(REFUSED + " ".join(str(error).split()) + "\n")
        sys.exit(1)
    shape, dtype = graph.input.shape[1:], np.dtype(graph.input.dtype)
    while True:
        (count,) = struct.unpack("<I", _read(4))
        tensors = np.frombuffer(_read(count * graph.input.nbytes), dtype=dtype).reshape(-1, *shape)
        for start in range(0, count, PIECE):
            scores = executor.run(tensors[start : start + PIECE])
            answers.write(struct.pack("<I", len(scores)) + scores.tobytes())
            answers.flush()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
