"""Firmware for one part: the engine's C, compiled and linked, and what is known of it then."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_tinyml import firmware
from pytest_tinyml.boards.base import BuildFacts, Missing
from pytest_tinyml.boards.registry import boards_with_room
from pytest_tinyml.engines.layers import AOT_FLOAT
from pytest_tinyml.errors import DoesNotFitError, MissingToolError
from pytest_tinyml.links.room import sample_room
from pytest_tinyml.wire import max_payload_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_tinyml.engines.sources import EngineSources
    from pytest_tinyml.records import Model


TX_BYTES: Final = 4096
"""What firmware sends from unless it is told otherwise (``TML_TX_BYTES`` of its applications)."""
_REPLY_BYTES: Final = 16
"""What a reply holds beside an output tensor (PROTOCOL.md, RESULT and CANARY_RESULT)."""
_CODE: Final = re.compile(r"\b(?:pc|lr|a0|called from) (0x[0-9a-f]{8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A processor that firmware is cross-compiled for.

    Attributes:
        port: folder below ``firmware/ports``.
        kernels: what the engine's generated code calls by default.
        toolchains: compilers by preference.
        flash: names of the memories that hold code and constants, as the linker script has them.
        ram: ... and of those that hold data.
        app: folder below ``firmware/apps``.
        definitions: macros of the application and the port.
        floats: its compiler comes with arithmetic for floats, in an FPU or in software.
    """

    port: str
    kernels: str
    toolchains: tuple[firmware.Toolchain, ...]
    flash: tuple[str, ...]
    ram: tuple[str, ...]
    app: str = "emulated"
    definitions: Mapping[str, str] = field(default_factory=dict)
    floats: bool = True

    def memories(self) -> dict[str, int]:
        """Return the bytes of flash and RAM, from the linker script."""
        sizes = {region.name: region.size for region in firmware.regions_of(self.port)}
        return {"flash": sum(sizes[name] for name in self.flash), "RAM": sum(sizes[name] for name in self.ram)}

    def missing(self) -> list[Missing]:
        """Say what this computer lacks to build its firmware."""
        lacking: list[Missing] = []
        first = self.toolchains[0]
        compiler = first.lacking()
        if compiler is not None and all(toolchain.missing() for toolchain in self.toolchains[1:]):
            others = "".join(f" (or: {other.install})" for other in self.toolchains[1:])
            lacking.append(Missing(what=compiler, install=first.install + others))
        for find in (firmware.find_cmake, firmware.find_generator):
            try:
                find()
            except MissingToolError as error:
                lacking.append(Missing(what=error.tool, install=error.install))
        return lacking


def usable_toolchain(toolchains: Sequence[firmware.Toolchain], name: str | None = None) -> firmware.Toolchain:
    """Return the compiler of that name; else the first that is installed, or the first."""
    usable = [toolchain for toolchain in toolchains if not toolchain.missing()]
    asked = [toolchain for toolchain in toolchains if toolchain.name == name]
    return (asked or usable or list(toolchains))[0]


def build_part(
    part: Part,
    generated: EngineSources,
    toolchain: firmware.Toolchain,
    *,
    faults: bool = False,
    definitions: Mapping[str, str] | None = None,
) -> tuple[firmware.Firmware, BuildFacts]:
    """Compile an engine with what was generated for a model, and link it for a part.

    Args:
        part: it is for.
        generated: the network and its engine.
        toolchain: the compiler.
        faults: it can be told to fail.
        definitions: macros beside the part's.

    Raises:
        MissingToolError: CMake, make or the compiler.
        DoesNotFitError: too large for the part; names the boards that have room.
        BuildError: it does not compile.
    """
    wanted = firmware.EmulatedBuild(
        port=part.port,
        app=part.app,
        toolchain=toolchain,
        sources=[*generated.own_sources],
        vendor_sources=generated.vendor_sources,
        include_dirs=[*generated.include_dirs, generated.engine_dir],
        faults=faults,
        # ST's library has no other ABI.
        fpu=generated.engine == AOT_FLOAT or bool(generated.libraries),
        libraries=generated.libraries,
        definitions={**part.definitions, **(definitions or {})},
    )
    try:
        built = firmware.build_emulated(wanted)
    except DoesNotFitError as error:
        flash = max((size for name, size in error.needed.items() if name in part.flash), default=0)
        ram = max((size for name, size in error.needed.items() if name in part.ram), default=0)
        fitting = boards_with_room(flash, ram)
        hint = f"boards with room for it: {', '.join(fitting)}" if fitting else "no board has room for it"
        error.message = f"{error.message}; {hint}"
        raise
    facts = BuildFacts(
        compiler=firmware.compiler_name(toolchain.command),
        kernels=generated.kernels,
        kernels_used=generated.kernels_used,
        memories=built.memories,
        stack_bytes=built.stack_bytes,
    )
    return built, facts


def frame_bytes(model: Model, least: int, most: int) -> int:
    """Return the size of a frame that holds one input tensor, in whole KiB from `least` up; `most` if none does."""
    sizes = range(least, most, 1024)
    return next((size for size in sizes if sample_room(size) >= model.input.nbytes), most)


def reply_definitions(model: Model) -> dict[str, str]:
    """Return the macro for replies that hold one output tensor; nothing where the firmware's own size does.

    What needs no more is the same firmware as ever.
    """
    size = TX_BYTES
    while max_payload_size(size) < model.output.nbytes + _REPLY_BYTES:
        size += 1024
    return {} if size == TX_BYTES else {"TML_TX_BYTES": f"{size}U"}


def name_functions(text: str, image: Path) -> str:
    """Add the function to every address of code in a fault's description.

    Args:
        text: it.
        image: the ELF file that runs.
    """

    def named(found: re.Match[str]) -> str:
        function = firmware.function_at(image, int(found[1], 16))
        return f"{found[0]} ({function})" if function else found[0]

    return _CODE.sub(named, text)
