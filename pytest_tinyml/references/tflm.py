"""Reference ``tflm``: TensorFlow Lite Micro itself, the tflite-micro wheel, spread over processes."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.errors import ModelError, TinymlError
from pytest_tinyml.references.arena import (
    ArenaReport,
    probe_arena,
    refusal,
    require_tflm,
    tflm_available,
    worker_command,
)
from pytest_tinyml.references.base import CHUNK

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Model
    from pytest_tinyml.references.base import OnChunk

MARGIN_BYTES: Final = 1 << 16
"""Added to twice what a model was seen to use: an arena that is too small can crash."""
SILENCE_S: Final = 60.0
"""A worker sends something at least every half second, or is in a single inference: none takes this long."""


class _Worker:
    """One process with the model loaded; used by one thread."""

    def __init__(self, model: Model, arena: int) -> None:
        self.model = model
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            worker_command("serve", arena, len(model.data)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
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
        deadline = time.monotonic() + SILENCE_S
        while len(data) < count:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            part = self._process.stdout.read(count - len(data)) if ready else None
            if part is None:
                self.kill()
                msg = f"{self.model.name}: TensorFlow Lite Micro was silent for {SILENCE_S:g} s in one inference"
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
        known = refusal(self.model, text)
        msg = f"{self.model.name}: TensorFlow Lite Micro ended with code {self._process.returncode}: {lines[-1]}"
        return known or ModelError(msg)

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


class TflmReference:
    """See the module.

    Args:
        jobs: processes; one per available processor if None.
    """

    name = "tflm"
    exact = True

    def __init__(self, jobs: int | None = None) -> None:
        """Start nothing yet."""
        # Not every system can tell which processors this process may use.
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.jobs = jobs or available or 1
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()
        self._closed = self._ending = False

    @property
    def runtime_version(self) -> str:
        """The installed tflite-micro.

        Raises:
            UsageError: there is none.
        """
        require_tflm()
        return version("tflite-micro")

    @staticmethod
    def available() -> bool:
        """Return whether the wheel is installed."""
        return tflm_available()

    @staticmethod
    def probe(model: Model) -> ArenaReport:
        """See `probe_arena`."""
        return probe_arena(model)

    def scores(self, model: Model, tensors: npt.NDArray[Any], *, on_chunk: OnChunk | None = None) -> npt.NDArray[Any]:
        """See `Reference.scores`.

        One call at a time.

        Raises:
            UnsupportedOperatorError: an operator without a kernel, named.
            ModelError: the model cannot be run, or a worker died.
            UsageError: tflite-micro is not installed.
        """
        arena = 2 * probe_arena(model).used_bytes + MARGIN_BYTES
        scores = np.empty((len(tensors), model.output.elements), dtype=model.output.dtype)
        starts = range(0, len(tensors), CHUNK)
        local = threading.local()

        def compute(start: int) -> int:
            if not hasattr(local, "worker"):
                local.worker = self._start(model, arena)
            part = tensors[start : start + CHUNK]
            scores[start : start + len(part)] = local.worker.run(part)
            return start

        pool = ThreadPoolExecutor(max_workers=min(self.jobs, max(1, len(starts))), thread_name_prefix="tflm")
        try:
            for future in as_completed([pool.submit(compute, start) for start in starts]):
                start = future.result()
                if on_chunk is not None:
                    on_chunk(start, scores[start : start + CHUNK])
        except ModelError as error:
            if self._closed:
                raise TinymlError("reference 'tflm' was closed while it computed") from error
            raise
        finally:
            # Also on Ctrl-C. The processes first: then no thread waits for one, and the pool ends at once.
            pool.shutdown(wait=False, cancel_futures=True)
            workers = self._end()
            pool.shutdown(wait=True)
            for worker in workers:
                worker.dispose()
            with self._lock:
                self._workers, self._ending = [], self._closed
        return scores

    def _start(self, model: Model, arena: int) -> _Worker:
        with self._lock:
            if self._ending:
                msg = f"{model.name}: the computation has ended"
                raise ModelError(msg)
            worker = _Worker(model, arena)
            self._workers.append(worker)
        return worker

    def _end(self) -> list[_Worker]:
        """Kill all processes, start no more, and return them."""
        with self._lock:
            self._ending = True
            workers = list(self._workers)
        for worker in workers:
            worker.kill()
        return workers

    def close(self) -> None:
        """End all processes for good; a call of `scores` in another thread ends with a TinymlError."""
        self._closed = True
        self._end()
