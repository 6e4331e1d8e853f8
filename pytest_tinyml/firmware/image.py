"""What a firmware image is and holds, read from its ELF file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from pytest_tinyml.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_WRITABLE: Final = 2
_MEMORY: Final = re.compile(
    r"^\s*(\w+)\s*\(\w+\)\s*:\s*ORIGIN\s*=\s*(0x[0-9A-Fa-f]+)\s*,\s*LENGTH\s*=\s*(0x[0-9A-Fa-f]+|\d+)([KM]?)\s*(?:/\*.*)?$",
    re.MULTILINE,
)
_UNIT: Final = {"": 1, "K": 1 << 10, "M": 1 << 20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A memory of a part, as its linker script declares it: name, first address and bytes."""

    name: str
    origin: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """How many bytes of one memory an image takes, and how many there are."""

    name: str
    used: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """A firmware image.

    Attributes:
        path: the ELF file.
        sha256: hex digest of sources, flags and compiler; compiled into the image, and reported in IDENTITY.
        flash_bytes: what the file's loaded segments hold.
        ram_bytes: its writable segments, zero-initialised data included.
        log_path: the compiler's whole output.
        memories: the use of each memory of the part; empty for a process.
        stack_bytes: what is reserved for the stack; 0 for a process.
        largest_frame: name and bytes of the function with the largest stack frame, if the compiler says so.
        sections: names and bytes of what lies in each memory, by the memory's name, largest first.
    """

    path: Path
    sha256: str
    flash_bytes: int
    ram_bytes: int
    log_path: Path
    memories: tuple[MemoryUse, ...] = ()
    stack_bytes: int = 0
    largest_frame: tuple[str, int] | None = None
    sections: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)

    def summary(self) -> str:
        """Return one line: each memory's use, and the stack."""
        parts = [f"{memory.name} {memory.used:,} of {memory.size:,} B" for memory in self.memories]
        if self.stack_bytes:
            parts.append(f"stack {self.stack_bytes:,} B reserved")
        if self.largest_frame is not None:
            parts.append(f"largest frame {self.largest_frame[1]:,} B ({self.largest_frame[0]})")
        return "; ".join(parts)


def elf_sizes(path: Path) -> tuple[int, int]:
    """Return the bytes of flash and RAM that an ELF file's segments take; the ``native`` board counts the same way.

    Raises:
        BuildError: not an ELF file.
    """
    segments = _loaded(path)
    flash_bytes = sum(segment["p_filesz"] for segment in segments)
    return flash_bytes, sum(segment["p_memsz"] for segment in segments if segment["p_flags"] & _WRITABLE)


def regions(linker_script: Path) -> tuple[Region, ...]:
    """Return the memories of a linker script, each declared on a line ``NAME (rx) : ORIGIN = 0x.., LENGTH = 128K``."""
    found = _MEMORY.findall(linker_script.read_text(encoding="utf-8"))
    return tuple(
        Region(name=name, origin=int(origin, 16), size=int(size, 0) * _UNIT[unit]) for name, origin, size, unit in found
    )


def memory_use(path: Path, memories: tuple[Region, ...]) -> tuple[MemoryUse, ...]:
    """Return how much of each memory an ELF file takes: where it runs, and where its initial values are kept.

    Raises:
        BuildError: not an ELF file.
    """
    used = dict.fromkeys((region.name for region in memories), 0)
    for segment in _loaded(path):
        runs = _region(memories, segment["p_vaddr"])
        kept = _region(memories, segment["p_paddr"])
        if runs is not None:
            used[runs.name] += segment["p_memsz"]
        if kept is not None and kept is not runs:
            used[kept.name] += segment["p_filesz"]
    return tuple(MemoryUse(name=region.name, used=used[region.name], size=region.size) for region in memories)


def sections_by_memory(path: Path, memories: tuple[Region, ...]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Return the names and bytes of the sections in each memory, largest first; of `memory_use`, the parts.

    Raises:
        BuildError: not an ELF file.
    """
    found: dict[str, list[tuple[str, int]]] = {region.name: [] for region in memories}
    with path.open("rb") as stream:
        try:
            elf = ELFFile(stream)
            segments = [segment for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"]
            for section in elf.iter_sections():
                segment = next(
                    (one for one in segments if section["sh_size"] and one.section_in_segment(section)), None
                )
                if segment is None:
                    continue
                runs = _region(memories, section["sh_addr"])
                kept = None if section["sh_type"] == "SHT_NOBITS" else _region(memories, segment["p_paddr"])
                for name in {region.name for region in (runs, kept) if region is not None}:
                    found[name].append((section.name, section["sh_size"]))
        except ELFError as error:
            raise _no_elf(path) from error
    return {name: tuple(sorted(parts, key=lambda part: -part[1])) for name, parts in found.items()}


def symbol_values(path: Path) -> Mapping[str, int]:
    """Return the values of an ELF file's global symbols by name."""
    return {symbol.name: symbol["st_value"] for symbol in _symbols(path) if symbol.name}


def function_at(path: Path, address: int) -> str | None:
    """Return ``function+0x12`` for an address of code in an ELF file; None if no function is there."""
    for symbol in _symbols(path):
        if symbol["st_info"]["type"] != "STT_FUNC":
            continue
        start = symbol["st_value"]
        # On Arm bit 0 says Thumb, of a function and of an address to return to; no other instruction is at an odd
        # address that begins a function.
        thumb = start & 1
        start, at = start - thumb, address & ~thumb
        if start <= at < start + symbol["st_size"]:
            offset = at - start
            return f"{symbol.name}+{offset:#x}" if offset else str(symbol.name)
    return None


def _symbols(path: Path) -> list[Any]:
    """Return the symbols of an ELF file; none if it cannot be read: this is for messages."""
    try:
        with path.open("rb") as stream:
            table = ELFFile(stream).get_section_by_name(".symtab")
            return list(table.iter_symbols()) if isinstance(table, SymbolTableSection) else []
    except (OSError, ELFError):
        return []


def _loaded(path: Path) -> list[Any]:
    """Return the loaded segments of an ELF file."""
    try:
        with path.open("rb") as stream:
            return [segment for segment in ELFFile(stream).iter_segments() if segment["p_type"] == "PT_LOAD"]
    except ELFError as error:
        raise _no_elf(path) from error


def _no_elf(path: Path) -> BuildError:
    return BuildError(f"{path} is not an ELF file")


def _region(memories: tuple[Region, ...], address: int) -> Region | None:
    return next((region for region in memories if region.origin <= address < region.origin + region.size), None)
