"""Which commit was tested: from git, or from what CI says of the checkout."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMEOUT_S: Final = 10.0
"""Longest wait for git: a repository on a slow network disk is no reason to hold up a report."""
_COMMITS: Final = ("GITHUB_SHA", "CI_COMMIT_SHA")
# What was pushed comes first: of a pull request's checkout, the other variables name the merge.
_BRANCHES: Final = (
    *("GITHUB_HEAD_REF", "GITHUB_REF_NAME"),
    *("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"),
)


@cache
def git_facts(folder: Path) -> dict[str, Any] | None:
    """Return ``git`` of results.json, looked up once per process and folder: a run is of what it began with."""
    return read_git_facts(folder, os.environ)


def read_git_facts(folder: Path, environment: Mapping[str, str]) -> dict[str, Any] | None:
    """Ask git, and where it has no branch or cannot be asked, the variables of GitHub and GitLab.

    Args:
        folder: of the project.
        environment: with ``GITHUB_SHA`` or ``CI_COMMIT_SHA`` in CI.

    Returns:
        ``commit`` (hexadecimal), ``dirty`` (tracked files differ from it; None if git could not be asked) and
        ``branch`` (None if there is none); None if the commit is not known.
    """
    told = next((environment[name] for name in _COMMITS if environment.get(name)), None)
    branch = next((environment[name] for name in _BRANCHES if environment.get(name)), None)
    status = _status(folder, environment)
    if status is None:
        return None if told is None else {"commit": told, "dirty": None, "branch": branch}
    heads = dict(line.removeprefix("# branch.").split(" ", 1) for line in status if line.startswith("# branch."))
    if heads.get("oid", "(initial)") == "(initial)":
        return None
    if heads["head"] != "(detached)":
        branch = heads["head"]
    elif heads["oid"] != told:
        # Another repository than the one that CI has checked out.
        branch = None
    return {"commit": heads["oid"], "dirty": any(not line.startswith("#") for line in status), "branch": branch}


def _status(folder: Path, environment: Mapping[str, str]) -> list[str] | None:
    """Return the lines of git's second porcelain format; None without git or a repository, or if it takes too long."""
    command = ["git", "-C", os.fspath(folder), "status", "--porcelain=2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(
            command,
            # Looking is no reason to lock the index: somebody may be committing.
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").splitlines() if done.returncode == 0 else None
