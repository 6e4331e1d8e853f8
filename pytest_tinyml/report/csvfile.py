"""All predictions of a run as CSV (RFC 4180), the board's beside the host's; one chunk of the journal is in memory.

Outputs are as the model gives them: integers of a quantised one, and of a float one the shortest decimals that are read
back as the same number. What is not known is empty.
"""

from __future__ import annotations

import csv
import io
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.records import TensorSpec
from pytest_tinyml.verdict.compare import differing_samples, predictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.report.base import Report
    from pytest_tinyml.stores.archive import Chunk


def write_csv(report: Report, path: Path) -> None:
    """Write a line per answered sample, in the order of their ids (docs/how-to/reading-a-report.md says the columns).

    Raises:
        OSError: it cannot be written.
        JournalError: the journal cannot be read.
    """
    model = report.results["model"]
    output = TensorSpec.from_record(model["output"])
    classes = model["task"] == "classification"
    targets = 0 if not report.results["dataset"]["labelled"] else 1 if classes else output.elements
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(_lines([_header(output, classes=classes, targets=targets)]))
        # Once: they may have to be quoted.
        names = [_lines([[name]]).removesuffix("\r\n") for name in report.run.boards]
        for chunk in report.archive.chunks(report.run):
            columns = _columns(chunk, output, names, classes=classes, targets=targets)
            # One operation for a chunk: the writer of module csv takes three times as long for a million samples.
            line = ",".join(["%s"] * len(columns)) + "\r\n"
            cells = tuple(chain.from_iterable(zip(*columns, strict=True)))
            file.write(line * len(chunk.ids) % cells)


def _header(output: TensorSpec, *, classes: bool, targets: int) -> list[str]:
    outputs = range(output.elements)
    return [
        "id",
        *(["label"] if classes and targets else [f"target_{k}" for k in range(targets)]),
        *(["host", "board"] if classes else []),
        "same_outputs",
        *(f"host_{k}" for k in outputs),
        *(f"board_{k}" for k in outputs),
        "ticks",
        "answered_by",
    ]


def _columns(
    chunk: Chunk, output: TensorSpec, names: Sequence[str], *, classes: bool, targets: int
) -> list[Sequence[Any]]:
    known = chunk.compared
    columns: list[Sequence[Any]] = [chunk.ids.tolist()]
    if targets:
        truth = chunk.truth
        rows = None if truth is None else truth.reshape(len(chunk.ids), targets)
        columns += [[""] * len(chunk.ids)] * targets if rows is None else [rows[:, k].tolist() for k in range(targets)]
    if classes:
        columns.append(_where(known, predictions(chunk.reference, output).tolist()))
        columns.append(predictions(chunk.board, output).tolist())
    same = np.where(differing_samples(chunk.board, chunk.reference), 0, 1)
    columns.append(_where(known, same.tolist()))
    columns += [_where(known, _exact(chunk.reference[:, k])) for k in range(output.elements)]
    columns += [_exact(chunk.board[:, k]) for k in range(output.elements)]
    return [*columns, chunk.ticks.tolist(), [names[place] if names else "" for place in chunk.boards.tolist()]]


def _exact(values: npt.NDArray[Any]) -> list[Any]:
    """Return numbers as Python writes them; a float32's shortest decimals are not those of the float64 that it is."""
    return [str(value) for value in values] if values.dtype == np.float32 else list(values.tolist())


def _where(known: npt.NDArray[np.bool_], values: list[Any]) -> list[Any]:
    """Return values where they are known, and nothing elsewhere."""
    if known.all():
        return values
    return [value if there else "" for value, there in zip(values, known.tolist(), strict=True)]


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
