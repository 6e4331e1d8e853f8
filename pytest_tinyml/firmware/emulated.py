"""Firmware without an operating system, cross-compiled by CMake: ``firmware/apps/emulated`` and ``nucleo_f446re``."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_tinyml import __version__
from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import BuildError, DoesNotFitError, MissingToolError
from pytest_tinyml.firmware.build import (
    LOG,
    compiler_version,
    digest_of,
    first_error,
    gcc_version,
    kept,
    run_step,
    too_old,
)
from pytest_tinyml.firmware.image import Firmware, Region, memory_use, regions, sections_by_memory, symbol_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OLDEST_GCC: Final = (8, 0)
"""The first with -ffile-prefix-map, by which the same sources give the same bytes in any folder."""
_PROGRAM: Final = "firmware.elf"
_MAP: Final = "firmware.map"
_FRAMES: Final = "frames.txt"
# GNU ld, and LLVM's lld.
_OVERFLOW: Final = re.compile(
    r"region [`'](\w+)' overflowed by (\d+) bytes|in region '(\w+)': overflowed by (\d+) bytes"
)
# What a port shares with others, as its port.cmake says it.
_SHARED: Final = re.compile(r"^include\(\$\{CMAKE_CURRENT_LIST_DIR\}/\.\./(\w+)/", re.MULTILINE)
_FRAME: Final = re.compile(r"^(?:.*:)?([^:\t]+)\t(\d+)\t", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """A cross compiler.

    Attributes:
        name: what users call it.
        file: CMake toolchain file below ``firmware/cmake``.
        command: the compiler.
        install: the command that installs it.
        package: the Python package that it is, if it is one.
    """

    name: str
    file: str
    command: tuple[str, ...]
    install: str
    package: str | None = None

    def missing(self) -> bool:
        """Whether this computer lacks it, or has one that is too old."""
        return self.lacking() is not None

    def lacking(self) -> str | None:
        """Return the name of what this computer lacks, with the version if there is one that is too old."""
        name = " ".join(self.command)
        if self.package is not None:
            return None if _importable(self.package) else name
        path = shutil.which(self.command[0])
        if path is None:
            return name
        version = gcc_version(path)
        return None if version is None else too_old(name, version, OLDEST_GCC)


ARM_GCC: Final = Toolchain(
    name="gcc",
    file="toolchain-arm-none-eabi.cmake",
    command=("arm-none-eabi-gcc",),
    install="sudo apt-get install gcc-arm-none-eabi",
)
ARM_ZIG: Final = Toolchain(
    name="zig",
    file="toolchain-zig-cortex-m4.cmake",
    command=(sys.executable, "-m", "ziglang", "cc"),
    install="pip install 'pytest-tinyml[zig]'",
    package="ziglang",
)
XTENSA_GCC: Final = Toolchain(
    name="gcc",
    file="toolchain-xtensa-lx106.cmake",
    command=("xtensa-lx106-elf-gcc",),
    install="sudo apt-get install gcc-xtensa-lx106",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedBuild:
    """What a build for one processor takes, an emulated one or a part.

    Attributes:
        port: folder below ``firmware/ports``.
        toolchain: the compiler.
        sources: our generated C, and the engine's.
        vendor_sources: generated networks and their kernels.
        include_dirs: for both, searched before the core's.
        optimisation: of the vendor sources.
        faults: can be told to fail.
        app: folder below ``firmware/apps``.
        fpu: the sources compute with floating point, which the FPU shall do where the port knows one.
        definitions: macros of the application and the port.
        libraries: archives to link with; where there are some, the compiler's C library stands behind them.
    """

    port: str
    toolchain: Toolchain
    sources: Sequence[Path]
    vendor_sources: Sequence[Path]
    include_dirs: Sequence[Path]
    optimisation: str = "-O3"
    faults: bool = False
    app: str = "emulated"
    fpu: bool = False
    definitions: Mapping[str, str] = field(default_factory=dict)
    libraries: Sequence[Path] = ()


def find_cmake() -> str:
    """Return the path of CMake: on the path, or beside this Python.

    Raises:
        MissingToolError: there is none.
    """
    return _find_tool("cmake") or _raise_missing("CMake", "building firmware", "sudo apt-get install cmake make")


def find_generator() -> tuple[str, str]:
    """Return the name of the CMake generator to use and the path of its program.

    Raises:
        MissingToolError: neither ninja nor make is there.
    """
    for name, program in (("Ninja", "ninja"), ("Unix Makefiles", "make")):
        found = _find_tool(program)
        if found:
            return name, found
    return "", _raise_missing("make or ninja", "building firmware", "sudo apt-get install make")


def build_emulated(wanted: EmulatedBuild) -> Firmware:
    """Build the firmware for one processor, or take it from the cache.

    Returns:
        The firmware, in the cache, with the use of each memory. Two processes may build the same at the same time.

    Raises:
        MissingToolError: no CMake, make or compiler.
        DoesNotFitError: it is too large for the part; with the memory and the bytes.
        BuildError: it does not compile; with the first error and the log's path.
        UsageError: the cache folder cannot be written.
    """
    lacking = wanted.toolchain.lacking()
    if lacking is not None:
        _raise_missing(lacking, f"building firmware for {wanted.port}", wanted.toolchain.install)
    root = assets_dir("firmware")
    digest = _digest(root, wanted)
    entry = kept(digest, _PROGRAM, lambda work: _compile(work, root, wanted, digest))
    memories = memory_use(entry / _PROGRAM, regions_of(wanted.port))
    symbols = symbol_values(entry / _PROGRAM)
    return Firmware(
        path=entry / _PROGRAM,
        sha256=digest,
        flash_bytes=symbols["link_flash_bytes"],
        ram_bytes=symbols["link_ram_bytes"],
        log_path=entry / LOG,
        memories=memories,
        stack_bytes=symbols["link_stack_bytes"],
        largest_frame=_largest_frame(entry / _FRAMES),
        sections=sections_by_memory(entry / _PROGRAM, regions_of(wanted.port)),
    )


def regions_of(port: str) -> tuple[Region, ...]:
    """Return the memories that the linker script of a port declares."""
    return regions(assets_dir("firmware") / "ports" / port / "link.ld")


def _digest(root: Path, wanted: EmulatedBuild) -> str:
    """Return the digest of everything that decides the image."""
    port = f"ports/{wanted.port}"
    description = (root / port / "port.cmake").read_text(encoding="utf-8")
    shared = [f"ports/{name}" for name in _SHARED.findall(description)]
    ours = [
        file
        for name in ("core", f"apps/{wanted.app}", "apps/common", "ports/common", port, *shared)
        for file in sorted((root / name).rglob("*"))
        if file.is_file() and file.suffix != ".md"
    ]
    headers = [header for folder in wanted.include_dirs for header in folder.rglob("*.h")]
    cmake = [root / "cmake" / name for name in ("bare_metal.cmake", wanted.toolchain.file)]
    files = [*ours, *cmake, *wanted.sources, *wanted.vendor_sources, *wanted.libraries, *headers]
    options = [wanted.port, wanted.optimisation, str(wanted.faults), str(wanted.fpu), *_definitions(wanted)]
    return digest_of(root, files, [*options, compiler_version(wanted.toolchain.command), __version__])


def _compile(work: Path, root: Path, wanted: EmulatedBuild, digest: str) -> None:
    """Configure, compile and link in `work`; leaves the image, its map, the sizes of stack frames, and the log."""
    generator, program = find_generator()
    folder = work / "build"
    settings = {
        "CMAKE_TOOLCHAIN_FILE": root / "cmake" / wanted.toolchain.file,
        "CMAKE_MAKE_PROGRAM": program,
        "TML_PYTHON": sys.executable,
        "TML_PORT": wanted.port,
        "TML_GENERATED_SOURCES": _listed(wanted.sources),
        "TML_VENDOR_SOURCES": _listed(wanted.vendor_sources),
        "TML_INCLUDE_DIRS": _listed(wanted.include_dirs),
        "TML_OPTIMISATION": wanted.optimisation,
        "TML_FAULTS": "ON" if wanted.faults else "OFF",
        "TML_FPU": "ON" if wanted.fpu else "OFF",
        "TML_DEFINITIONS": ";".join(_definitions(wanted)),
        "TML_LIBRARIES": _listed(wanted.libraries),
        "TML_FIRMWARE_SHA256": digest,
        "TML_FIRMWARE_VERSION": __version__,
    }
    steps = [
        [find_cmake(), "-G", generator, "-S", str(root / "apps" / wanted.app), "-B", str(folder)]
        + [f"-D{name}={value}" for name, value in settings.items()],
        [find_cmake(), "--build", str(folder), "--parallel", "--verbose"],
    ]
    log = ""
    for step in steps:
        code, output = run_step(step)
        log += output
        (work / LOG).write_text(log, encoding="utf-8")
        if code != 0:
            raise _explained(output, wanted)
    frames = sorted(folder.rglob("*.su"))
    text = "".join(file.read_text(encoding="utf-8", errors="replace") for file in frames)
    (work / _FRAMES).write_text(text, encoding="utf-8")
    (folder / _PROGRAM).replace(work / _PROGRAM)
    if (folder / _MAP).exists():  # zig cannot write one
        (folder / _MAP).replace(work / _MAP)
    shutil.rmtree(folder)


def _explained(output: str, wanted: EmulatedBuild) -> BuildError:
    """Make the error for a failed step."""
    sizes = {region.name: region.size for region in regions_of(wanted.port)}
    overflows: dict[str, int] = {}
    for found in _OVERFLOW.findall(output):
        name, excess = found[0] or found[2], int(found[1] or found[3])
        overflows[name] = max(excess, overflows.get(name, 0))
    if overflows:
        parts = [f"{name} ({sizes[name]:,} B) by {excess:,} B" for name, excess in overflows.items()]
        msg = f"the model is too large for {wanted.port}: the firmware exceeds {' and '.join(parts)}"
        return DoesNotFitError(msg, {name: sizes[name] + excess for name, excess in overflows.items()}, sizes)
    return BuildError(f"the firmware for {wanted.port} does not build: {first_error(output)}")


def _largest_frame(path: Path) -> tuple[str, int] | None:
    """Return the function with the largest stack frame of what GCC's -fstack-usage wrote."""
    frames = [(name, int(size)) for name, size in _FRAME.findall(path.read_text(encoding="utf-8"))]
    return max(frames, key=lambda frame: frame[1], default=None)


def _definitions(wanted: EmulatedBuild) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(wanted.definitions.items())]


def _listed(paths: Sequence[Path]) -> str:
    return ";".join(str(path.resolve()) for path in paths)


def _find_tool(name: str) -> str | None:
    """Find a program on the path, or among the scripts of this Python's environment."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _importable(package: str) -> bool:
    from importlib.util import find_spec  # noqa: PLC0415 - rarely asked

    return find_spec(package) is not None


def _raise_missing(tool: str, purpose: str, install: str) -> str:
    raise MissingToolError(tool, purpose, install)
