"""Firmware on a processor that QEMU emulates: bare metal, cross-compiled, with the kernels that the part would have."""

from __future__ import annotations

import os
import re
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from pytest_tinyml import firmware
from pytest_tinyml.boards.base import BoardRequest, BuildFacts
from pytest_tinyml.boards.child import ChildBoard
from pytest_tinyml.boards.registry import boards_with_room
from pytest_tinyml.engines.select import engine_of, sources_for
from pytest_tinyml.errors import BoardCrashedError, DoesNotFitError, UnknownNameError
from pytest_tinyml.links.base import FdLink
from pytest_tinyml.links.session import Patience

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_tinyml.boards.base import Missing
    from pytest_tinyml.boards.emulator import Emulator
    from pytest_tinyml.errors import BoardError
    from pytest_tinyml.links.base import Link
    from pytest_tinyml.records import Model

SEMIHOSTING: Final = "semihosting"
SERIAL: Final = "serial"
LINKS: Final = (SEMIHOSTING, SERIAL)
WALL: Final = "wall"
INSTRUCTIONS: Final = "instructions"
CLOCKS: Final = (WALL, INSTRUCTIONS)
OPTIONS: Final = {
    "compiler": "gcc, or where the board has it zig",
    "kernels": "whose kernels compute the network: the vendor's (default), or portable",
    "fault": "a failure to plant, e.g. wild-write@100 or hang#17; firmware/apps/common/faults.h has all",
}
_PORTABLE: Final = "portable"
_CODE: Final = re.compile(r"\b(?:pc|lr|a0|called from) (0x[0-9a-f]{8})")
# What QEMU says before it aborts: why, and all registers, of which those of the FPU say nothing here.
_FATAL: Final = re.compile(r"^qemu: fatal: (.+)$", re.MULTILINE)
_FATAL_PC: Final = re.compile(r"\bR15=([0-9a-f]{8})")
_DULL: Final = re.compile(r"^(?:s\d\d=|FPSCR|\s*$)")


class EmulatedBoard(ChildBoard):
    """One QEMU with our firmware in it.

    Args:
        emulator: what is emulated.
        request: what the board shall be.

    Raises:
        UnknownNameError: it has no such link, clock, compiler or kernels.
    """

    def __init__(self, emulator: Emulator, request: BoardRequest) -> None:
        """Build and start nothing."""
        self.emulator = emulator
        self.link_name = _one_of(f"link of board {emulator.name!r}", request.link, LINKS)
        self.clock = _one_of(f"clock of board {emulator.name!r}", request.clock, CLOCKS)
        names = tuple(toolchain.name for toolchain in emulator.toolchains)
        compiler = request.options.get("compiler")
        _one_of(f"compiler of board {emulator.name!r}", compiler, names)
        usable = [toolchain for toolchain in emulator.toolchains if not toolchain.missing()]
        asked = [toolchain for toolchain in emulator.toolchains if toolchain.name == compiler]
        self._toolchain = (asked or usable or list(emulator.toolchains))[0]
        every = (emulator.kernels, _PORTABLE)
        self._kernels = _one_of(f"kernels of board {emulator.name!r}", request.options.get("kernels"), every)
        super().__init__(emulator.name, request)
        self.console.dull = _DULL
        self._firmware: firmware.Firmware | None = None
        self.facts: BuildFacts | None = None

    @property
    def image(self) -> firmware.Firmware:
        """The firmware, built when first asked for."""
        if self._firmware is None:
            self._firmware = self.build()
            self.console.line(f"firmware {self._firmware.sha256[:12]}: {self._firmware.summary()}")
        return self._firmware

    def prepare(self) -> str:
        """See `Board.prepare`."""
        return self.image.sha256

    def build(self) -> firmware.Firmware:
        """Compile the engine with what is generated for the model.

        Raises:
            DoesNotFitError: too large for the part; names the boards that have room.
        """
        generated = sources_for(self.request.model, self._kernels)
        wanted = firmware.EmulatedBuild(
            port=self.emulator.port,
            toolchain=self._toolchain,
            sources=[*generated.own_sources],
            vendor_sources=generated.vendor_sources,
            include_dirs=[*generated.include_dirs, generated.engine_dir],
            faults="fault" in self.request.options,
        )
        try:
            built = firmware.build_emulated(wanted)
        except DoesNotFitError as error:
            flash = max((size for name, size in error.needed.items() if name in self.emulator.flash), default=0)
            ram = max((size for name, size in error.needed.items() if name in self.emulator.ram), default=0)
            fitting = boards_with_room(flash, ram)
            hint = f"boards with room for it: {', '.join(fitting)}" if fitting else "no board has room for it"
            error.message = f"{error.message}; {hint}"
            raise
        self.facts = BuildFacts(
            compiler=firmware.compiler_name(self._toolchain.command),
            kernels=generated.kernels,
            kernels_used=generated.kernels_used,
            memories=built.memories,
            stack_bytes=built.stack_bytes,
        )
        return built

    def patience(self, link: Link) -> Patience:
        """A serial line may lose bytes, a pipe does not."""
        return Patience(timeout_s=self.request.timeout_s, resend_s=1.0 if link.name == SERIAL else None)

    def start(self) -> Link:
        """See `StreamedBoard.start`."""
        self.prepare()
        with ExitStack() as theirs:
            if self.link_name == SERIAL:
                left, right = socket.socketpair()
                theirs.callback(right.close)
                line = right.fileno()
                fds, words = [line], ["serial=1"]
                machine = (*self.emulator.serial_machine, "-chardev", f"socket,id=line,fd={line}")
                link = FdLink(left.detach(), name=SERIAL, packed=True)
            else:
                their_in, our_out = os.pipe()
                theirs.callback(os.close, their_in)
                our_in, their_out = os.pipe()
                theirs.callback(os.close, their_out)
                fds = [their_in, their_out]
                words = [f"in=/dev/fd/{their_in}", f"out=/dev/fd/{their_out}"]
                machine = self.emulator.machine
                link = FdLink(our_in, out_fd=our_out, name=SEMIHOSTING, packed=False)
            try:
                self.spawn(self._command(machine, words), fds, kept=True)
            except BaseException:
                link.close()
                raise
        return link

    def _command(self, machine: Sequence[str], words: Sequence[str]) -> list[str]:
        """Return QEMU's command line; `words` are for the firmware (firmware/apps/emulated/main.c)."""
        fault = self.request.options.get("fault")
        words = [*words, *([f"fault={fault}"] if fault else [])]
        return self.emulator.command(self.image.path, machine, words, counted=self.clock == INSTRUCTIONS)

    def stop(self) -> str:
        """See `StreamedBoard.stop`; an emulator that gives up says why."""
        ending, tail = super().stop(), "\n".join(self.console.tail)
        reasons = [found[1] for found in _FATAL.finditer(tail)]
        if not (ending and reasons):
            return ending
        places = [f", pc 0x{found[1]}" for found in _FATAL_PC.finditer(tail)]
        return f"{ending}: {reasons[-1]}{self._with_functions(''.join(places[-1:]))}"

    def _complete(self, error: BoardError) -> BoardError:
        """Name the functions that a fault was in and came from."""
        if isinstance(error, BoardCrashedError):
            error.message = self._with_functions(error.message)
        return super()._complete(error)

    def _with_functions(self, text: str) -> str:
        """Add the function to every address of code."""

        def named(found: re.Match[str]) -> str:
            function = firmware.function_at(self.image.path, int(found[1], 16))
            return f"{found[0]} ({function})" if function else found[0]

        return _CODE.sub(named, text)


class EmulatedKind:
    """A kind of emulated board."""

    engine = "aot"
    hardware = False
    links: tuple[str, ...] = LINKS
    clocks: tuple[str, ...] = CLOCKS
    options: Mapping[str, str] = OPTIONS

    def __init__(self, emulator: Emulator, summary: str) -> None:
        """Start nothing."""
        self.name, self.summary, self._emulator = emulator.name, summary, emulator

    @property
    def memories(self) -> Mapping[str, int]:
        """Bytes of flash and RAM of the part."""
        return self._emulator.memories()

    @property
    def kernels(self) -> str:
        """Whose kernels the engine calls by default."""
        return self._emulator.kernels

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        return self._emulator.missing()

    def linked(self, model: Model, work_dir: Path) -> firmware.Firmware:
        """See `boards.base.LinkedKind`."""
        return self.create(BoardRequest(model=model, work_dir=work_dir)).image

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        sources_for(model, self._emulator.kernels)

    def engine_for(self, model: Model, options: Mapping[str, str]) -> str:
        """See `boards.base.engine_for`."""
        del options
        return engine_of(model)

    def create(self, request: BoardRequest) -> EmulatedBoard:
        """See `BoardKind.create`."""
        return EmulatedBoard(self._emulator, request)


def _one_of(what: str, name: str | None, known: tuple[str, ...]) -> str:
    """Return the name, or the first of the known ones for None."""
    if name is None:
        return known[0]
    if name not in known:
        raise UnknownNameError(what, name, known)
    return name
