"""The README's five systems: each command, as it stands there, on the board that stands in for its part.

Run with ``tox run -e espdl``: S3's reference needs the extra ``espdl``, and the emulated boards their packages.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_tinyml.boards.base import missing_for
from pytest_tinyml.boards.registry import Registry
from tests.presence import lacking

pytestmark = pytest.mark.systems
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SYSTEMS = ("S0", "S1", "S2", "S3", "S4")
LIMIT_S = 900


def commands() -> dict[str, str]:
    """Return each system's command."""
    section = README.partition("## Five systems\n")[2].partition("\n## ")[0]
    return {name: command for command, name in re.findall(r"^\$ (pytest .*?)\s+# (S\d),", section, re.MULTILINE)}


def test_every_system_has_a_command() -> None:
    """The test below cannot be empty."""
    assert list(SYSTEMS) == list(commands())


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system(system: str, tmp_path: Path) -> None:
    """The command passes in an empty folder, and every one of 28,000 samples was answered and compared."""
    arguments = shlex.split(commands()[system])[1:]
    board = arguments[arguments.index("--board") + 1]
    missing = missing_for(Registry().get(board), {})
    if missing:
        lacking(f"{system}: board {board!r} needs {', '.join(item.what for item in missing)}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = (tmp_path / "tinyml-report").rglob("results.json")
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    assert len(runs) == arguments.count("--tinyml-model")
    for run in runs:
        assert run["passed"]
        assert run["metrics"]["count"] == 28_000
        assert run["metrics"]["argmax_agreement"] == 1.0
