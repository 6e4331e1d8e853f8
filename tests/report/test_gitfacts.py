"""The commit that was tested."""

from __future__ import annotations

import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.report import gitfacts
from pytest_tinyml.report.gitfacts import read_git_facts
from tests.presence import lacking

if TYPE_CHECKING:
    from pathlib import Path

GITHUB = {"GITHUB_SHA": "a" * 40, "GITHUB_REF_NAME": "7/merge", "GITHUB_HEAD_REF": "faster"}
GITLAB = {"CI_COMMIT_SHA": "b" * 40, "CI_COMMIT_REF_NAME": "faster"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables under which git is nobody's in particular."""
    git = shutil.which("git") or lacking("git is not installed")
    who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    # A temporary folder may lie in a repository.
    return {"PATH": str(git).rpartition("/")[0], "HOME": str(tmp_path), "GIT_CEILING_DIRECTORIES": "/"} | who


def _git(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, environment: dict[str, str]) -> Path:
    """A repository with one commit on the branch ``work``."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "model.txt").write_text("one\n", encoding="utf-8")
    _git(folder, environment, "init", "--quiet")
    _git(folder, environment, "checkout", "--quiet", "-b", "work")
    _git(folder, environment, "add", ".")
    _git(folder, environment, "commit", "--quiet", "-m", "First")
    return folder


def test_repository(repository: Path, environment: dict[str, str]) -> None:
    """The commit and the branch are git's; only a changed tracked file makes it dirty, and CI's word is not needed."""
    commit = _git(repository, environment, "rev-parse", "HEAD")
    (repository / "results.json").write_text("{}", encoding="utf-8")
    assert {"commit": commit, "dirty": False, "branch": "work"} == read_git_facts(repository, environment | GITHUB)
    (repository / "model.txt").write_text("two\n", encoding="utf-8")
    assert {"commit": commit, "dirty": True, "branch": "work"} == read_git_facts(repository, environment)


def test_detached(repository: Path, environment: dict[str, str]) -> None:
    """CI checks a commit out, not a branch: the branch is what CI says, if that is about this commit."""
    commit = _git(repository, environment, "rev-parse", "HEAD")
    _git(repository, environment, "checkout", "--quiet", "--detach")
    here = environment | GITHUB | {"GITHUB_SHA": commit}
    assert {"commit": commit, "dirty": False, "branch": "faster"} == read_git_facts(repository, here)
    assert {"commit": commit, "dirty": False, "branch": None} == read_git_facts(repository, environment | GITHUB)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (GITHUB, {"commit": "a" * 40, "dirty": None, "branch": "faster"}),
        (GITHUB | {"GITHUB_HEAD_REF": ""}, {"commit": "a" * 40, "dirty": None, "branch": "7/merge"}),
        (GITLAB, {"commit": "b" * 40, "dirty": None, "branch": "faster"}),
        ({}, None),
    ],
)
def test_no_repository(
    tmp_path: Path, environment: dict[str, str], variables: dict[str, str], expected: dict[str, object] | None
) -> None:
    """Without a repository CI's variables say it, or nobody."""
    assert expected == read_git_facts(tmp_path, environment | variables)
    assert expected == read_git_facts(tmp_path, {"PATH": str(tmp_path)} | variables)


def test_no_commit_yet(tmp_path: Path, environment: dict[str, str]) -> None:
    """A repository without a commit has none to name."""
    _git(tmp_path, environment, "init", "--quiet")
    assert None is read_git_facts(tmp_path, environment)


def test_slow_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for git is bounded."""
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 30\n", encoding="utf-8")
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(gitfacts, "TIMEOUT_S", 0.2)
    # subprocess looks a program up in the path that it gives it.
    expected = {"commit": "b" * 40, "dirty": None, "branch": "faster"}
    assert expected == read_git_facts(tmp_path, {"PATH": f"{tmp_path}:/bin:/usr/bin"} | GITLAB)
