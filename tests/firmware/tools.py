"""Compilers for the tests of the firmware sources."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.presence import lacking

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
CORE = sorted((FIRMWARE / "core" / "src").glob("*.c"))
INCLUDE = f"-I{FIRMWARE / 'core' / 'include'}"
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-Wstrict-prototypes", "-Werror")
SANITIZE = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def need(tool: str) -> str:
    """Return a program's name; without the program the test is skipped, in CI it fails."""
    if shutil.which(tool) is None:
        lacking(f"{tool} is not installed")
    return tool


def run(command: Sequence[object], timeout_s: float = 120.0, cwd: Path | None = None) -> str:
    """Run a command and return its output; its failure fails the test with the output."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout
