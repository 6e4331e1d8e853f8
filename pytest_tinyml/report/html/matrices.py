"""Confusion matrices: a table of numbers with colours, which a reader of the screen can walk through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pytest_tinyml.report.html.numbers import signed

_NUMBERED_CLASSES: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a matrix: what is written, how strong its colour is (0 to 1), and which."""

    text: str
    heat: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A confusion matrix: one row per class as it should be, one column per class as it was said to be."""

    title: str
    note: str
    rows: list[list[Cell]]
    row_name: str = "label"
    column_name: str = "predicted"


def matrices(host: list[list[int]], board: list[list[int]], names: tuple[str, str]) -> list[Matrix]:
    """Return board, host and their difference.

    Args:
        host: counts, one row per label, one column per class that was predicted.
        board: likewise.
        names: of `host` and `board`.
    """
    numbers = np.array(host), np.array(board)
    difference = numbers[1] - numbers[0]
    total = int(np.abs(difference).sum())
    first, second = names
    less = f"{second.capitalize()} less {first}: better is green, worse is red."
    return [
        Matrix(title=second.capitalize(), note=f"{_right(numbers[1])} right", rows=_confused(numbers[1])),
        Matrix(title=first.capitalize(), note=f"{_right(numbers[0])} right", rows=_confused(numbers[0])),
        Matrix(title="Difference", note=less if total else "The same in every cell.", rows=_differing(difference)),
    ]


def _right(table: Any) -> str:  # noqa: ANN401 - int64 [C, C]
    return f"{int(table.trace()):,} of {int(table.sum()):,}"


def paired_matrix(table: Any, names: tuple[str, str]) -> Matrix:  # noqa: ANN401 - int64 [C, C]
    """Return the classes by the host against those by the board, for data without labels."""
    first, second = names
    return Matrix(
        title=f"{first.capitalize()} and {second}",
        note=f"There are no labels: rows are the classes of {first}, columns those of {second}.",
        rows=_confused(np.asarray(table)),
        row_name=first,
        column_name=second,
    )


def _confused(table: Any) -> list[list[Cell]]:  # noqa: ANN401 - int64 [C, C]
    """Colour the diagonal by recall, and errors by the root of their share, so that single ones are seen."""
    sums = np.maximum(table.sum(axis=1, keepdims=True), 1)
    shares = table / sums
    return [
        [
            Cell(
                text=f"{int(value):,}" if value else "",
                heat=float(shares[row, column] if row == column else min(1.0, (shares[row, column] * 4.0) ** 0.5)),
                kind="right" if row == column else "wrong",
            )
            for column, value in enumerate(line)
        ]
        for row, line in enumerate(table)
    ]


def _differing(difference: Any) -> list[list[Cell]]:  # noqa: ANN401 - int64 [C, C]
    most = max(int(np.abs(difference).max()), 1)
    return [
        [
            Cell(
                text=signed(int(value)),
                heat=0.25 + 0.75 * (abs(int(value)) / most) ** 0.5 if value else 0.0,
                # More on the diagonal is better, more beside it is worse.
                kind="better" if (value > 0) == (row == column) else "worse",
            )
            for column, value in enumerate(line)
        ]
        for row, line in enumerate(difference)
    ]


def written_out(classes: int) -> bool:
    """Return whether a matrix of so many classes can be read as numbers; otherwise it is a picture."""
    return classes <= _NUMBERED_CLASSES
