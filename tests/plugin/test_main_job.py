"""The README's first command runs in this repository with what the package itself brings, and nothing of the tests'."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = """
import sys

for name in {names!r}:
    sys.modules[name] = None  # importing it is an error

import pytest

sys.exit(pytest.main(["--board=native", "--tinyml-model=s1-ptq", "--tinyml-limit=100", "--tinyml-report", {report!r},
                      "--tinyml-journal", {journal!r}, "-p", "no:cacheprovider", "-q"]))
"""


def only_for_tests() -> list[str]:
    """Return the modules that the test group brings and the package does not need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed, tests = (
        {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}
        for requirements in (project["project"]["dependencies"], project["dependency-groups"]["test"])
    )
    modules = {"pytest-xdist": "xdist", "pyyaml": "yaml", "pyserial": "serial"}
    return sorted(modules.get(name, name.replace("-", "_")) for name in tests - needed)


def test_no_test_tools(tmp_path: Path) -> None:
    """Without them it collects this repository's tests of a board, and passes."""
    names = only_for_tests()
    assert {"hypothesis", "jsonschema", "xdist"} < set(names)
    code = RUN.format(names=names, report=str(tmp_path / "report"), journal=str(tmp_path / "journal.sqlite"))
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_tinyml.shell.plugin"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=_environment() | env, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "passed: s1-ptq on native" in done.stdout


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_"))}
