"""A process with a model loaded that answers requests; see ``tflm_worker.py`` for what is said on its line."""

from __future__ import annotations

import select
import struct
import subprocess
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from pytest_tinyml.records import Model


class Worker:
    """One process; used by one thread, but any may kill it.

    Args:
        model: is sent to the process first.
        command: that starts it.
        runtime: what it runs the model with, for messages.
        silence_s: longest time between two of its answers.
        explain: returns the error that the process' last words on fd 2 stand for, or None.
    """

    def __init__(
        self,
        model: Model,
        command: Sequence[str],
        *,
        runtime: str,
        silence_s: float,
        explain: Callable[[str], ModelError | None] = lambda _: None,
    ) -> None:
        """Start it."""
        self.model = model
        self._runtime, self._silence_s, self._explain = runtime, silence_s, explain
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, bufsize=0
        )
        self._send(model.data)

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        view = memoryview(data)
        try:
            while view:
                view = view[self._process.stdin.write(view) or 0 :]
        except OSError as error:
            raise self._failure() from error

    def _receive(self, count: int) -> bytes:
        assert self._process.stdout is not None  # noqa: S101
        data = bytearray()
        deadline = time.monotonic() + self._silence_s
        while len(data) < count:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            part = self._process.stdout.read(count - len(data)) if ready else None
            if part is None:
                self.kill()
                msg = f"{self.model.name}: {self._runtime} was silent for {self._silence_s:g} s in one inference"
                raise ModelError(msg)
            if not part:
                raise self._failure()
            data += part
        return bytes(data)

    def _failure(self) -> ModelError:
        """Say why the process is gone."""
        self.kill()
        self._stderr.seek(0)
        text = self._stderr.read().decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no output"]
        msg = f"{self.model.name}: {self._runtime} ended with code {self._process.returncode}: {lines[-1]}"
        return self._explain(text) or ModelError(msg)

    def run(self, tensors: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the scores of input tensors."""
        self._send(struct.pack("<I", len(tensors)) + np.ascontiguousarray(tensors).tobytes())
        item, data, done = self.model.output.nbytes, bytearray(), 0
        while done < len(tensors):
            (count,) = struct.unpack("<I", self._receive(4))
            data += self._receive(count * item)
            done += count
        return np.frombuffer(bytes(data), dtype=self.model.output.dtype).reshape(len(tensors), -1)

    def kill(self) -> None:
        """End the process; harmless if it has ended. Any thread may: a waiting one sees the end of file."""
        self._process.kill()
        self._process.wait(timeout=10)

    def dispose(self) -> None:
        """Close the files of an ended process that no thread uses any more."""
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()
