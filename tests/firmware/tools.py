"""Compilers for the tests of the firmware sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tinyml.firmware.emulated import find_cmake, find_generator
from tests.presence import lacking

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
CORE = sorted((FIRMWARE / "core" / "src").glob("*.c"))
INCLUDE = f"-I{FIRMWARE / 'core' / 'include'}"
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-Wstrict-prototypes", "-Werror")
FUZZ_SECONDS = 60
"""Of all targets together."""
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


def fuzz(
    sources: Sequence[Path], flags: Sequence[str], folder: Path, *, share: float, seeds: Sequence[bytes] = ()
) -> int:
    """Build a libFuzzer target and run it; returns the number of its runs.

    Args:
        sources: of the target.
        flags: for the compiler.
        folder: scratch.
        share: of the minute that all targets have (TINYML_FUZZ_SECONDS changes that).
        seeds: inputs to begin with.
    """
    seconds = max(1, round(share * int(os.environ.get("TINYML_FUZZ_SECONDS", FUZZ_SECONDS))))
    target, corpus = folder / "fuzz", folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    guards = ("-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
    run([need("clang"), *STRICT, *guards, *flags, *sources, "-o", target])
    command = [target, f"-max_total_time={seconds}", "-max_len=2048", "-print_final_stats=1", corpus]
    found = re.search(r"stat::number_of_executed_units:\s*(\d+)", run(command, timeout_s=seconds + 60.0, cwd=folder))
    assert found is not None
    return int(found.group(1))


def built_in_two_folders(
    port: str, toolchain: str, tmp_path: Path, *, app: str = "emulated", definitions: str = ""
) -> tuple[bytes, bytes]:
    """Build the firmware of one processor, without a network, from copies of the sources in two places."""
    generator, program = find_generator()
    images = []
    for name in ("one", "another/place"):
        sources, build = tmp_path / name / "firmware", tmp_path / name / "build"
        shutil.copytree(FIRMWARE, sources)
        settings = {
            "CMAKE_TOOLCHAIN_FILE": sources / "cmake" / toolchain,
            "CMAKE_MAKE_PROGRAM": program,
            "TML_PORT": port,
            "TML_PYTHON": sys.executable,
            "TML_DEFINITIONS": definitions,
        }
        flags = [f"-D{key}={value}" for key, value in settings.items()]
        run([find_cmake(), "-G", generator, "-S", sources / "apps" / app, "-B", build, *flags])
        run([find_cmake(), "--build", build, "--parallel", "2"])
        images.append((build / "firmware.elf").read_bytes())
    return images[0], images[1]
