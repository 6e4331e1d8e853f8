"""results.json from the journal alone, also of a run whose process did not live to write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.records import TensorSpec
from pytest_tinyml.report.latency import measured
from pytest_tinyml.report.metrics import metrics
from pytest_tinyml.report.statistics import statistics
from pytest_tinyml.verdict.compare import Tally

if TYPE_CHECKING:
    from pytest_tinyml.stores.archive import Archive, RunRecord

_ADDED: Final = ("git", "run", "statistics", "sequential", "baseline", "gates", "operators", "explanation")
"""Keys that results.json had not when journals had no version 3 yet."""


def results_of(archive: Archive, run: RunRecord) -> dict[str, Any]:
    """Return what is known of a run (docs/reference/results.md).

    That is the verdict it was given, or, if its process was ended before that, what was known when it began and what
    its answers say. Such a run has not passed.

    Raises:
        JournalError: the journal is older than version 3, and the run was ended before its verdict.
    """
    if run.verdict is not None:
        # An earlier version did not write all of these.
        metrics_then = {"moved": []} | run.verdict["metrics"]
        return dict.fromkeys(_ADDED) | run.verdict | {"metrics": metrics_then}
    facts = run.known
    tally = Tally(TensorSpec.from_record(facts["model"]["output"]), facts["model"]["task"])
    answered = 0
    # As they travel: a million of them shall not be felt.
    ticks = [np.zeros(0, dtype=np.uint32)]
    for chunk in archive.chunks(run):
        answered += len(chunk.ids)
        ticks.append(chunk.ticks.astype(np.uint32))
        if (both := chunk.compared).any():
            truth = None if chunk.truth is None else chunk.truth[both]
            tally.add(chunk.board[both], chunk.reference[both], truth, chunk.ids[both])
    failed = archive.failures(run)
    labels_only = facts["reference"]["compared"] == "labels"
    compared = metrics(tally.comparison() if tally.count else None, answered, failed, labels_only=labels_only)
    wanted = facts["dataset"]["count"]
    ended = f"incomplete: {answered:,} of {wanted:,} samples were answered; the run was ended before its verdict"
    return facts | {
        "passed": False,
        "problems": [ended],
        "metrics": compared,
        "statistics": statistics(compared),
        "latency": measured(facts["latency"], facts["board"]["tick_hz"], np.concatenate(ticks)),
        "faults": [
            {"at": one.at, "board": one.board, "kind": one.kind, "text": one.text} for one in archive.events(run)
        ],
        "conflicts": archive.conflicts(run),
    }
