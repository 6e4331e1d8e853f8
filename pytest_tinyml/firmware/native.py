"""The firmware of board ``native``: the system's C compiler, called directly, file by file on all cores."""

from __future__ import annotations

import os
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from pytest_tinyml import __version__
from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import BuildError, MissingToolError
from pytest_tinyml.firmware.build import LOG, compiler_version, digest_of, first_error, kept, run_step
from pytest_tinyml.firmware.image import Firmware, elf_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Float sums must be those of TensorFlow Lite Micro: no multiplication and addition in one instruction.
_FLAGS: Final = ("-std=c11", "-O3", "-g1", "-ffp-contract=off", "-DTML_CRC_SLICES=4")
_PROGRAM: Final = "firmware"


def find_compiler() -> tuple[str, ...]:
    """Return the command of the system's C compiler: ``$CC``, else cc, gcc or clang.

    Raises:
        MissingToolError: there is none.
    """
    asked = os.environ.get("CC", "").strip()
    candidates = [shlex.split(asked)] if asked else [["cc"], ["gcc"], ["clang"]]
    for command in candidates:
        if shutil.which(command[0]):
            return tuple(command)
    tool = f"the C compiler of CC={asked!r}" if asked else "a C compiler (cc, gcc or clang)"
    raise MissingToolError(tool, "building firmware for board 'native'", "sudo apt-get install gcc")


def build_native(
    engine_sources: Sequence[Path],
    include_dirs: Sequence[Path],
    defines: Mapping[str, str] | None = None,
    extra_flags: Sequence[str] = (),
) -> Firmware:
    """Build the firmware for board ``native``, or take it from the cache.

    Args:
        engine_sources: C files that define ``tml_the_engine`` and ``tml_the_model``, and what they need.
        include_dirs: folders of their headers, searched before the core's.
        defines: preprocessor macros for all files.
        extra_flags: for all files and for the linker.

    Returns:
        The firmware, in the cache. Two processes may build the same at the same time.

    Raises:
        MissingToolError: no C compiler.
        BuildError: it does not compile; with the first error and the log's path.
        UsageError: the cache folder cannot be written.
    """
    root = assets_dir("firmware")
    folders = ("net", "console", "mlperf", "ports/native", "apps/common", "apps/pulling", "apps/wired", "apps/native")
    own_dirs = [root / name for name in ("core/include", "ports/common", *folders)]
    own = [file for name in ("core/src", *folders) for file in sorted((root / name).glob("*.c"))]
    own.append(root / "ports" / "common" / "fault_report.c")
    sources = [*own, *engine_sources]
    compiler = find_compiler()
    flags = [*_FLAGS, *(f"-D{name}={value}" for name, value in sorted((defines or {}).items())), *extra_flags]
    headers = [header for folder in (*include_dirs, *own_dirs) for header in folder.rglob("*.h")]
    digest = digest_of(root, [*sources, *headers], [*compiler, *flags, compiler_version(compiler), __version__])
    identity = (f'-DTML_FIRMWARE_SHA256="{digest}"', f'-DTML_FIRMWARE_VERSION="{__version__}"')
    dirs = [f"-I{folder.resolve()}" for folder in (*include_dirs, *own_dirs)]
    entry = kept(digest, _PROGRAM, lambda work: _compile(work, [*compiler, *flags, *identity, *dirs], sources))
    flash_bytes, ram_bytes = elf_sizes(entry / _PROGRAM)
    return Firmware(
        path=entry / _PROGRAM,
        sha256=digest,
        flash_bytes=flash_bytes,
        ram_bytes=ram_bytes,
        log_path=entry / LOG,
    )


def _compile(work: Path, command: Sequence[str], sources: Sequence[Path]) -> None:
    """Compile every source and link ``work/firmware``; all output goes to ``work/build.log``."""
    objects = [work / f"{index:02d}-{source.stem}.o" for index, source in enumerate(sources)]
    steps = [[*command, "-c", str(source.resolve()), "-o", str(o)] for source, o in zip(sources, objects, strict=True)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = list(pool.map(run_step, steps))
    if all(code == 0 for code, _ in outputs):
        outputs.append(run_step([*command, *map(str, objects), "-lm", "-o", str(work / _PROGRAM)]))
    (work / LOG).write_text("".join(text for _, text in outputs), encoding="utf-8")
    failed = next((text for code, text in outputs if code != 0), None)
    if failed is not None:
        msg = f"the firmware of board 'native' does not build: {first_error(failed)}"
        raise BuildError(msg)
    for file in objects:
        file.unlink()
