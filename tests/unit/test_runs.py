"""One run in the journal: resume, begin anew, conflicts, failures, events."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.errors import JournalError
from pytest_tinyml.stores.journal import Journal
from pytest_tinyml.stores.runs import RunJournal, RunKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

KEY = RunKey(
    model_sha256="m",
    dataset_sha256="d",
    samples=10,
    preprocess="p",
    board="b",
    engine="e",
    link="l",
    clock="c",
    firmware_sha256="f",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """A new journal."""
    with Journal(path) as journal:
        yield journal


def record(run: RunJournal, ids: Sequence[int], value: int, *, ticks: int = 5) -> list[int]:
    """Record the same score for some samples."""
    rows = np.full((len(ids), 3), value, dtype=np.uint8)
    return run.record(
        run.begin_session("board", {}), np.array(ids, dtype=np.uint32), np.full(len(ids), ticks, dtype=np.uint32), rows
    )


def reopened(path: Path, key: RunKey = KEY, *, fresh: bool = False) -> RunJournal:
    """Open a run as another process would, and let it go again."""
    with Journal(path) as journal:
        return RunJournal.open(journal, key, 3, fresh=fresh)


def test_an_unfinished_run_is_resumed(path: Path) -> None:
    """Answers, ticks, failures and spent time are there again; the rest is to be done."""
    with Journal(path) as journal:
        run = RunJournal.open(journal, KEY, 3)
        assert record(run, [1, 7], 9, ticks=0xFFFFFFFF) == []
        run.fail(1, 3, "crashes")
        run.add_wall(2.5)
    again = reopened(path)
    assert again.id == run.id
    assert np.flatnonzero(again.done).tolist() == [1, 7]
    assert again.ticks.tolist() == [0, 0xFFFFFFFF, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0, 0]
    assert again.scores[7].tolist() == [9, 9, 9]
    assert again.scores[2].tolist() == [0, 0, 0]
    assert (again.failed, again.resumed, again.earlier_wall_s) == ({3: "crashes"}, 2, 2.5)


@pytest.mark.parametrize("field", [field.name for field in fields(RunKey)])
def test_anything_that_differs_is_another_run(path: Path, field: str) -> None:
    """Each part of the identity makes a run of its own."""
    with Journal(path) as journal:
        run = RunJournal.open(journal, KEY, 3)
        record(run, [1], 9)
    value: object = 11 if field == "samples" else "other"
    other = reopened(path, RunKey(**{**asdict(KEY), field: value}))
    assert (other.id != run.id, other.resumed) == (True, 0)
    assert reopened(path).id == run.id


def test_fresh_begins_anew_and_leaves_the_old_run(path: Path) -> None:
    """A fresh run is empty, is what is resumed from then on, and takes nothing from the old one."""
    with Journal(path) as journal:
        old = RunJournal.open(journal, KEY, 3)
        record(old, [1], 9)
    fresh = reopened(path, fresh=True)
    assert (fresh.id != old.id, fresh.resumed) == (True, 0)
    assert reopened(path).id == fresh.id
    with Journal(path) as journal:
        assert RunJournal(journal, old.id, KEY, 3).done[1]


def test_a_finished_run_is_measured_again(path: Path) -> None:
    """Asking for a complete run begins a new one."""
    with Journal(path) as journal:
        run = RunJournal.open(journal, KEY, 3)
        record(run, range(10), 9)
        run.finish()
    again = reopened(path)
    assert (again.id != run.id, again.resumed) == (True, 0)


def test_a_second_answer_that_is_equal_changes_nothing(journal: Journal) -> None:
    """The same scores again are neither a conflict nor a new measurement."""
    run = RunJournal.open(journal, KEY, 3)
    record(run, [1, 2], 9, ticks=5)
    assert record(run, [2, 3], 9, ticks=6) == []
    assert run.ticks[[1, 2, 3]].tolist() == [5, 5, 6]
    assert run.conflicts() == []


def test_a_second_answer_that_differs_is_kept_beside_the_first(path: Path) -> None:
    """The first answer stays in memory and on disk; the other one is a conflict, once however often it comes."""
    with Journal(path) as journal:
        run = RunJournal.open(journal, KEY, 3)
        record(run, [1, 2], 9)
        assert record(run, [2, 3], 8) == [2]
        assert record(run, [2], 8) == [2]
        assert record(run, [2], 7) == [2]
        assert run.scores[[1, 2, 3], 0].tolist() == [9, 9, 8]
        assert run.conflicts() == [2]
        rows = journal.execute("SELECT sample, scores FROM conflict ORDER BY scores")
    assert rows == [(2, b"\7\7\7"), (2, b"\x08\x08\x08")]
    assert reopened(path).scores[[1, 2, 3], 0].tolist() == [9, 9, 8]


def test_two_answers_in_one_batch(journal: Journal) -> None:
    """The first counts; the second is a conflict if it differs."""
    run = RunJournal.open(journal, KEY, 1)
    ids = np.array([4, 5, 4, 5, 6], dtype=np.uint32)
    scores = np.array([[1], [2], [9], [2], [3]], dtype=np.uint8)
    assert run.record(run.begin_session("board", {}), ids, ids, scores) == [4]
    assert run.scores[[4, 5, 6], 0].tolist() == [1, 2, 3]
    assert run.conflicts() == [4]


def test_a_batch_that_was_not_committed_does_not_count(path: Path) -> None:
    """When the journal cannot be written, the arrays do not pretend that it was."""
    journal = Journal(path)
    run = RunJournal.open(journal, KEY, 3)
    record(run, [1], 9)
    journal.close()
    with pytest.raises(JournalError):
        run.record(1, np.array([2], np.uint32), np.array([1], np.uint32), np.zeros((1, 3), np.uint8))
    assert np.flatnonzero(run.done).tolist() == [1]


def test_events_in_order(journal: Journal) -> None:
    """What happened is told in order, for this run alone."""
    run = RunJournal.open(journal, KEY, 3)
    other = RunJournal.open(journal, replace(KEY, board="x"), 3)
    run.event("b", "restart", "one")
    other.event("x", "restart", "not ours")
    run.event("b", "lost", "two")
    assert [(event.kind, event.text) for event in run.events()] == [("restart", "one"), ("lost", "two")]


def test_the_last_reason_of_a_failure_stays(journal: Journal) -> None:
    """A sample that fails again keeps one entry."""
    run = RunJournal.open(journal, KEY, 3)
    run.fail(1, 4, "first")
    run.fail(1, 4, "second")
    assert run.failed == {4: "second"}
    assert journal.execute("SELECT sample, reason FROM failure") == [(4, "second")]


def test_shares_of_several_boards(path: Path) -> None:
    """Who has answered how many, in all and in this process; a conflicting answer is the first one's share."""
    with Journal(path) as journal:
        run = RunJournal.open(journal, KEY, 3)
        assert {} == run.shares()
        record(run, [1, 2, 3], 9)
        assert {"board": (3, 3)} == run.shares()
    with Journal(path) as journal:
        run = RunJournal.open(journal, KEY, 3)
        other = run.begin_session("other", {})
        rows = np.zeros((2, 3), dtype=np.uint8)
        run.record(other, np.array([3, 4], dtype=np.uint32), np.zeros(2, dtype=np.uint32), rows)
        record(run, [5], 9)
        assert {"board": (4, 1), "other": (1, 1)} == run.shares()
