"""Builds firmware and keeps it by content: the digest of what went in is the firmware's identity and its cache key."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import struct
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_tinyml import __version__
from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import BuildError, MissingToolError, UsageError
from pytest_tinyml.paths import CACHE_VARIABLE, cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COMPILE_TIMEOUT_S: Final = 600.0
_FLAGS: Final = ("-std=c11", "-O3", "-g1", "-DTML_CRC_SLICES=4")
_PROGRAM: Final = "firmware"
_LOG: Final = "build.log"
_FIRST_ERROR: Final = re.compile(
    r"^.*(?:\berror:|undefined reference|multiple definition|cannot find).*$", re.MULTILINE
)
_LOADED_SEGMENT: Final = 1
_WRITABLE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """A firmware image.

    Attributes:
        path: the ELF file.
        sha256: hex digest of sources, flags and compiler; compiled into the image, and reported in IDENTITY.
        flash_bytes: what the file's loaded segments hold.
        ram_bytes: its writable segments, zero-initialised data included.
        log_path: the compiler's whole output.
    """

    path: Path
    sha256: str
    flash_bytes: int
    ram_bytes: int
    log_path: Path


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
    own_dirs = [root / name for name in ("core/include", "ports/common", "ports/native", "apps/common", "apps/native")]
    folders = ("core/src", "ports/native", "apps/common", "apps/native")
    own = [file for name in folders for file in sorted((root / name).glob("*.c"))]
    own.append(root / "ports" / "common" / "fault_report.c")
    sources = [*own, *engine_sources]
    compiler = find_compiler()
    flags = [*_FLAGS, *(f"-D{name}={value}" for name, value in sorted((defines or {}).items())), *extra_flags]
    headers = [header for folder in (*include_dirs, *own_dirs) for header in folder.rglob("*.h")]
    digest = _digest(root, [*sources, *headers], [*compiler, *flags, _compiler_version(compiler), __version__])
    store = cache_dir() / "firmware"
    entry = store / digest
    if not (entry / _PROGRAM).is_file():
        identity = (f'-DTML_FIRMWARE_SHA256="{digest}"', f'-DTML_FIRMWARE_VERSION="{__version__}"')
        dirs = [f"-I{folder.resolve()}" for folder in (*include_dirs, *own_dirs)]
        _build(store, entry, [*compiler, *flags, *identity, *dirs], sources)
    flash_bytes, ram_bytes = elf_sizes(entry / _PROGRAM)
    return Firmware(
        path=entry / _PROGRAM,
        sha256=digest,
        flash_bytes=flash_bytes,
        ram_bytes=ram_bytes,
        log_path=entry / _LOG,
    )


def elf_sizes(path: Path) -> tuple[int, int]:
    """Return the bytes of flash and RAM that an ELF file's segments take; the ``native`` board counts the same way.

    Raises:
        BuildError: not an ELF file.
    """
    data = path.read_bytes()
    if data[:4] != b"\x7fELF" or len(data) < 64:  # noqa: PLR2004 - the ELF header's size
        msg = f"{path} is not an ELF file"
        raise BuildError(msg)
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"  # noqa: PLR2004 - ELFCLASS64
    # Offset, entry size and count of the program headers; then of each: type, flags, bytes in the file and in memory.
    table = struct.Struct(order + ("32xQ14xHH" if wide else "28xI10xHH"))
    header = struct.Struct(order + ("II24xQQ" if wide else "I12xIII"))
    offset, size, count = table.unpack_from(data)
    flash_bytes = ram_bytes = 0
    for index in range(count):
        fields = header.unpack_from(data, offset + index * size)
        kind, flags, in_file, in_memory = fields if wide else (fields[0], fields[3], fields[1], fields[2])
        if kind == _LOADED_SEGMENT:
            flash_bytes += in_file
            ram_bytes += in_memory if flags & _WRITABLE else 0
    return flash_bytes, ram_bytes


def _compiler_version(compiler: Sequence[str]) -> str:
    """Return the compiler's own description of itself, target included."""
    done = subprocess.run([*compiler, "-v"], capture_output=True, text=True, timeout=30, check=False)
    return done.stderr


def _digest(root: Path, files: Iterable[Path], texts: Sequence[str]) -> str:
    """Return the digest of files, by their place in the firmware tree or else by name, and of texts."""
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


def _build(store: Path, entry: Path, command: Sequence[str], sources: Sequence[Path]) -> None:
    """Compile into a folder of our own and move it into place whole, so that nobody sees half an entry."""
    try:
        store.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=store))
    except OSError as error:
        msg = (
            f"cannot write the cache folder {store} ({error.strerror}); set {CACHE_VARIABLE} to one that can be written"
        )
        raise UsageError(msg) from error
    try:
        _compile(work, command, sources)
        try:
            work.rename(entry)
        except OSError:
            # Another process was faster: its entry is the same as ours.
            if not (entry / _PROGRAM).is_file():
                raise
    except BuildError as error:
        kept = store / f"{entry.name[:16]}-failed.log"
        shutil.copyfile(work / _LOG, kept)
        raise BuildError(str(error), kept) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _compile(work: Path, command: Sequence[str], sources: Sequence[Path]) -> None:
    """Compile every source and link ``work/firmware``; all output goes to ``work/build.log``."""
    objects = [work / f"{index:02d}-{source.stem}.o" for index, source in enumerate(sources)]
    steps = [[*command, "-c", str(source.resolve()), "-o", str(o)] for source, o in zip(sources, objects, strict=True)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = list(pool.map(_run, steps))
    if all(code == 0 for code, _ in outputs):
        outputs.append(_run([*command, *map(str, objects), "-lm", "-o", str(work / _PROGRAM)]))
    log = "".join(text for _, text in outputs)
    (work / _LOG).write_text(log, encoding="utf-8")
    failed = next((text for code, text in outputs if code != 0), None)
    if failed is not None:
        found = _FIRST_ERROR.search(failed)
        first = found.group().strip() if found else failed.strip().splitlines()[-1]
        msg = f"the firmware of board 'native' does not build: {first}"
        raise BuildError(msg)
    for file in objects:
        file.unlink()


def _run(step: Sequence[str]) -> tuple[int, str]:
    """Run one command; return its exit code and what it said, the command itself first."""
    head = f"$ {shlex.join(step)}\n"
    try:
        done = subprocess.run(
            step,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMPILE_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},  # the first error is looked for in English
        )
    except subprocess.TimeoutExpired:
        return 1, f"{head}error: no end after {COMPILE_TIMEOUT_S:.0f} s\n"
    return done.returncode, head + done.stdout
