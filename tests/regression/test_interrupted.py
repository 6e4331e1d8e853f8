"""Ctrl-C, a full disk, a report folder that goes away: what was answered stays, and the message says how to go on."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.processes import session_members
from tests.projects import S1, Project, output, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW = (*S1, "--tinyml-limit=6000", "--tinyml-option=fault=slow=2000")


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["pytest", "terminal"])
def test_ctrl_c(project: Project, send: Callable[[int, int], None]) -> None:
    """SIGINT, also as a terminal sends it to all processes: exit code 2, no traceback of ours, and it resumes."""
    process = project.spawn(*SLOW)
    wait_until(lambda: project.answers() >= 800, 120.0, process)
    send(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2, text
    assert session_members(process.pid) == []
    assert "Traceback" not in text
    answered = project.answers()
    assert 800 <= answered < 6000
    assert f"the journal keeps the {answered:,} answers: the same command goes on from there" in text
    results = project.results()
    assert results["passed"] is False
    assert results["problems"] == [f"incomplete: {answered:,} of 6,000 samples were answered"]
    assert results["faults"] == []
    result = project.run(*S1, "--tinyml-limit=6000")
    result.assert_outcomes(passed=12)
    assert f"tinyml: resuming: {answered:,} of 6,000 samples are in .tinyml/journal.sqlite" in output(result)
    assert project.results()["passed"] is True


def test_fresh_starts_over(project: Project) -> None:
    """--tinyml-fresh measures again what an interrupted run had measured."""
    process = project.spawn(*SLOW)
    wait_until(lambda: project.answers() >= 500, 120.0, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    result = project.run(*S1, "--tinyml-limit=6000", "--tinyml-fresh")
    result.assert_outcomes(passed=12)
    assert "resuming" not in output(result)
    assert project.results()["throughput"]["resumed_samples"] == 0


FULL = """
import resource

import pytest_tinyml.campaign.run as run

original = run.Campaign.start


def start(self):
    # From here on no file of this process can grow beyond this, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000))
    original(self)


run.Campaign.start = start
"""


def test_disk_full_during_the_run(project: Project) -> None:
    """When the journal cannot grow one test fails and says what to do; the rest skips; the next start resumes."""
    project.pytester.makeconftest(FULL)
    process = project.spawn(*S1)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 1, text
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text
    assert f"JournalError: the journal {project.journal} cannot be written: " in text
    assert "What was committed before is safe; free some space" in text
    assert "start again to resume" in text
    assert text.count("FAILED test_board.py") == 1
    answered = project.answers()
    (project.path / "conftest.py").unlink()
    result = project.run(*S1)
    result.assert_outcomes(passed=34)
    assert project.results()["throughput"]["resumed_samples"] == answered


BLOCKED = {
    "folder in its place": "(folder / 'results.json' / 'x').mkdir(parents=True)",
    "file in the folder's place": "(shutil.rmtree(folder), folder.write_text(''))",
}


@pytest.mark.parametrize("how", BLOCKED)
@pytest.mark.parametrize("terminal", [True, False])
def test_report_that_cannot_be_written(project: Project, how: str, *, terminal: bool) -> None:
    """A report that cannot be written at the end says where the results are, and the exit code is not 0."""
    project.pytester.makeconftest(
        "import shutil\n"
        "def pytest_tinyml_results(config):\n"
        "    folder = config.rootpath / 'tinyml-report'\n"
        f"    {BLOCKED[how]}\n"
    )
    process = project.spawn(*S1, "--tinyml-limit=500", *([] if terminal else ["-p", "no:terminal"]))
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 1, text
    assert "Traceback" not in text
    assert f"ERROR: cannot write {project.path}/tinyml-report/results.json: " in text
    assert "; every result is safe in the journal" in text
    assert project.answers() == 500


def test_second_session_on_the_same_run(project: Project) -> None:
    """Two sessions cannot work on one run: the second says which process has it, and the first goes on."""
    # Half a minute: meanwhile the second session has to come as far as the journal.
    process = project.spawn(*SLOW[:-1], "--tinyml-option=fault=slow=5000")
    wait_until(lambda: project.answers() >= 20, 120.0, process)
    result = project.run(*S1, "--tinyml-limit=6000", "--tinyml-report=other")
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] == 1
    assert f"process {process.pid} is working on the same run in {project.journal}: wait for it" in output(result)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 2
