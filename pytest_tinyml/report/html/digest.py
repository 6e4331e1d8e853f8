"""What the report shows of single samples, gathered in one pass whose memory does not grow with their number."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.records import TensorSpec
from pytest_tinyml.verdict.compare import differing_samples, predictions
from pytest_tinyml.verdict.metrics import apart, confusion, dequantize

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

SHOWN: Final = 24
"""Samples in each of the two galleries."""
_BINS: Final = 48
_POINTS: Final = 1200
_PANELS: Final = 3
_CLASSES: Final = 64
_STEPS: Final = (0, 1, 2, 3, 5, 9, 17, 33, 65)
_DECADES: Final = (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One sample of the gallery.

    Attributes:
        id: of the sample.
        label: its class, or of a regression None.
        host: class by the host; None for a regression.
        board: class by the board; None for a regression.
        difference: largest of its outputs: in steps, or of float32 in the outputs' unit.
        host_scores: float64 [C], real values.
        board_scores: likewise.
        targets: float64 [C], what a regression should give, if known.
    """

    id: int
    label: int | None
    host: int | None
    board: int | None
    difference: float
    host_scores: npt.NDArray[np.float64]
    board_scores: npt.NDArray[np.float64]
    targets: npt.NDArray[np.float64] | None = None

    @property
    def flipped(self) -> bool:
        """Whether host and board give another class."""
        return self.host != self.board


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Samples by duration.

    Attributes:
        low: where the first bin begins, in `latency.unit`.
        high: where the last one ends.
        counts: int64 [bins].
        slower: samples beyond the last bin.
    """

    low: float
    high: float
    counts: npt.NDArray[np.int64]
    slower: int


class Digest:
    """One pass over the samples of a run.

    Args:
        tensor: the model's output.
        samples: about how many there will be.
        classes: the outputs mean classes; they are the values of a regression otherwise.
        wanted: ids to be shown before others, if they differ at all: those with a picture.
        news: ids of samples with another class than in a baseline.

    Attributes:
        news: some of those.
        flips: samples with another class on the board than on the host.
        changed: samples of one class whose outputs differ.
        wrong: samples with a picture that both get wrong in the same way.
        buckets: int64, samples by their largest difference; see `ranges`.
        host_to_board: int64 [C, C], row: class by the host, column: by the board; None for a regression.
        scatter: of a regression, by output: what should come and what came.
    """

    def __init__(
        self,
        tensor: TensorSpec,
        *,
        samples: int,
        classes: bool,
        wanted: Iterable[int] = (),
        news: Iterable[int] = (),
    ) -> None:
        """Nothing was added yet."""
        self.tensor, self.classes = tensor, classes
        self.quantised = self.tensor.dtype != "float32"
        self.news: list[Shown] = []
        self.flips: list[Shown] = []
        self.changed: list[Shown] = []
        self.wrong: list[Shown] = []
        self.buckets = np.zeros(len(_STEPS), dtype=np.int64)
        self.host_to_board: npt.NDArray[np.int64] | None = None
        self.scatter: list[list[tuple[float, float]]] = []
        self._wanted = np.fromiter(wanted, dtype=np.int64)
        self._news = np.fromiter(news, dtype=np.int64)
        self._stride = max(1, -(-samples // _POINTS))

    def add(
        self,
        board: npt.NDArray[Any],
        host: npt.NDArray[Any],
        truth: npt.NDArray[Any] | None,
        ids: npt.NDArray[np.int64],
    ) -> None:
        """Add samples, at least one; the arrays are those of `pytest_tinyml.verdict.compare.compare`."""
        size, total = self._differences(board, host)
        self.buckets += np.bincount(self._bucket(size, board, host), minlength=len(_STEPS))
        by_host, by_board, wrong = None, None, np.zeros(len(ids), dtype=np.bool_)
        if self.classes:
            by_host, by_board = predictions(host, self.tensor), predictions(board, self.tensor)
            self._pair(by_host, by_board)
            flipped = by_host != by_board
            if truth is not None:
                wrong = (by_board != truth) & ~flipped
        else:
            flipped = np.zeros(len(ids), dtype=np.bool_)
            self._plot(ids, board, host, truth)

        def shown(k: int) -> Shown:
            targets = None if self.classes or truth is None else np.asarray(truth[k], dtype=np.float64).reshape(-1)
            return Shown(
                id=int(ids[k]),
                label=None if truth is None or not self.classes else int(truth[k]),
                host=None if by_host is None else int(by_host[k]),
                board=None if by_board is None else int(by_board[k]),
                difference=float(size[k]),
                host_scores=dequantize(host[k].reshape(-1), self.tensor),
                board_scores=dequantize(board[k].reshape(-1), self.tensor),
                targets=targets,
            )

        pictured = np.isin(ids, self._wanted)
        self.flips = self._best(self.flips, flipped, size, total, pictured, shown)
        self.changed = self._best(self.changed, (size > 0) & ~flipped, size, total, pictured, shown)
        self.wrong = self._best(self.wrong, wrong & pictured, size, total, pictured, shown)
        self.news = self._best(self.news, np.isin(ids, self._news), size, total, pictured, shown)

    def _best(self, kept: list[Shown], which: Any, size: Any, total: Any, pictured: Any, shown: Any) -> list[Shown]:  # noqa: ANN401 - arrays, and a closure over them
        """Return the samples to be shown: those with a picture first, then by how much they changed."""
        found = np.flatnonzero(which)
        order = found[np.lexsort((total[found], size[found], pictured[found]))[::-1]][:SHOWN]
        merged = kept + [shown(k) for k in order]
        have = set(self._wanted.tolist())
        merged.sort(key=lambda one: (one.id not in have, -one.difference, one.id))
        return merged[:SHOWN]

    def _differences(
        self, board: npt.NDArray[Any], host: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return float64 [n] twice: the largest difference of an output, in steps or real; and their sum."""
        steps = apart(board.astype(np.float64), host.astype(np.float64)).reshape(len(board), -1)
        # A NaN on one side is as far away as can be; on both, the bytes decide (see `_bucket`).
        unknown = np.isnan(steps)
        if unknown.any():
            steps[unknown] = np.inf
            steps[~differing_samples(board, host)] = 0.0
        return steps.max(axis=1), steps.sum(axis=1)

    def _bucket(self, size: npt.NDArray[np.float64], board: npt.NDArray[Any], host: npt.NDArray[Any]) -> Any:  # noqa: ANN401 - an array
        """Return int64 [n]: which of the `ranges` each sample's difference is in."""
        if self.quantised:
            return np.searchsorted(np.array(_STEPS), size, side="right") - 1
        found = np.searchsorted(np.array(_DECADES[1:]), size, side="right")
        return np.where(differing_samples(board, host), np.maximum(found, 1), 0)

    def _pair(self, by_host: npt.NDArray[np.int64], by_board: npt.NDArray[np.int64]) -> None:
        classes = max(self.tensor.elements, 2)
        if classes <= _CLASSES:
            table = confusion(by_host, by_board, classes)
            self.host_to_board = table if self.host_to_board is None else self.host_to_board + table

    def _plot(self, ids: Any, board: Any, host: Any, truth: Any) -> None:  # noqa: ANN401 - arrays
        taken = ids % self._stride == 0
        right = dequantize(host[taken], self.tensor) if truth is None else np.asarray(truth[taken], dtype=np.float64)
        came = dequantize(board[taken], self.tensor).reshape(int(taken.sum()), -1)
        right = right.reshape(came.shape)
        self.scatter = self.scatter or [[] for _ in range(min(_PANELS, came.shape[1]))]
        for k, panel in enumerate(self.scatter):
            pairs = zip(right[:, k].tolist(), came[:, k].tolist(), strict=True)
            panel += [pair for pair in pairs if np.isfinite(pair).all()]

    def ranges(self) -> list[tuple[str, int]]:
        """Return how many samples differ by how much: words and count, from not at all (always there) upwards."""
        if self.quantised:
            names = [
                "the same bytes" if low == 0 else f"{low} LSB" if high == low + 1 else f"{low} to {high - 1} LSB"
                for low, high in pairwise(_STEPS)
            ] + [f"{_STEPS[-1]} LSB or more"]
        else:
            # What differs by less than the first bound is below the second, too.
            names = ["the same bytes", *(f"below {high:g}" for high in _DECADES[2:]), f"{_DECADES[-1]:g} or more"]
        found = zip(names, self.buckets.tolist(), strict=True)
        return [(name, number) for k, (name, number) in enumerate(found) if number or not k]


class Durations:
    """Samples by how long they took, likewise in one pass.

    Args:
        results: docs/reference/results.md.
    """

    def __init__(self, results: dict[str, Any]) -> None:
        """Nothing was added yet."""
        self._tick, self._edges = _tick(results), _edges(results["latency"])
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self._slower = 0

    def add(self, ticks: npt.NDArray[np.int64]) -> None:
        """Add durations in the board's ticks, int64 [n]."""
        if self._edges is not None:
            durations = ticks * self._tick
            inside = durations <= self._edges[1]
            self._counts += np.histogram(durations[inside], bins=_BINS, range=self._edges)[0]
            self._slower += int((~inside).sum())

    def histogram(self) -> Histogram | None:
        """Return what was added; None if the board has no clock, or all took the same."""
        if self._edges is None:
            return None
        return Histogram(low=self._edges[0], high=self._edges[1], counts=self._counts, slower=self._slower)


def output_of(results: dict[str, Any]) -> TensorSpec:
    """Return the model's output tensor."""
    return TensorSpec.from_record(results["model"]["output"])


def _tick(results: dict[str, Any]) -> float:
    """Return what a tick is in `latency.unit`."""
    return 1.0 if results["latency"]["unit"] == "instructions" else 1e6 / (results["board"]["tick_hz"] or 1e6)


def _edges(latency: dict[str, Any]) -> tuple[float, float] | None:
    """Return where the histogram begins and ends: a few slow inferences shall not press the others into one bar."""
    if latency["p50"] is None or latency["min"] == latency["max"]:
        return None
    low, high, most = latency["min"], latency["max"], latency["p90"]
    return (low, low + 3.0 * (most - low)) if most > low and high - low > 6.0 * (most - low) else (low, high)
