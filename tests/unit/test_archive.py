"""The journal, read by somebody who has nothing else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.errors import JournalError, UsageError
from pytest_tinyml.report.view import results_of
from pytest_tinyml.stores.archive import Archive
from pytest_tinyml.stores.journal import Journal
from pytest_tinyml.stores.runs import HOST_BLOCK, RunJournal
from tests.unit.test_runs import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

SAMPLES = HOST_BLOCK + 500
FACTS: dict[str, Any] = {
    "model": {
        "output": {"dtype": "int8", "shape": [1, 3], "scale": 0.5, "zero_point": -1},
        "task": "classification",
    },
    "reference": {"compared": "scores"},
    "dataset": {"count": SAMPLES},
    "metrics": {"count": 0},
    "board": {"tick_hz": 2_000_000},
    "latency": {"clock": "wall_us", "unit": "us", "gated": False, "p50": None},
}


def scores(seed: int) -> npt.NDArray[np.int8]:
    """Return outputs, int8 [SAMPLES, 3]."""
    return np.random.default_rng(seed).integers(-128, 128, (SAMPLES, 3)).astype(np.int8)


BOARD, HOST = scores(1), scores(2)
BOARD[::2] = HOST[::2]
LABELS = np.arange(SAMPLES) % 3


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A new journal."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield journal


def begin(journal: Journal, *, facts: bool = True) -> RunJournal:
    """Begin a run of which the host knows labels, and all outputs but the last hundred."""
    run = RunJournal.open(journal, replace(KEY, samples=SAMPLES), 3)
    if facts:
        run.keep_facts(FACTS)
    run.keep_host("truth", 0, LABELS.astype(np.uint8))
    for start in (0, 5000):
        run.keep_host("scores", start, HOST[start : start + 5000 if start == 0 else SAMPLES - 100])
    return run


def answer(run: RunJournal, board: str, ids: npt.NDArray[np.int64]) -> None:
    """Record a board's answers."""
    session = run.begin_session(board, {})
    run.record(session, ids.astype(np.uint32), (ids % 7).astype(np.uint32), BOARD[ids].view(np.uint8))


@pytest.mark.parametrize("size", [1000, HOST_BLOCK, 100_000])
def test_chunks(journal: Journal, size: int) -> None:
    """Every answer is there once, in order, beside the host's, with its label, its time and its board."""
    run = begin(journal)
    missing = {17, 4000, SAMPLES - 1}
    ids = np.array([k for k in range(SAMPLES) if k not in missing])
    answer(run, "left", ids[::2])
    answer(run, "right", ids[1::2])
    archive = Archive(journal)
    record = archive.find()
    assert record.boards == ("left", "right")
    chunks = list(archive.chunks(record, size))
    assert max(len(chunk.ids) for chunk in chunks) <= size
    assert np.concatenate([chunk.ids for chunk in chunks]).tolist() == ids.tolist()
    for chunk in chunks:
        assert np.array_equal(chunk.board, BOARD[chunk.ids])
        assert np.array_equal(chunk.ticks, chunk.ids % 7)
        assert np.array_equal(chunk.compared, chunk.ids < SAMPLES - 100)
        assert np.array_equal(chunk.reference, np.where(chunk.compared[:, None], HOST[chunk.ids], 0))
        assert chunk.truth is not None
        assert np.array_equal(chunk.truth, LABELS[chunk.ids])
        assert np.array_equal(chunk.boards, np.searchsorted(ids, chunk.ids) % 2)


def test_many_boards(journal: Journal) -> None:
    """Several hundred boards may have worked on a run."""
    run = begin(journal)
    for k in range(260):
        answer(run, f"board#{k}", np.array([k]))
    archive = Archive(journal)
    (chunk,) = archive.chunks(archive.find())
    assert list(range(260)) == chunk.boards.tolist()


def test_a_run_that_was_killed(journal: Journal) -> None:
    """Without a verdict, the answers speak; nothing that was not answered is counted, and nothing has passed."""
    run = begin(journal)
    ids = np.arange(0, SAMPLES, 4)
    answer(run, "board", ids)
    answer(run, "board", np.array([1, 3]))
    archive = Archive(journal)
    results = results_of(archive, archive.find())
    count = len(ids) + 2
    assert results["passed"] is False
    assert results["problems"] == [
        f"incomplete: {count:,} of {SAMPLES:,} samples were answered; the run was ended before its verdict"
    ]
    compared = np.concatenate([ids[ids < SAMPLES - 100], [1, 3]])
    assert results["metrics"]["count"] == count
    assert results["metrics"]["compared"] == len(compared)
    assert results["metrics"]["differing"] == int((BOARD[compared] != HOST[compared]).any(axis=1).sum())
    assert np.sum(results["metrics"]["confusion_board"]) == len(compared)
    # Of 0, 4, 1, 5, 2, 6, 3, ... ticks of half a microsecond.
    assert (results["latency"]["p50"], results["latency"]["max"]) == (1.5, 3.0)


def test_a_verdict_is_what_was_found(journal: Journal) -> None:
    """What was kept at the end is not computed again."""
    run = begin(journal)
    verdict = {"passed": True, "run": {"id": 1}, "metrics": {"flips": [3], "moved": [[1, 2]]}}
    run.keep_verdict(verdict)
    archive = Archive(journal)
    assert verdict.items() <= results_of(archive, archive.find("#1")).items()


def test_a_verdict_of_an_earlier_version(journal: Journal) -> None:
    """What was not written then is null now, so that every report can be made."""
    begin(journal).keep_verdict({"passed": True, "metrics": {"flips": []}})
    archive = Archive(journal)
    results = results_of(archive, archive.find())
    assert (results["gates"], results["git"], results["metrics"]) == (None, None, {"flips": [], "moved": []})


def test_which_run(journal: Journal) -> None:
    """The newest, or by number; an unknown one is refused with those that there are."""
    archive = Archive(journal)
    with pytest.raises(UsageError, match="no run in "):
        archive.find()
    begin(journal).finish()
    RunJournal.open(journal, KEY, 3)
    assert (archive.find().id, archive.find("1").id, archive.find(2).id) == (2, 1, 2)
    assert [run.id for run in archive.runs()] == [2, 1]
    for unknown in ("3", "one", "#", "-1"):
        with pytest.raises(UsageError, match=f"no run '{unknown}' in .*; newest first: 2, 1"):
            archive.find(unknown)


def test_pictures_progress_and_events(journal: Journal) -> None:
    """What was kept as it looks, how far the run was when, and what happened on the way."""
    run = begin(journal)
    pixels = {5: np.arange(12, dtype=np.uint8).reshape(3, 4), 2: np.arange(24, dtype=np.uint8).reshape(2, 4, 3)}
    run.keep_pictures(pixels)
    run.event("board", "restart", "why")
    run.fail(run.begin_session("board", {}), 9, "because")
    answer(run, "board", np.arange(10, 20))
    answer(run, "board", np.arange(20, 40))
    run.add_wall(2.5)
    archive = Archive(journal)
    record = archive.find()
    kept = archive.pictures(record)
    assert list(kept) == [2, 5]
    assert all(np.array_equal(kept[k], pixels[k]) for k in kept)
    assert [(event.kind, event.text) for event in archive.events(record)] == [("restart", "why")]
    assert archive.failures(record) == {9: "because"}
    progress = archive.progress(record)
    assert (progress[0][1], progress[-1][1]) == (10, 30)
    assert all(a[0] <= b[0] for a, b in pairwise(progress))


def test_a_resumed_run_goes_on_in_time(tmp_path: Path) -> None:
    """After a process was killed, whose time nobody added, progress does not go back."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        answer(begin(journal), "board", np.arange(10))
        journal.execute("UPDATE pace SET at = 60.0")
    with Journal(path) as journal:
        answer(begin(journal), "board", np.arange(10, 30))
        archive = Archive(journal)
        (first, second) = archive.progress(archive.find())
    assert first == (60.0, 10)
    assert (second[0] >= 60.0, second[1]) == (True, 30)


def test_nothing_was_kept(journal: Journal) -> None:
    """A run of an older journal that was killed is refused in words."""
    begin(journal, facts=False)
    archive = Archive(journal)
    with pytest.raises(JournalError, match="run 1 was ended before anything was kept about it; run it again"):
        results_of(archive, archive.find())
