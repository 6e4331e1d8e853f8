"""ST's NUCLEO-F446RE: bare-metal firmware on an STM32F446, flashed and talked to through its ST-LINK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml import firmware
from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.crossbuild import (
    Part,
    build_part,
    frame_bytes,
    name_functions,
    reply_definitions,
    usable_toolchain,
)
from pytest_tinyml.boards.flashers import Target, make_flasher, missing_flasher
from pytest_tinyml.boards.probed import ProbedBoard
from pytest_tinyml.boards.serialport import missing_pyserial
from pytest_tinyml.engines import stedgeai
from pytest_tinyml.engines.select import engine_of, sources_for
from pytest_tinyml.errors import BoardCrashedError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_tinyml.boards.base import BuildFacts, Missing
    from pytest_tinyml.boards.flashers import Flasher
    from pytest_tinyml.engines.sources import EngineSources
    from pytest_tinyml.errors import BoardError
    from pytest_tinyml.records import Model

NAME: Final = "nucleo-f446re"
CHIP: Final = "STM32F446"
BAUD: Final = 921_600
FRAME_BYTES: Final = 4096
MAX_FRAME_BYTES: Final = 16384
"""See firmware/apps/nucleo_f446re/main.c."""
_GENERATED: Final = "generated"
_PORTABLE: Final = "portable"
_CYCLES: Final = "cycles"
_BUS_HZ: Final = 45_000_000
"""What USART2 gets of 180 MHz."""
_LEAST_DIVISOR: Final = 16
_RATE_RATIO: Final = 0.02
TARGET: Final = Target(name=CHIP, device_id=0x421, openocd="board/st_nucleo_f4.cfg", pyocd="stm32f446retx")
PART: Final = Part(
    port="stm32f446",
    app="nucleo_f446re",
    kernels="cmsis-nn",
    toolchains=(firmware.ARM_GCC,),
    flash=("FLASH",),
    ram=("RAM",),
)


class NucleoBoard(ProbedBoard):
    """One board.

    Args:
        request: what it shall be; `BoardRequest.device` says where it is, and has ``flasher``.

    Raises:
        UnknownNameError: there is no such engine, kernels or flasher.
        UsageError: the part cannot have this baud rate.
    """

    chip = CHIP
    firmware_board = NAME

    def __init__(self, request: BoardRequest) -> None:
        """Build and open nothing."""
        super().__init__(NAME, request, baud=baud_of(request.device))
        _one_of("kernels", request.options.get("kernels"), (PART.kernels, _PORTABLE))
        _one_of("engine", request.options.get("engine"), (_GENERATED, stedgeai.ENGINE))
        missing_flasher(request.device.get("flasher"))
        self._firmware: firmware.Firmware | None = None
        self.facts: BuildFacts | None = None

    @property
    def image(self) -> firmware.Firmware:
        """The firmware, built when first asked for."""
        if self._firmware is None:
            self._firmware = self.build()
            self.console.line(f"firmware {self._firmware.sha256[:12]}: {self._firmware.summary()}")
        return self._firmware

    def build(self) -> firmware.Firmware:
        """Compile the engine with what is generated for the model.

        Raises:
            DoesNotFitError: too large for the part; names the boards that have room.
            BuildError: it does not compile.
            MissingToolError: ST's tool was asked for, and is not installed.
        """
        wanted = {"TML_BAUD": str(self.baud)} | reply_definitions(self.request.model)
        frame = frame_bytes(self.request.model, FRAME_BYTES, MAX_FRAME_BYTES)
        if frame != FRAME_BYTES:
            # The ring that bytes are received into holds two, and is a power of two.
            wanted |= {"TML_FRAME_BYTES": f"{frame}U", "TML_RING_BYTES": f"{1 << (2 * frame - 1).bit_length()}U"}
        if self.request.clock in {None, _CYCLES}:
            wanted["TML_COUNT_CYCLES"] = "1"
        fault = self.request.options.get("fault")
        if fault is not None:
            wanted["TML_FAULTS_WANTED"] = f'"{fault}"'
        generated = generated_for(self.request.model, self.request.options)
        built, self.facts = build_part(
            PART, generated, usable_toolchain(PART.toolchains), faults=fault is not None, definitions=wanted
        )
        return built

    def flasher(self, serial_number: str) -> Flasher | None:
        """See `ProbedBoard.flasher`."""
        return make_flasher(self.request.device.get("flasher"), TARGET, serial_number, self.console.line)

    def _complete(self, error: BoardError) -> BoardError:
        """Name the functions that a fault was in and came from."""
        if isinstance(error, BoardCrashedError):
            error.message = name_functions(error.message, self.image.path)
        return super()._complete(error)


class NucleoKind:
    """See the module."""

    name = NAME
    summary = "NUCLEO-F446RE at its ST-LINK: STM32F446, 180 MHz (engine: generated C with CMSIS-NN, or ST's own)"
    engine = "aot"
    kernels = PART.kernels
    hardware = True
    links: tuple[str, ...] = ("serial",)
    clocks: tuple[str, ...] = (_CYCLES, "wall")
    options: Mapping[str, str] = {
        "engine": f"{_GENERATED} C (default), or {stedgeai.ENGINE}: what ST's tool makes of the model",
        "kernels": "whose kernels compute the network: the vendor's (default), or portable",
        "fault": "a failure to plant, e.g. wild-write@100 or hang#17; firmware/apps/common/faults.h has all",
    }

    @property
    def memories(self) -> Mapping[str, int]:
        """Bytes of flash and RAM of the part."""
        return PART.memories()

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        return self.missing_with({})

    def missing_with(self, device: Mapping[str, str]) -> list[Missing]:
        """See `boards.base.missing_for`."""
        return [*PART.missing(), *missing_pyserial(), *missing_flasher(device.get("flasher"))]

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        sources_for(model, PART.kernels)

    def check_with(self, model: Model, options: Mapping[str, str]) -> None:
        """See `boards.base.check_model`; what ST's tool takes, only ST's tool knows."""
        if options.get("engine") == stedgeai.ENGINE:
            stedgeai.find_tool()
        else:
            self.check(model)

    def engine_for(self, model: Model, options: Mapping[str, str]) -> str:
        """See `boards.base.engine_for`."""
        return stedgeai.ENGINE if options.get("engine") == stedgeai.ENGINE else engine_of(model)

    def linked(self, model: Model, work_dir: Path) -> firmware.Firmware:
        """See `boards.base.LinkedKind`."""
        return self.create(BoardRequest(model=model, work_dir=work_dir)).image

    def create(self, request: BoardRequest) -> NucleoBoard:
        """See `BoardKind.create`."""
        return NucleoBoard(request)


def generated_for(model: Model, options: Mapping[str, str]) -> EngineSources:
    """Return what executes a model on the part, by the board's options.

    Raises:
        MissingToolError: ST's tool was asked for, and is not installed.
        ModelError: the engine cannot execute the model.
    """
    if options.get("engine") == stedgeai.ENGINE:
        return stedgeai.sources_for(model)
    return sources_for(model, options.get("kernels", PART.kernels))


def baud_of(device: Mapping[str, str]) -> int:
    """Return the baud rate of the line, which is compiled into the firmware.

    Raises:
        UsageError: it is no number, or the part has no divisor for it within 2 %.
    """
    text = device.get("baud", str(BAUD))
    baud = int(text) if text.isdecimal() else 0
    divisor = round(_BUS_HZ / baud) if baud else 0
    if divisor < _LEAST_DIVISOR or abs(_BUS_HZ / divisor / baud - 1) > _RATE_RATIO:
        msg = f"--baud: {text!r} is no baud rate of board {NAME!r}, e.g. 115200, 921600 or 2000000"
        raise UsageError(msg)
    return baud


def _one_of(what: str, name: str | None, known: tuple[str, ...]) -> None:
    if name is not None and name not in known:
        noun = f"{what} of board {NAME!r}"
        raise UnknownNameError(noun, name, known)


KIND: Final = NucleoKind()
