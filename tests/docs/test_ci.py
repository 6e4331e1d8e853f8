"""The workflows in the documentation do what they say: their commands run, and make the files that they keep."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from tests.docs.snippets import ROOT, blocks

if TYPE_CHECKING:
    from tests.projects import Project

HOW_TO: Final = ROOT / "docs" / "how-to"
RUNNER: Final = HOW_TO / "self-hosted-runner" / "self-hosted-runner.yml"
LIMIT: Final = "--tinyml-limit=100"


def workflow(page: str) -> dict[str, Any]:
    """Return the only YAML block of a page."""
    (text,) = (text for language, text in blocks(HOW_TO / page) if language == "yaml")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def run(project: Project, command: str) -> None:
    """Run a job's pytest twice, as before and after a baseline was kept."""
    program, *arguments = shlex.split(command)
    assert "pytest" == program
    assert 0 == project.run(*arguments, LIMIT).ret
    storage = arguments[arguments.index("--tinyml-storage") + 1]
    kept = ("--board=native", "--tinyml-model=s1-ptq", "--tinyml-storage", storage, "--tinyml-save=main")
    assert 0 == project.run(*kept, LIMIT).ret
    result = project.run(*arguments, LIMIT)
    assert 0 == result.ret
    assert "gate passed: top-1 " in str(result.stdout)


def test_github(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job's command passes, writes what is uploaded, and its page has the verdict of each run."""
    (job,) = workflow("ci-github.md")["jobs"].values()
    assert 0 < job["timeout-minutes"] <= 60
    (command,) = (step["run"] for step in job["steps"] if step.get("run", "").startswith("pytest"))
    page = project.path / "page.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    run(project, command)
    assert 2 == page.read_text(encoding="utf-8").count("### ✅ passed: `s1-ptq` on `native`")
    (upload,) = (step for step in job["steps"] if "upload-artifact" in step.get("uses", ""))
    assert "always()" == upload["if"]
    missing = [name for name in upload["with"]["path"].split() if not (project.path / name).is_file()]
    assert [] == missing


def test_gitlab(project: Project) -> None:
    """The job's command passes and writes what GitLab reads and keeps."""
    pipeline = workflow("ci-gitlab.md")
    (job,) = (one for name, one in pipeline.items() if name != "stages")
    assert job["stage"] in pipeline["stages"]
    (command,) = job["script"]
    run(project, command)
    kept = job["artifacts"]
    assert "always" == kept["when"]
    names = [*kept["paths"], *kept["reports"]["junit"], kept["reports"]["metrics"]]
    assert [] == [name for name in names if not (project.path / name).is_file()]


@pytest.mark.parametrize("page", ["ci-github.md", "ci-gitlab.md", "self-hosted-runner.yml"])
def test_no_secret_is_written_down(page: str) -> None:
    """A workflow names secrets, and has none."""
    text = (RUNNER if page == RUNNER.name else HOW_TO / page).read_text(encoding="utf-8")
    values = re.findall(r"(?:PASSWORD|TOKEN|SECRET|SSID)\w*: *(.*)", text)
    assert [] == [value for value in values if not value.startswith("${{ secrets.")]


def test_self_hosted_runner() -> None:
    """The workflow for boards at a desk is YAML, waits for one board at a time, and has a bound."""
    (job,) = yaml.safe_load(RUNNER.read_text(encoding="utf-8"))["jobs"].values()
    assert 0 < job["timeout-minutes"] <= 240
    assert job["concurrency"]["cancel-in-progress"] is False
    boards = {one["board"] for one in job["strategy"]["matrix"]["include"]}
    assert {"esp32cam"} == boards
