"""How sure the figures are, from the metrics of results.json alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from pytest_tinyml.records import TensorSpec
from pytest_tinyml.report.metrics import metrics
from pytest_tinyml.report.statistics import statistics, statistics_lines
from pytest_tinyml.verdict.compare import compare
from pytest_tinyml.verdict.stats import holm, mcnemar_of, wilson

OUTPUT = TensorSpec(dtype="int8", shape=(1, 5), scale=1 / 256, zero_point=-128)
N = 4000


def scores(classes: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Return outputs [N, 5] with these classes."""
    table = np.full((len(classes), 5), -128, dtype=np.int8)
    table[np.arange(len(classes)), classes] = 127
    return table


def of_a_run(*, labelled: bool = True) -> tuple[dict[str, Any], Any, Any, Any]:
    """Return metrics of a run whose board is bad at class 3, and labels and predictions; class 4 has no samples."""
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 4, N)
    host = np.where(rng.random(N) < 0.02, (labels + 1) % 5, labels)
    board = np.where((labels == 3) & (rng.random(N) < 0.05), 0, host)
    comparison = compare(scores(board), scores(host), labels if labelled else None, np.arange(N), OUTPUT)
    return metrics(comparison, N, {}, labels_only=False), labels, board, host


def test_every_figure_is_that_of_the_samples() -> None:
    """Intervals and paired tests are those of the predictions themselves, also class by class."""
    values, labels, board, host = of_a_run()
    found = statistics(values)
    assert found is not None
    assert asdict(wilson(int((board == host).sum()), N)) == found["agreement"]
    assert asdict(wilson(int((board == labels).sum()), N)) == found["top1_board"]
    assert asdict(wilson(int((host == labels).sum()), N)) == found["top1_reference"]
    assert asdict(mcnemar_of(board == labels, host == labels)) == found["mcnemar_reference"]
    assert [0, 1, 2, 3] == [row["class"] for row in found["per_class"]]
    tests = []
    for row in found["per_class"]:
        mine = labels == row["class"]
        tests.append(mcnemar_of(board[mine] == labels[mine], host[mine] == labels[mine]))
        assert (int(mine.sum()), tests[-1].better, tests[-1].worse) == (row["count"], row["better"], row["worse"])
        assert asdict(wilson(int((board == labels)[mine].sum()), int(mine.sum()))) == row["board"]
    assert list(holm([test.p for test in tests])) == [row["p_adjusted"] for row in found["per_class"]]
    assert [False, False, False, True] == [row["significant"] for row in found["per_class"]]


def test_lines() -> None:
    """The summary has the intervals, what the differences mean, and the class that got worse."""
    values, *_ = of_a_run()
    found = statistics(values)
    lines = statistics_lines({"statistics": found, "sequential": None, "reference": {"name": "tflm"}})
    assert 3 == len(lines)
    assert lines[0].startswith("95% intervals: top-1 96.")
    assert "worse and 0 better than tflm: a regression at an error rate of 0.05 (exact McNemar p = " in lines[1]
    assert lines[2].startswith("class 3: ")


def test_lines_without_a_difference() -> None:
    """Where every label is the host's there is nothing to test, and only the intervals are told."""
    labels = np.arange(N) % 5
    comparison = compare(scores(labels), scores(labels), labels, np.arange(N), OUTPUT)
    found = statistics(metrics(comparison, N, {}, labels_only=False))
    lines = statistics_lines({"statistics": found, "sequential": None, "reference": {"name": "tflm"}})
    assert ["95% intervals: top-1 99.90 to 100.00 %, agreement 99.90 to 100.00 %"] == lines


def test_without_labels() -> None:
    """The agreement has its interval; what needs labels is not there."""
    values, *_ = of_a_run(labelled=False)
    found = statistics(values)
    assert found is not None
    assert (None, None, None, []) == tuple(
        found[key] for key in ("top1_board", "top1_reference", "mcnemar_reference", "per_class")
    )
    (line,) = statistics_lines({"statistics": found, "sequential": None, "reference": {"name": "tflm"}})
    assert line.startswith("95% intervals: agreement 9")


def test_nothing_to_say() -> None:
    """A run without an answer, like a regression, has no shares; a sequential test is told all the same."""
    assert None is statistics(metrics(None, 0, {}, labels_only=False))
    results = {"statistics": None, "sequential": {"text": "undecided"}, "reference": {"name": "tflm"}}
    assert ["sequential test: undecided"] == statistics_lines(results)
    assert [] == statistics_lines(results | {"sequential": None})
