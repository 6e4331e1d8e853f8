"""What became of each shard of a run, from the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.records import TensorSpec
from pytest_tinyml.verdict.compare import Tolerance, compare, describe_difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tinyml.stores.archive import Archive, Chunk, RunRecord

SHARD: Final = 1000
"""Samples per shard, as --tinyml-shard-size has it by default: how a session cut its tests is not in the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Some samples in a row.

    Attributes:
        start: id of the first.
        stop: id after the last.
        passed: all were answered, and all answers were compared and are within what is tolerated.
        text: what was found, in one line.
    """

    start: int
    stop: int
    passed: bool
    text: str


def shards(results: dict[str, Any], archive: Archive, run: RunRecord, size: int = SHARD) -> Iterator[Shard]:
    """Yield all shards of a run in order; one is in memory at a time.

    Args:
        results: of the run, as results.json has them.
        archive: the journal's.
        run: see there.
        size: samples per shard.
    """
    # What the journal reads at a time is a shard; of one without an answer there is nothing to read.
    found = {int(chunk.ids[0]) // size: _judge(results, chunk) for chunk in archive.chunks(run, size)}
    total = run.key.samples
    for place, start in enumerate(range(0, total, size)):
        stop = min(start + size, total)
        answered, compared, within, text = found.get(place, (0, 0, True, ""))
        said = [text] if text else []
        if answered < stop - start:
            said.insert(0, f"{answered:,} of {stop - start:,} samples were answered")
        elif compared < answered:
            said.insert(0, f"{compared:,} of {answered:,} answers were compared with {results['reference']['name']}")
        passed = within and compared == answered == stop - start
        yield Shard(start=start, stop=stop, passed=passed, text="; ".join(said))


def _judge(results: dict[str, Any], chunk: Chunk) -> tuple[int, int, bool, str]:
    """Return how many were answered, how many compared, whether all are within the tolerance, and what was found."""
    mask = chunk.compared
    if not mask.any():
        return len(chunk.ids), 0, True, ""
    model, reference = results["model"], results["reference"]
    comparison = compare(
        chunk.board[mask],
        chunk.reference[mask],
        # Labels are the whole run's concern.
        None,
        chunk.ids[mask],
        TensorSpec.from_record(model["output"]),
        model["task"],
    )
    tolerance = Tolerance(
        lsb=reference["max_lsb_tolerated"],
        absolute=reference["max_abs_tolerated"],
        labels_only=reference["compared"] == "labels",
    )
    text = describe_difference(comparison, reference["name"], labels_only=tolerance.labels_only)
    return len(chunk.ids), int(np.count_nonzero(mask)), tolerance.allows(comparison), text
