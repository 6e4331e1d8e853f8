"""kill -9 of pytest in the middle of a run: nothing that was answered is lost, and nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.processes import session_members
from tests.projects import S1, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.projects import Project

SAMPLES: Final = 28_000
MOMENTS: Final = 10
SEED: Final = 20_260
# Ten kills in the first half, each seconds before the end, however late this process comes to it.
RUN: Final = (*S1, "--tinyml-option=fault=slow=250", "--tinyml-shard-size=28000")


def _scores(journal: Path) -> list[tuple[int, bytes]]:
    """Return sample and scores of everything in the journal, which has to hold one run."""
    with sqlite3.connect(journal) as db:
        rows = db.execute("SELECT sample, scores FROM result ORDER BY sample").fetchall()
        ((runs,),) = db.execute("SELECT count(*) FROM run").fetchall()
    db.close()
    assert runs == 1
    return rows


def _reached(project: Project, moment: int) -> bool:
    return project.answers() >= moment


def test_resumed_run_equals_an_undisturbed_one(project: Project, pytestconfig: pytest.Config) -> None:
    """Ten kills at random moments, then a run to the end: scores equal an undisturbed run's byte for byte."""
    undisturbed = project.path / "undisturbed.sqlite"
    project.run(*S1, f"--tinyml-journal={undisturbed}").assert_outcomes(passed=34)
    # Seeded and printed, so that a failure can be repeated.
    moments = sorted(random.Random(SEED).sample(range(500, SAMPLES // 2), MOMENTS))  # noqa: S311
    print(f"kill -9 after {moments} samples")  # noqa: T201 - pytest shows it with a failure
    kept = 0
    for moment in moments:
        process = project.spawn(*RUN)
        wait_until(partial(_reached, project, max(moment, kept + 1)), 120.0, process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        # Boards and references see the end of their lines, or that their parent is gone.
        deadline = time.monotonic() + 30.0
        while session_members(process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert session_members(process.pid) == []
        answered = project.answers()
        assert max(moment, kept + 1) <= answered < SAMPLES
        kept = answered
    with project.spawn(*S1) as process:
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 0, text
    assert f"tinyml: resuming: {kept:,} of 28,000 samples are in .tinyml/journal.sqlite" in text
    assert project.results()["passed"] is True
    assert _scores(project.journal) == _scores(undisturbed)
