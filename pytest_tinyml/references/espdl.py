"""Reference ``espdl``: esp-ppq's simulation of what ESP-DL computes, with the rounding of the chip."""

from __future__ import annotations

import sys
import threading
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.errors import MissingDependencyError, ModelError, TinymlError
from pytest_tinyml.references.base import CHUNK
from pytest_tinyml.references.espdl_worker import REFUSED
from pytest_tinyml.references.worker import Worker

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Model
    from pytest_tinyml.references.base import OnChunk

NAME: Final = "espdl"
SILENCE_S: Final = 300.0
"""Importing PyTorch takes seconds, on a busy computer many; a piece of samples takes less."""
_PACKAGES: Final = (("esp-ppq", "esp_ppq"), ("torch", "torch"))


def require_espdl(purpose: str) -> None:
    """Raise unless esp-ppq and PyTorch are installed; imports neither.

    Raises:
        MissingDependencyError: one is not.
    """
    for package, module in _PACKAGES:
        if find_spec(module) is None:
            raise MissingDependencyError(package, "espdl", purpose)


class EspdlReference:
    """See the module: one process, large batches, PyTorch's own threads."""

    name = NAME
    exact = True

    def __init__(self) -> None:
        """Start nothing yet."""
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def runtime_version(self) -> str:
        """The installed esp-ppq and PyTorch.

        Raises:
            MissingDependencyError: there is none.
        """
        require_espdl("reference 'espdl'")
        return " ".join(f"{package} {version(package)}" for package, _ in _PACKAGES)

    def scores(self, model: Model, tensors: npt.NDArray[Any], *, on_chunk: OnChunk | None = None) -> npt.NDArray[Any]:
        """See `Reference.scores`; one call at a time.

        Raises:
            ModelError: the model is no .espdl, has an operator that is not simulated, or the process died.
            MissingDependencyError: esp-ppq or PyTorch is not installed.
        """
        require_espdl("reference 'espdl'")
        scores = np.empty((len(tensors), model.output.elements), dtype=model.output.dtype)
        worker = self._start(model)
        try:
            for start in range(0, len(tensors), CHUNK):
                part = worker.run(tensors[start : start + CHUNK])
                scores[start : start + len(part)] = part
                if on_chunk is not None:
                    on_chunk(start, scores[start : start + CHUNK])
        except ModelError as error:
            if self._closed:
                raise TinymlError("reference 'espdl' was closed while it computed") from error
            raise
        finally:
            with self._lock:
                self._worker = None
            worker.kill()
            worker.dispose()
        return scores

    def _start(self, model: Model) -> Worker:
        command = [sys.executable, "-P", str(Path(__file__).with_name("espdl_worker.py"))]
        with self._lock:
            if self._closed:
                raise TinymlError("reference 'espdl' was closed")
            self._worker = Worker(
                model,
                [*command, str(len(model.data)), model.name],
                runtime="esp-ppq",
                silence_s=SILENCE_S,
                explain=_refusal,
            )
            return self._worker

    def close(self) -> None:
        """End the process for good; a call of `scores` in another thread ends with a TinymlError."""
        with self._lock:
            self._closed = True
            if self._worker is not None:
                self._worker.kill()


def _refusal(text: str) -> ModelError | None:
    words = [line.removeprefix(REFUSED) for line in text.splitlines() if line.startswith(REFUSED)]
    return ModelError(words[-1]) if words else None
