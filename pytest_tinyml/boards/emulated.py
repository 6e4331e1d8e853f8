"""Firmware on a processor that QEMU emulates: bare metal, cross-compiled, with the kernels that the part would have."""

from __future__ import annotations

import os
import re
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.child import ChildBoard
from pytest_tinyml.boards.crossbuild import (
    build_part,
    frame_bytes,
    name_functions,
    reply_definitions,
    usable_toolchain,
)
from pytest_tinyml.engines.layers import AOT_FLOAT
from pytest_tinyml.engines.select import engine_of, sources_for
from pytest_tinyml.errors import BoardCrashedError, ModelError, UnknownNameError
from pytest_tinyml.links.base import FdLink
from pytest_tinyml.links.session import Patience

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_tinyml import firmware
    from pytest_tinyml.boards.base import BuildFacts, Missing
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
FRAME_BYTES: Final = 8192
MAX_FRAME_BYTES: Final = 32768
"""Of the pipe; see firmware/apps/emulated/main.c."""
OPTIONS: Final = {
    "compiler": "gcc, or where the board has it zig",
    "kernels": "whose kernels compute the network: the vendor's (default), or portable",
    "fault": "a failure to plant, e.g. wild-write@100 or hang#17; firmware/apps/common/faults.h has all",
}
_PORTABLE: Final = "portable"
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
        self._toolchain = usable_toolchain(emulator.toolchains, compiler)
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
        faults = "fault" in self.request.options
        frame = frame_bytes(self.request.model, FRAME_BYTES, MAX_FRAME_BYTES)
        # Only where it has to be said: what needs no more is the same firmware as ever.
        definitions = {} if frame == FRAME_BYTES else {"TML_FRAME_BYTES": f"{frame}U"}
        definitions |= reply_definitions(self.request.model)
        built, self.facts = build_part(
            self.emulator, generated, self._toolchain, faults=faults, definitions=definitions
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
        ending, tail = super().stop(), "\n".join(self.console.fresh)
        reasons = [found[1] for found in _FATAL.finditer(tail)]
        if not (ending and reasons):
            return ending
        places = [f", pc 0x{found[1]}" for found in _FATAL_PC.finditer(tail)]
        return f"{ending}: {reasons[-1]}{name_functions(''.join(places[-1:]), self.image.path)}"

    def _complete(self, error: BoardError) -> BoardError:
        """Name the functions that a fault was in and came from."""
        if isinstance(error, BoardCrashedError):
            error.message = name_functions(error.message, self.image.path)
        return super()._complete(error)


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
        if engine_of(model) == AOT_FLOAT and not self._emulator.floats:
            msg = (
                f"{model.name}: board {self.name!r} has no arithmetic for floats; convert the model to int8, or use "
                "--board native, qemu-stm32f405 or tflm"
            )
            raise ModelError(msg)
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
