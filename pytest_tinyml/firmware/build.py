"""The parts that all builds share: what counts as the same firmware, where it is kept, how a tool is run."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_tinyml.contentcache import keep
from pytest_tinyml.errors import BuildError
from pytest_tinyml.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

STEP_TIMEOUT_S: Final = 600.0
LOG: Final = "build.log"
_COMPILER: Final = re.compile(r"\b(gcc|clang) version ([0-9.]+)")
# CMake says on the next line what is wrong.
_FIRST_ERROR: Final = re.compile(
    r"^CMake Error.*:\n+.+$"
    r"|^.*(?:\berror:|undefined reference|undefined symbol|multiple definition|cannot find|CMake Error).*$",
    re.MULTILINE,
)


@cache
def compiler_version(compiler: tuple[str, ...]) -> str:
    """Return the compiler's own description of itself, target included."""
    # Part of the firmware's identity, so not in the user's language.
    done = subprocess.run(
        [*compiler, "-v"], capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    return done.stderr


def too_old(program: str, have: tuple[int, int], oldest: tuple[int, int]) -> str | None:
    """Return what is missing where a program is older than it may be; None if it is not."""
    if have >= oldest:
        return None
    needed, found = (".".join(map(str, version)) for version in (oldest, have))
    return f"{program} {needed} or later (this is {found})"


def gcc_version(path: str) -> tuple[int, int] | None:
    """Return the version of the GCC at a path; None of anything else."""
    try:
        found = _COMPILER.search(compiler_version((path,)))
    except (OSError, subprocess.TimeoutExpired):
        return None
    if found is None or found[1] != "gcc":
        return None
    major, minor, *_ = (*map(int, filter(None, found[2].split("."))), 0)
    return major, minor


def compiler_name(compiler: tuple[str, ...]) -> str:
    """Return a compiler's name and version for people, e.g. ``arm-none-eabi-gcc 12.2.1``."""
    found = _COMPILER.search(compiler_version(compiler))
    name = " ".join(part for part in compiler if not part.startswith("-")).rpartition("/")[2]
    return (
        f"{name} ({found[1]} {found[2]})" if found and found[1] not in name else f"{name} {found[2] if found else ''}"
    )


def digest_of(root: Path, files: Iterable[Path], texts: Sequence[str]) -> str:
    """Return the digest of files, by their place in the firmware tree `root` or else by name, and of texts."""
    tree = root.resolve()
    entries: set[tuple[str, bytes]] = set()
    for file in files:
        path = file.resolve()
        name = path.relative_to(tree).as_posix() if path.is_relative_to(tree) else f"generated/{path.name}"
        entries.add((name, hashlib.sha256(path.read_bytes()).digest()))
    parts = [item for name, content in sorted(entries) for item in (name.encode(), content)]
    total = hashlib.sha256()
    for part in (*parts, b"", *(text.encode() for text in texts)):
        total.update(len(part).to_bytes(4, "little") + part)
    return total.hexdigest()


def kept(digest: str, program: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of a build in the cache, made by `make` if it is not there.

    Args:
        digest: what went in.
        program: name of the file without which the folder is not complete.
        make: builds into the empty folder that it is given, and leaves `LOG` there whatever happens.

    Raises:
        UsageError: the cache folder cannot be written.
        BuildError: from `make`; the log is kept.
    """
    store = cache_dir() / "firmware"

    def build(work: Path) -> None:
        try:
            make(work)
        except BuildError as error:
            if (work / LOG).is_file():
                error.keep_log(Path(shutil.copyfile(work / LOG, store / f"{digest[:16]}-failed.log")))
            raise

    return keep(store / digest, build, lambda entry: entry if (entry / program).is_file() else None)


def first_error(output: str) -> str:
    """Return the line of a tool's output that says what is wrong."""
    found = _FIRST_ERROR.search(output)
    lines = output.strip().splitlines()
    return " ".join(found.group().split()) if found else (lines[-1] if lines else "no output")


def run_step(step: Sequence[str], cwd: Path | None = None, *, limit_s: float = STEP_TIMEOUT_S) -> tuple[int, str]:
    """Run one command; return its exit code and what it said, the command itself first."""
    head = f"$ {shlex.join(step)}\n"
    try:
        done = subprocess.run(
            step,
            stdin=subprocess.DEVNULL,  # a tool that asks shall fail, not wait
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C"},  # the first error is looked for in English
        )
    except subprocess.TimeoutExpired:
        return 1, f"{head}error: no end after {limit_s:.0f} s\n"
    return done.returncode, head + done.stdout
