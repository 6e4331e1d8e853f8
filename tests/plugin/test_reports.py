"""What a session writes for CI systems, and how its summary looks on a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.projects import OWN, output

if TYPE_CHECKING:
    from tests.projects import Project

FORMATS = "--tinyml-formats=csv,junit,markdown,openmetrics"
FILES = ["junit.xml", "metrics.txt", "predictions.csv", "results.json", "summary.md"]
RED, GREEN, YELLOW = "\x1b[31m", "\x1b[32m", "\x1b[33m"


def suite_properties(project: Project, file: str = "suite.xml") -> dict[str | None, str | None]:
    """Return the properties of the first suite in a JUnit file."""
    suite = ET.fromstring((project.path / file).read_bytes()).find("testsuite")  # noqa: S314 - written by pytest
    assert suite is not None
    return {one.get("name"): one.get("value") for one in suite.findall("properties/property")}


def test_files(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every format is a file in the report folder, named in the summary, and made again by tinyml report as it was."""
    from pytest_tinyml.cli import main

    page = project.path / "page.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    result = project.run(*OWN, FORMATS, "--junitxml=suite.xml")
    assert 0 == result.ret
    folder = project.path / "tinyml-report"
    assert FILES == sorted(path.name for path in folder.iterdir() if path.is_file())
    for name in ("junit.xml", "metrics.txt", "predictions.csv", "summary.md"):
        assert f"report: tinyml-report/{name}" in output(result)
    assert (folder / "summary.md").read_text(encoding="utf-8") == page.read_text(encoding="utf-8")
    assert 41 == len((folder / "predictions.csv").read_text(encoding="utf-8").splitlines())
    properties = suite_properties(project)
    for key, value in suite_properties(project, "tinyml-report/junit.xml").items():
        assert value == properties[key]
    results = project.results()
    assert results["model"]["sha256"] == properties["tinyml_model_sha256"]
    assert str(results["metrics"]["top1_board"]) == properties["tinyml_top1"]
    written = {name: (folder / name).read_bytes() for name in FILES if name != "results.json"}
    assert 0 == main(["report", "--format=csv,junit,markdown,openmetrics", "--output=again"])
    assert written == {name: (project.path / "again" / name).read_bytes() for name in written}
    assert written["summary.md"].decode() == page.read_text(encoding="utf-8")


def test_several_runs_in_one_file(project: Project) -> None:
    """The file of --junitxml has the properties of each run, by its name."""
    project.run(*OWN[2:], "--board=native,tflm", "--junitxml=suite.xml")
    properties = suite_properties(project)
    assert ("native", "tflm") == (properties["tinyml_board[native]"], properties["tinyml_board[tflm]"])


def test_without_junit(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pytest's JUnit plugin nor a report is needed, and then nothing is added to GitHub's page."""
    page = project.path / "page.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    assert 0 == project.run(*OWN, "-p", "no:junitxml", "--tinyml-formats=none").ret
    assert not page.exists()


def test_the_page_cannot_be_written(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said, and the session has passed."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path))
    result = project.run(*OWN, "--tinyml-formats=markdown")
    assert 0 == result.ret
    assert f"cannot append to GITHUB_STEP_SUMMARY, {project.path}: Is a directory" in output(result)


@pytest.mark.parametrize(
    ("arguments", "environment", "colours"),
    [
        (("--color=yes",), {}, True),
        (("--color=no",), {}, False),
        ((), {}, False),
        ((), {"FORCE_COLOR": "1"}, True),
        ((), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    colours: bool,
) -> None:
    """Only where pytest writes colours, or is told to, there are any."""
    for name in ("NO_COLOR", "FORCE_COLOR", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    lines = str(project.run(*OWN, "--tinyml-option=fault=engine-error@3", *arguments).stdout).splitlines()
    (head,) = (line for line in lines if "FAILED: own" in line)
    assert colours == head.startswith(f"{RED}FAILED: own")
    assert colours == any("\x1b[" in line for line in lines)
    assert not json.dumps(project.results()).count("\\u001b")
