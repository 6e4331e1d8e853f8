"""What the live page is told of a run, from before its first sample to its verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_tinyml.errors import BoardError, JournalError
from pytest_tinyml.report.live.feed import Feed
from pytest_tinyml.report.live.observer import FLIPS, RECENT, Observer
from pytest_tinyml.verdict.stats import wilson
from tests.live.made import MadeRun, features


class Watched:
    """A made run, and what its page would show."""

    def __init__(self, run: MadeRun) -> None:
        """Look at nothing yet."""
        self.run, self.feed = run, Feed()
        self.observer = Observer(run, 0, self.feed)

    def section(self, name: str, *, watched: bool = True) -> Any:
        """Look, and return a section; None if it was not told."""
        self.observer.look(watched=watched)
        return json.loads(self.feed.since(0)).get(f"0/{name}")


def test_every_phase_has_its_word() -> None:
    """From waiting for another board's turn to the verdict."""
    made = MadeRun(20)
    watched = Watched(made)
    phases = []

    def note() -> None:
        phases.append(watched.section("state")["phase"])

    note()
    made.current = "suite.py::test_identity"
    note()
    made.connect()
    note()
    made.start()
    note()
    made.answer(20, compared=False)
    note()
    made.campaign.reference.done[:] = True
    note()
    made.conclude()
    note()
    assert ["waiting", "preparing", "checking", "running", "comparing", "judging", "passed"] == phases
    made.conclude("test_accuracy: top-1 is below 0.99")
    assert "failed" == watched.section("state")["phase"]
    assert ["test_accuracy: top-1 is below 0.99"] == watched.section("notes")["problems"]
    made.conclude("incomplete: 3 samples were not answered")
    assert "incomplete" == watched.section("state")["phase"]


def test_figures_have_their_intervals() -> None:
    """Top-1 is of what is answered, agreement of what both have; each with Wilson's interval."""
    made = MadeRun(200, flips=3, wrong=10)
    made.start()
    watched = Watched(made)
    made.answer(100)
    made.answer(50, compared=False)
    state = watched.section("state")
    right = int((made.board[:150].argmax(1) == made.campaign.dataset.labels[:150]).sum())
    same = int((made.board[:100] == made.host[:100]).all(1).sum())
    for share, part, count in ((state["top1"], right, 150), (state["agreement"], same, 100)):
        expected = wilson(part, count)
        assert {
            "value": expected.value,
            "low": expected.low,
            "high": expected.high,
            "part": part,
            "whole": count,
        } == share
    assert (150, 200, 100, 100 - same) == tuple(state[key] for key in ("done", "total", "compared", "differing"))
    assert 0 < 100 - same < 3
    assert 150 / state["rate"] == pytest.approx(state["elapsed_s"], abs=0.05)


def test_boards_have_state_and_leases() -> None:
    """What each board does and holds, also while it is started again, or given up."""
    made = MadeRun(100, boards=("native#0", "native#1", "native#2"))
    watched = Watched(made)
    assert ["absent"] * 3 == [row["state"] for row in watched.section("boards")]
    made.connect()
    assert [("ready", "none")] * 3 == [(row["state"], row["chip"]) for row in watched.section("boards")]
    made.start()
    made.answer(10)
    made.answer(30, board=1)
    made.campaign.queue.lease("native#0", 5)
    made.campaign.works["native#1"].is_open = False
    made.campaign.bench.lost = {"native#2"}
    made.happen("native#1", "restart", "it crashed")
    assert [
        ("streaming", 10, 5, 60, 0),
        ("restarting", 30, 0, None, 1),
        ("lost", 0, 0, None, 0),
    ] == [
        tuple(row[key] for key in ("state", "answered", "held", "lease_s", "restarts"))
        for row in watched.section("boards")
    ]
    made.campaign.queue.stop()
    assert ["done", "done", "lost"] == [row["state"] for row in watched.section("boards")]


def test_the_last_answers_are_shown() -> None:
    """The newest first, as pictures, with what board, host and label say."""
    made = MadeRun(200)
    made.start()
    watched = Watched(made)
    made.answer(5)
    assert [4, 3, 2, 1, 0] == [row["id"] for row in watched.section("recent")]
    made.answer(95)
    made.answer(2, compared=False)
    rows = watched.section("recent")
    assert list(range(101, 101 - RECENT, -1)) == [row["id"] for row in rows]
    assert [None, None, *(str(made.host[k].argmax()) for k in range(99, 101 - RECENT, -1))] == [
        row["host"] for row in rows
    ]
    assert [str(made.board[row["id"]].argmax()) for row in rows] == [row["board"] for row in rows]
    assert [str(made.campaign.dataset.labels[row["id"]]) for row in rows] == [row["label"] for row in rows]
    assert all(row["picture"].startswith("data:image/png;base64,") for row in rows)


def test_flips_are_counted_and_the_newest_shown() -> None:
    """A run that goes wrong altogether does not make the page grow without end."""
    made = MadeRun(200, flips=60)
    made.start()
    watched = Watched(made)
    made.answer(200)
    flips = watched.section("flips")
    ids = np.flatnonzero((made.board != made.host).any(1))
    assert (60, ids[: -FLIPS - 1 : -1].tolist()) == (flips["count"], [flip["id"] for flip in flips["shown"]])
    first = flips["shown"][0]
    assert (str(made.host[ids[-1]].argmax()), str(made.board[ids[-1]].argmax())) == (first["host"], first["board"])
    assert 10_000 > len(json.dumps(flips)) / len(flips["shown"])


def test_classes_have_their_names() -> None:
    """What the data set calls its classes is what is shown."""
    made = MadeRun(20)
    made.campaign.dataset = replace(made.campaign.dataset, class_names=tuple("abcdefghij"))
    made.start()
    made.answer(1)
    (row,) = Watched(made).section("recent")
    assert ("abcdefghij"[int(made.campaign.dataset.labels[0])],) * 3 == (row["board"], row["host"], row["label"])


def test_a_regression_has_values() -> None:
    """Without classes there are no flips and no accuracy, but an error, if there are targets."""
    data = features(50)
    made = MadeRun(50, dataset=data, task="regression")
    made.start()
    made.answer(50)
    watched = Watched(made)
    state = watched.section("state")
    assert data.targets is not None
    assert state["rmse"] == pytest.approx(float(np.sqrt(np.mean((made.board - data.targets) ** 2))))
    assert (None, 6 / 50, 6) == (state["top1"], 1 - state["agreement"]["value"], state["differing"])
    assert {"count": 0, "shown": []} == watched.section("flips")
    assert (None, f"{made.board[49][0]:.4g}, {made.board[49][1]:.4g}") == (
        watched.section("recent")[0]["picture"],
        watched.section("recent")[0]["board"],
    )
    made.campaign.run.scores[:] = 0xFF  # NaN
    assert watched.section("state")["rmse"] is not None
    assert Watched(made).section("state")["rmse"] is None


def test_without_labels_there_is_no_accuracy() -> None:
    """What is not known is not said."""
    made = MadeRun(20)
    made.campaign.dataset = replace(made.campaign.dataset, labels=None)
    made.start()
    made.answer(20)
    watched = Watched(made)
    assert (None, False) == (watched.section("state")["top1"], watched.section("facts")["labelled"])
    assert {None} == {row["label"] for row in watched.section("recent")}


def test_nobody_watches() -> None:
    """Then only the curves are kept up, for whoever comes; no picture is made."""
    made = MadeRun(100)
    made.start()
    watched = Watched(made)
    for _ in range(4):
        made.answer(25)
        assert watched.section("state", watched=False) is None
    assert [25, 50, 75, 100] == [point[1] for point in watched.section("history")]
    assert RECENT == len(watched.section("recent"))


def test_a_run_that_ends_early_says_why() -> None:
    """Until its test is certain nothing is said of it but that there is one."""
    made = MadeRun(100)
    made.start()
    watched = Watched(made)
    assert watched.section("state")["early"] is None
    made.campaign.early = SimpleNamespace(certain=False, text="")
    made.answer(40)
    assert "" == watched.section("state")["early"]
    made.campaign.early = SimpleNamespace(certain=True, text="regression: worse by 1 pp")
    made.campaign.queue.stop()
    assert ("regression: worse by 1 pp", 40) == tuple(watched.section("state")[key] for key in ("early", "done"))


def test_a_board_that_failed_says_why() -> None:
    """The first line of the failure is what the page says."""
    made = MadeRun(10)
    made.broken = ("suite.py::test_identity", BoardError("does not answer\nlong story", board="native"))
    state = Watched(made).section("state")
    assert "broken" == state["phase"]
    assert "does not answer" in state["broken"]
    assert "long story" not in state["broken"]


def test_a_closed_journal_is_no_surprise() -> None:
    """When a run is over its events cannot be asked for any more: those that are known stay."""
    made = MadeRun(10)
    made.start()
    made.happen("native", "restart", "it crashed")
    watched = Watched(made)
    before = watched.section("notes")

    def closed() -> Any:
        raise JournalError("closed")

    made.campaign.run.events = closed
    made.answer(10)
    assert before == watched.section("notes")
    assert [("native", "restart", "it crashed")] == [
        (one["board"], one["kind"], one["text"]) for one in before["events"]
    ]
