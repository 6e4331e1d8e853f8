"""Builds firmware and keeps it by content: the digest of what went in is the firmware's identity and its cache key."""

from __future__ import annotations

from pytest_tinyml.firmware.build import compiler_name
from pytest_tinyml.firmware.emulated import (
    ARM_GCC,
    ARM_ZIG,
    XTENSA_GCC,
    EmulatedBuild,
    Toolchain,
    build_emulated,
    find_cmake,
    find_generator,
    regions_of,
)
from pytest_tinyml.firmware.image import Firmware, MemoryUse, elf_sizes, function_at
from pytest_tinyml.firmware.native import build_native, find_compiler

__all__ = [
    "ARM_GCC",
    "ARM_ZIG",
    "XTENSA_GCC",
    "EmulatedBuild",
    "Firmware",
    "MemoryUse",
    "Toolchain",
    "build_emulated",
    "build_native",
    "compiler_name",
    "elf_sizes",
    "find_cmake",
    "find_compiler",
    "find_generator",
    "function_at",
    "regions_of",
]
