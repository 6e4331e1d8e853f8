"""All predictions as CSV."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.report.csvfile import write_csv
from pytest_tinyml.stores.journal import Journal
from tests.report.made import make_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_tinyml.report.base import Report

COUNT = 9000
"""More than is read at a time."""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A new journal."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield journal


def rows(report: Report, folder: Path) -> list[dict[str, str]]:
    """Write the file and read it again."""
    path = folder / "predictions.csv"
    write_csv(report, path)
    assert path.read_bytes().count(b"\r\n") == path.read_bytes().count(b"\n")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_quantised(journal: Journal, tmp_path: Path) -> None:
    """Every answer is there with its label, both predictions and both outputs; what the host did not say is empty."""
    random = np.random.default_rng(3)
    board, host = (random.integers(-128, 128, (COUNT, 3)).astype(np.int8) for _ in range(2))
    host[::2] = board[::2]
    labels = np.arange(COUNT) % 3
    answered = np.delete(np.arange(COUNT), [5, 8500])
    names = ("plain", 'a "quoted", name')
    report = make_run(journal, board, host, truth=labels, answered=answered, compared=8990, names=names)
    found = rows(report, tmp_path)
    expected = [
        {
            "id": str(k),
            "label": str(labels[k]),
            "host": str(host[k].argmax()) if k < 8990 else "",
            "board": str(board[k].argmax()),
            "same_outputs": str(int((host[k] == board[k]).all())) if k < 8990 else "",
            **{f"host_{c}": str(host[k, c]) if k < 8990 else "" for c in range(3)},
            **{f"board_{c}": str(board[k, c]) for c in range(3)},
            "ticks": str(k + 7),
            "answered_by": names[place % 2],
        }
        for place, k in enumerate(answered)
    ]
    assert expected == found


def test_floats(journal: Journal, tmp_path: Path) -> None:
    """Floats are read back as they were, and a sample without a label has no column for it."""
    random = np.random.default_rng(4)
    board = random.normal(size=(50, 3)).astype(np.float32)
    board[0] = np.nan, np.finfo(np.float32).max, 1e-45
    found = rows(make_run(journal, board, board, truth=None), tmp_path)
    assert "label" not in found[0]
    back = np.array([[row[f"board_{c}"] for c in range(3)] for row in found]).astype(np.float64).astype(np.float32)
    assert np.array_equal(board, back, equal_nan=True)
    assert {"1"} == {row["same_outputs"] for row in found}
    assert max(len(row["board_1"]) for row in found) < 16


def test_regression(journal: Journal, tmp_path: Path) -> None:
    """A regression has targets and values, and nothing about classes."""
    board = np.arange(12, dtype=np.float32).reshape(4, 3)
    report = make_run(journal, board, board + 1, truth=board.astype(np.float64) / 4, task="regression")
    found = rows(report, tmp_path)
    names = [f"{kind}_{c}" for kind in ("host", "board") for c in range(3)]
    expected = ["id", "target_0", "target_1", "target_2", "same_outputs", *names, "ticks", "answered_by"]
    assert expected == list(found[0])
    assert ["1", "0.75", "1.0", "1.25"] == [found[1][name] for name in ("id", "target_0", "target_1", "target_2")]
