"""`tinyml report`: from the journal alone, also of runs whose process did not live to say anything."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from pytest_tinyml.cli import main
from tests.projects import OWN, S1, results_schema, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.projects import Project


def remade(project: Project, *arguments: str) -> dict[str, Any]:
    """Return results.json as `tinyml report` makes it."""
    assert 0 == main(["report", "--journal", str(project.journal), "--output", str(project.path / "again"), *arguments])
    return project.results("again")


def test_the_same_again(project: Project) -> None:
    """What the session has written is made again, without model and data."""
    project.run(*OWN)
    for name in ("own.tflite", "own.npz"):
        (project.path / name).unlink()
    assert remade(project, "--format", "none") == project.results()


def test_a_killed_run(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """After kill -9 the report says what was answered, and that the run is not finished."""
    process = project.spawn(*S1, "--tinyml-limit=6000", "--tinyml-option=fault=slow=2000")
    wait_until(lambda: project.answers() >= 800, 120.0, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    answered = project.answers()
    results = remade(project, "--format", "none")
    jsonschema.validate(results, results_schema())
    assert results["passed"] is False
    assert results["problems"] == [
        f"incomplete: {answered:,} of 6,000 samples were answered; the run was ended before its verdict"
    ]
    metrics = results["metrics"]
    assert (metrics["count"], metrics["flips"]) == (answered, [])
    assert metrics["bit_exact_ratio"] == 1.0
    assert 0.9 < metrics["top1_board"] < 1.0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("INCOMPLETE: s1-ptq on native")
    main(["report", "--journal", str(project.journal), "--list"])
    (listed,) = capsys.readouterr().out.splitlines()
    assert f"s1-ptq on native, {answered:,} of 6,000: ended before its verdict, unfinished" in listed
    started = results["run"]["started"]
    assert f" {started.replace('T', ' ').removesuffix('Z')} UTC " in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("7",), "no run '7' in {journal}; newest first: 1"),
        (("--format", "htlm"), "no report format named 'htlm'; known: "),
        (("--journal", "nowhere.sqlite"), "no journal nowhere.sqlite: name the one of the run with --journal"),
    ],
)
def test_refused(
    project: Project, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    """What is not there is named, with what is."""
    project.run(*OWN)
    journal: Path = project.journal
    assert 2 == main(["report", "--journal", str(journal), *arguments])
    assert capsys.readouterr().err.startswith(f"tinyml: {message.format(journal=journal)}")
