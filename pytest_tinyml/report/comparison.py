"""Two runs over the same data, sample by sample: any two, of any boards, models and firmware."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from pytest_tinyml.errors import UsageError
from pytest_tinyml.records import TensorSpec
from pytest_tinyml.report.baseline import figures
from pytest_tinyml.report.html.numbers import probability
from pytest_tinyml.report.metrics import metrics
from pytest_tinyml.report.statistics import statistics
from pytest_tinyml.stores.archive import CHUNK
from pytest_tinyml.verdict.compare import Tally
from pytest_tinyml.verdict.gate import METRICS
from pytest_tinyml.verdict.metrics import dequantize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from pytest_tinyml.report.base import Report
    from pytest_tinyml.stores.archive import Chunk
    from pytest_tinyml.verdict.gate import Metric

Finding = Literal["regression", "improvement", "noise", "same", "different"]
_SHOWN_FLIPS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Samples that both runs answered: float32 or the dtype that both have, [n, C]; truth as in `Chunk`."""

    ids: npt.NDArray[np.int64]
    first: npt.NDArray[Any]
    second: npt.NDArray[Any]
    truth: npt.NDArray[Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRow:
    """A figure of both runs in words; `better` is None where it did not change, or a side is not known."""

    title: str
    first: str
    second: str
    change: str
    better: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """What became of a run in another.

    Attributes:
        first: the older or better known run.
        second: the one that is put beside it.
        tensor: of the outputs as they were compared: that of both, or float32 if they differ.
        metrics: as ``metrics`` of results.json, with the first run as the reference and the second as the board.
        statistics: as ``statistics`` of results.json, likewise.
        identities: what tells the runs apart: name, of the first, of the second.
        rows: the figures of both.
        answered: samples that only the first, and only the second run answered.
    """

    first: Report
    second: Report
    tensor: TensorSpec
    metrics: dict[str, Any]
    statistics: dict[str, Any] | None
    identities: list[tuple[str, str, str]]
    rows: list[FigureRow]
    answered: tuple[int, int]

    @property
    def finding(self) -> Finding:
        """Whether the second run is better or worse, at a stated error rate; without labels, whether it is the same."""
        if not self.metrics["differing"]:
            return "same"
        test = None if self.statistics is None else self.statistics["mcnemar_reference"]
        if test is None:
            return "different"
        finding: Finding = test["verdict"]
        return finding


def compare_runs(first: Report, second: Report) -> RunComparison:
    """Compare two runs over the samples that both answered.

    Raises:
        UsageError: they are of different data, of different tasks, or have no sample in common.
        JournalError: a journal cannot be read.
    """
    a, b = first.results, second.results
    for what, key in (("data sets", "dataset"), ("models", "model")):
        _check(a, b, what, key, first.run.id, second.run.id)
    tensor, task = _tensor(a, b), a["model"]["task"]
    tally = Tally(tensor, task)
    for pair in pairs(first, second, tensor):
        tally.add(pair.second, pair.first, pair.truth, pair.ids)
    if not tally.count:
        msg = f"runs {first.run.id} and {second.run.id} cannot be compared: no sample was answered in both"
        raise UsageError(msg)
    found = metrics(tally.comparison(), tally.count, {}, labels_only=False)
    return RunComparison(
        first=first,
        second=second,
        tensor=tensor,
        metrics=found,
        statistics=statistics(found),
        identities=_identities(a, b),
        rows=_rows(a, b),
        answered=(a["metrics"]["count"] - tally.count, b["metrics"]["count"] - tally.count),
    )


def _check(a: dict[str, Any], b: dict[str, Any], what: str, key: str, *runs: int) -> None:
    """Refuse what has no samples or no outputs in common."""
    sides = [_essence(one, key) for one in (a, b)]
    if sides[0] != sides[1]:
        said = ", ".join(
            f"run {run} has {one[key]['name']} ({side})" for run, one, side in zip(runs, (a, b), sides, strict=True)
        )
        msg = f"runs of different {what} cannot be compared: {said}"
        raise UsageError(msg)


def _essence(results: dict[str, Any], key: str) -> str:
    if key == "dataset":
        return f"SHA-256 {results['dataset']['sha256'][:12]}"
    return f"{results['model']['task']}, {int(np.prod(results['model']['output']['shape'][1:]))} outputs"


def _tensor(a: dict[str, Any], b: dict[str, Any]) -> TensorSpec:
    one, other = (TensorSpec.from_record(results["model"]["output"]) for results in (a, b))
    same = replace(other, shape=one.shape) == one
    return one if same else TensorSpec(dtype="float32", shape=one.shape)


def pairs(first: Report, second: Report, tensor: TensorSpec) -> Iterator[Pair]:
    """Return the samples that both runs answered, in parts whose size does not depend on their number."""
    left, right = (_blocks(one) for one in (first, second))
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        if a[0] < b[0]:
            a = next(left, None)
        elif b[0] < a[0]:
            b = next(right, None)
        else:
            ids, at, to = np.intersect1d(a[1].ids, b[1].ids, assume_unique=True, return_indices=True)
            if len(ids):
                truth = a[1].truth
                yield Pair(
                    ids=ids,
                    first=_as(a[1].board[at], first, tensor),
                    second=_as(b[1].board[to], second, tensor),
                    truth=None if truth is None else truth[at],
                )
            a, b = next(left, None), next(right, None)


def _blocks(report: Report) -> Iterator[tuple[int, Chunk]]:
    return ((int(chunk.ids[0]) // CHUNK, chunk) for chunk in report.archive.chunks(report.run))


def _as(scores: npt.NDArray[Any], report: Report, tensor: TensorSpec) -> npt.NDArray[Any]:
    """Return outputs as they are, or as float32 if the runs quantise differently."""
    own = TensorSpec.from_record(report.results["model"]["output"])
    if tensor.dtype != "float32" or own.dtype == "float32":
        return scores
    return dequantize(scores, own).astype(np.float32)


_IDENTITY: Final[tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...]] = (
    ("board", lambda one: one["board"]["id"] or one["board"]["name"]),
    ("chip", lambda one: one["board"]["chip"]),
    ("engine", lambda one: one["board"]["engine"]),
    ("link", lambda one: one["board"]["link"]),
    ("clock", lambda one: one["board"]["clock"]),
    ("model", lambda one: one["model"]["name"]),
    ("model's SHA-256", lambda one: one["model"]["sha256"][:16]),
    ("firmware's SHA-256", lambda one: one["board"]["firmware_sha256"][:16]),
    ("kernels", lambda one: one["build"] and one["build"]["kernels"]),
    ("compiler", lambda one: one["build"] and one["build"]["compiler"]),
    ("preprocessing", lambda one: one["model"]["preprocess"]),
    ("commit", lambda one: one.get("git") and one["git"]["commit"][:12]),
    ("samples", lambda one: f"{one['metrics']['count']:,} of {one['dataset']['count']:,}"),
)


def _identities(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(name, str(of(a) or "unknown"), str(of(b) or "unknown")) for name, of in _IDENTITY]


def _rows(a: dict[str, Any], b: dict[str, Any]) -> list[FigureRow]:
    first, second = figures(a), figures(b)
    rows = []
    for metric in METRICS.values():
        sides = first.get(metric.key), second.get(metric.key)
        if sides == (None, None):
            continue
        words = ["not measured" if side is None else metric.value(side) for side in sides]
        change, better = "", None
        if sides[0] is not None and sides[1] is not None:
            change, better = _change(metric, sides[0], sides[1])
        rows.append(FigureRow(title=metric.title, first=words[0], second=words[1], change=change, better=better))
    return rows


def _change(metric: Metric, before: float, now: float) -> tuple[str, bool | None]:
    """Say how a figure changed, and whether that is better."""
    if now == before:
        return "", None
    better = (now > before) == (metric.worse == "lower")
    if metric.unit == "pp":
        return f"{100 * (now - before):+.3f} pp", better
    by = f" ({(now - before) / before:+.1%})" if before else ""
    difference = now - before
    return f"{difference:{'+,.0f' if difference == int(difference) else '+,.4g'}}{by}", better


def comparison_lines(found: RunComparison) -> list[str]:
    """Return the comparison for a terminal."""
    numbers, first, second = found.metrics, found.first, found.second
    lines = [f"{sentence(found)} Run {first.run.id} and run {second.run.id}, {first.results['dataset']['name']}:"]
    differ = [(name, a, b) for name, a, b in found.identities if a != b]
    lines += [f"  {name}: {a} -> {b}" for name, a, b in differ]
    width = max((len(row.title) for row in found.rows), default=0)
    for row in found.rows:
        change = f"  {row.change}" if row.change else ""
        lines.append(f"  {row.title.ljust(width)}  {row.first} -> {row.second}{change}")
    for flip in numbers["flip_details"][:_SHOWN_FLIPS]:
        label = "" if flip["label"] is None else f", label {flip['label']}"
        lines.append(f"  #{flip['id']}: {flip['reference']} -> {flip['board']}{label}")
    if len(numbers["flips"]) > _SHOWN_FLIPS:
        lines.append(f"  and {len(numbers['flips']) - _SHOWN_FLIPS:,} more samples with another class")
    return lines


def sentence(found: RunComparison) -> str:
    """Say what the comparison found."""
    numbers, compared = found.metrics, f"{found.metrics['compared']:,}"
    if found.finding == "same":
        return f"The outputs are the same for each of {compared} samples."
    if numbers["argmax_agreement"] is None:
        return (
            f"Outputs differ for {numbers['differing']:,} of {compared} samples, by at most {numbers['max_abs']:.4g}."
        )
    flips = f"{len(numbers['flips']):,} of {compared} samples have another class"
    test = None if found.statistics is None else found.statistics["mcnemar_reference"]
    if test is None:
        return f"{flips}; without labels nobody can say which are right."
    told = {"noise": "noise", "regression": "a regression", "improvement": "an improvement"}[test["verdict"]]
    sure = f"at an error rate of {test['alpha']:.2g} (exact McNemar test, {probability(test['p'])})"
    return f"{flips}: {test['worse']:,} became wrong, {test['better']:,} became right. That is {told} {sure}."
