"""Reference ``tflm``: TensorFlow Lite Micro itself, the tflite-micro wheel, spread over processes."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

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
from pytest_tinyml.references.worker import Worker

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Model
    from pytest_tinyml.references.base import OnChunk

MARGIN_BYTES: Final = 1 << 16
"""Added to twice what a model was seen to use: an arena that is too small can crash."""
SILENCE_S: Final = 60.0
"""A worker sends something at least every half second, or is in a single inference: none takes this long."""


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
        self._workers: list[Worker] = []
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

    def _start(self, model: Model, arena: int) -> Worker:
        with self._lock:
            if self._ending:
                msg = f"{model.name}: the computation has ended"
                raise ModelError(msg)
            worker = Worker(
                model,
                worker_command("serve", arena, len(model.data)),
                runtime="TensorFlow Lite Micro",
                silence_s=SILENCE_S,
                explain=lambda text: refusal(model, text),
            )
            self._workers.append(worker)
        return worker

    def _end(self) -> list[Worker]:
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
