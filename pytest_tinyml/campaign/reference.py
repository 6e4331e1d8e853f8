"""The host's answers to a whole data set, computed in the background while the boards work.

Two references are computed: the one that the board is compared with, and another one, because a difference between two
runtimes on the host is the first thing to know when a board differs from one of them.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.errors import TinymlError
from pytest_tinyml.references import get_reference
from pytest_tinyml.references.cache import cached_scores
from pytest_tinyml.references.tflm import TflmReference
from pytest_tinyml.verdict.compare import compare

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.campaign.samples import SampleEncoder
    from pytest_tinyml.records import Dataset, Model
    from pytest_tinyml.references.base import OnChunk, Reference

_OTHER = {"tflm": "litert", "espdl": None}
"""Whom a reference is checked against, if there is one; every other one against the golden one."""


class ReferenceRun:
    """See the module.

    Args:
        reference: the runtime to compare with.
        model: what it executes.
        dataset: what it is asked.
        encoder: makes the input tensors.
        samples: how many, from the first.

    Attributes:
        name: of the reference, for messages and results.
        done: bool [samples].
        scores: the output's dtype, [samples, C]; 0 where not done.
    """

    def __init__(
        self, reference: Reference, model: Model, dataset: Dataset, encoder: SampleEncoder, *, samples: int
    ) -> None:
        """Compute nothing yet."""
        self.name, self.reference = reference.name, reference
        self.done = np.zeros(samples, dtype=np.bool_)
        self.scores: npt.NDArray[Any] = np.zeros((samples, model.output.elements), dtype=model.output.dtype)
        self._model, self._dataset, self._encoder = model, dataset, encoder
        self._changed = threading.Condition()
        self._kept: OnChunk | None = None
        self._error: TinymlError | None = None
        self._thread: threading.Thread | None = None
        self._other: Reference | None = None
        self._cross: dict[str, Any] | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to compute; harmless when repeated."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._compute, name=f"reference {self.name}", daemon=True)
            self._thread.start()

    def wait_for(self, ids: npt.NDArray[np.int64], timeout_s: float | None) -> bool:
        """Wait for the answers to some samples; returns False if the time was up.

        Raises:
            TinymlError: the reference cannot run the model.
        """
        with self._changed:

            def ready() -> bool:
                return self._error is not None or bool(self.done[ids].all())

            in_time = self._changed.wait_for(ready, timeout_s)
            if self._error is not None and not self.done[ids].all():
                raise self._error
            return in_time

    def tell(self, listener: OnChunk) -> None:
        """Hand the answers to somebody else too: those that are there now, and the others as they come."""
        with self._changed:
            self._kept = listener
            done = np.flatnonzero(np.diff(self.done.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
            for start, stop in done.tolist():
                listener(start, self.scores[start:stop])

    def canary_scores(self, tensors: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Compute a few answers at once, in processes of their own: the output's dtype, [n, C]."""
        reference = get_reference(self.name, jobs=1)
        try:
            return reference.scores(self._model, tensors)
        finally:
            reference.close()

    def cross_check(self) -> dict[str, Any] | None:
        """Say in numbers how the other reference differs; None if it is not installed, or not done yet."""
        if self._thread is not None and bool(self.done.all()) and not self._closed:
            self._thread.join()
        return self._cross

    def close(self) -> None:
        """Stop computing; what is cached stays."""
        self._closed = not bool(self.done.all())
        if self._closed:
            self.reference.close()
            if self._other is not None:
                self._other.close()
        if self._thread is not None:
            self._thread.join()

    def _compute(self) -> None:
        try:
            self._scores(self.reference, self._take)
        except TinymlError as error:
            self._fail(error)
            return
        except BaseException as error:  # a bug must reach those who wait, not die with the thread
            self._fail(TinymlError(f"internal error in reference {self.name!r}: {error!r}"))
            raise
        if not self._closed:
            self._cross = self._check_other()

    def _fail(self, error: TinymlError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _scores(self, reference: Reference, on_chunk: OnChunk | None) -> npt.NDArray[Any]:
        return cached_scores(
            reference,
            self._model,
            self._dataset.sha256,
            lambda start, stop: self._encoder.tensors(slice(start, stop)),
            samples=len(self.done),
            on_chunk=on_chunk,
        )

    def _take(self, start: int, scores: npt.NDArray[Any]) -> None:
        with self._changed:
            self.scores[start : start + len(scores)] = scores
            self.done[start : start + len(scores)] = True
            if self._kept is not None:
                self._kept(start, scores)
            self._changed.notify_all()

    def _check_other(self) -> dict[str, Any] | None:
        name = _OTHER.get(self.name, "tflm")
        if name is None or (name == "tflm" and not TflmReference.available()):
            return None
        self._other = get_reference(name)
        try:
            other = self._scores(self._other, None)
        except TinymlError as error:
            # The run does not depend on it: the verdict says why there are no figures.
            return {"name": name, "version": self._other.runtime_version, "error": str(error)}
        ids = np.arange(len(other), dtype=np.int64)
        comparison = compare(other, self.scores, None, ids, self._model.output, self._model.task)
        return {
            "name": name,
            "version": self._other.runtime_version,
            "differing": comparison.differing,
            "max_lsb": comparison.max_lsb,
            "max_abs": comparison.max_abs,
            "argmax_differing": None if comparison.argmax_agreement is None else len(comparison.flips),
            "argmax_differing_ids": [flip.id for flip in comparison.flips],
        }
