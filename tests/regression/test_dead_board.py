"""A board that dies for good is one failure, and nothing that it had answered is lost."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from tests.projects import S1, output

if TYPE_CHECKING:
    from pathlib import Path

    from tests.projects import Project

DYING = """
import pytest_tinyml.boards.native as native

starts = []


class Board(native.NativeBoard):
    def command(self, transport):
        # Eight canaries, twice, come before the run.
        starts.append(1)
        return [*super().command(transport), "--fault", "exit@1040" if len(starts) == 1 else "exit@1"]


class Kind(native.NativeKind):
    name = "dying"

    def create(self, request):
        return Board(request)


def pytest_tinyml_boards(registry):
    registry.register(Kind())
"""
S1_DYING = ("--board", "dying", *S1[2:], "--tinyml-limit=3000", "--tinyml-shard-size=500")


def _rows(journal: Path, statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(journal) as db:
        rows = db.execute(statement).fetchall()
    db.close()
    return rows


def test_one_failure_then_skips(project: Project) -> None:
    """Shards before the death pass, one fails with all that is known, later tests skip, the next start resumes."""
    project.pytester.makeconftest(DYING)
    result = project.run(*S1_DYING, "-rs")
    text = output(result)
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1, text
    assert outcomes["passed"] + outcomes["skipped"] == 11
    # Identity, canary and the first two shards at least: 1,024 samples were answered, or a few less.
    assert outcomes["passed"] >= 3
    answered = project.results()["metrics"]["count"]
    assert 500 <= answered <= 1024
    assert f"last sample answered: {answered - 1}" in text
    assert "the board closed the link (ended with exit code 3)" in text
    assert "fault injected: exit@1" in text
    assert re.search(r"console log: \S+native.console.log", text)
    assert "the board failed in test_samples[" in text
    assert f"the journal keeps the {answered:,} answers: the same command goes on from there" in text
    assert "Traceback" not in text
    assert "The above exception" not in text
    # No sample is to blame for a board that answers none.
    assert _rows(project.journal, "SELECT count(*) FROM failure") == [(0,)]
    (project.path / "conftest.py").write_text(DYING.replace("exit@1040", "exit@100000"), encoding="utf-8")
    result = project.run(*S1_DYING)
    result.assert_outcomes(passed=12)
    assert f"resuming: {answered:,} of 3,000 samples" in output(result)
    assert _rows(project.journal, "SELECT count(*) FROM result") == [(3000,)]


def test_exit_first(project: Project) -> None:
    """With -x the session ends with the failure, and says so once."""
    project.pytester.makeconftest(DYING)
    result = project.run(*S1_DYING, "-x")
    assert result.parseoutcomes()["failed"] == 1
    assert "stopping after 1 failures" in output(result)
    assert project.results()["passed"] is False


def test_dead_from_the_start(project: Project) -> None:
    """A board that never answers an inference fails at the canary; the rest skips, and results.json says why."""
    result = project.run(*S1, "--tinyml-limit=3000", "--tinyml-option=fault=exit@1", "-rs")
    result.assert_outcomes(passed=1, failed=1, skipped=7)
    text = output(result)
    assert "the board failed in test_canary: board 'native': the board is gone" in text
    assert project.results()["passed"] is False
    assert project.results()["problems"][0].startswith("test_canary: BoardCrashedError: board 'native': ")


def test_poisoned_sample(project: Project) -> None:
    """A sample that kills the board each time is named; all others are answered."""
    faults = '{1: "exit@516", 2: "exit@1", 3: "exit@1"}.get(len(starts), "exit@99999")'
    project.pytester.makeconftest(DYING.replace('"exit@1040" if len(starts) == 1 else "exit@1"', faults))
    result = project.run(*S1_DYING)
    result.assert_outcomes(passed=10, failed=2)
    text = output(result)
    failed = project.results()["metrics"]["failed"]
    assert len(failed) == 1, text
    named = f"first: #{failed[0]['id']}: the board failed 2 times on this sample"
    assert f"1 of 500 samples failed on the board; {named}" in text
    assert project.results()["metrics"]["count"] == 2999
    assert project.results()["passed"] is False
