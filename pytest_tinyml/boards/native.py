"""The firmware core as a Linux process, built by the computer's C compiler: the default board."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from pytest_tinyml import firmware
from pytest_tinyml.boards.base import BuildFacts, Missing
from pytest_tinyml.boards.process import HTTP, LINKS, ProcessBoard
from pytest_tinyml.engines.select import engine_of, sources_for
from pytest_tinyml.errors import MissingToolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.engines.sources import EngineSources
    from pytest_tinyml.records import Model

NAME: Final = "native"
_LINKS: Final = (*LINKS, HTTP)


class NativeBoard(ProcessBoard):
    """One process of the native firmware.

    `BoardRequest.options` may hold those of `NativeKind.options`; they are handed to the firmware.
    """

    links: ClassVar[tuple[str, ...]] = _LINKS

    def __init__(self, request: BoardRequest) -> None:
        """Build nothing yet."""
        super().__init__(NAME, request)
        self._firmware: firmware.Firmware | None = None
        self.facts: BuildFacts | None = None

    def prepare(self) -> str:
        """See `Board.prepare`."""
        generated = sources_for(self.request.model)
        self._firmware = self.build(generated)
        self.facts = BuildFacts(
            compiler=firmware.compiler_name(firmware.find_compiler()),
            kernels=generated.kernels,
            kernels_used=generated.kernels_used,
        )
        return self._firmware.sha256

    def build(self, generated: EngineSources) -> firmware.Firmware:
        """Compile the engine with what was generated for the model."""
        return firmware.build_native(
            [*generated.own_sources, *generated.vendor_sources], [*generated.include_dirs, generated.engine_dir]
        )

    def command(self, transport: list[str]) -> list[str]:
        """See `ProcessBoard.command`."""
        if self._firmware is None:
            self.prepare()
        assert self._firmware is not None  # noqa: S101 - prepare() has set it
        planted = [(f"--{name}", self.request.options[name]) for name in KIND.options if name in self.request.options]
        return [str(self._firmware.path), *transport, *(part for pair in planted for part in pair)]


class NativeKind:
    """See the module."""

    name = NAME
    summary = "the firmware core as a Linux process (engine: generated C)"
    engine = "aot"
    hardware = False
    links: tuple[str, ...] = _LINKS
    clocks: tuple[str, ...] = ("wall",)
    options: Mapping[str, str] = {
        "fault": "a failure to plant, e.g. crash@100; firmware/apps/common/faults.h has all",
        "fault-once": "a file that the failure leaves behind; it does not happen again while the file exists",
    }

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        try:
            firmware.find_compiler()
        except MissingToolError as error:
            return [Missing(what=error.tool, install=error.install)]
        return []

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        sources_for(model)

    def engine_for(self, model: Model, options: Mapping[str, str]) -> str:
        """See `boards.base.engine_for`."""
        del options
        return engine_of(model)

    def create(self, request: BoardRequest) -> NativeBoard:
        """See `BoardKind.create`."""
        return NativeBoard(request)


KIND: Final = NativeKind()
