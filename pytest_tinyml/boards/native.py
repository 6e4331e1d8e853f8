"""The firmware core as a Linux process, built by the computer's C compiler: the default board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml import firmware, paths
from pytest_tinyml.boards.base import Missing
from pytest_tinyml.boards.process import LINKS, ProcessBoard
from pytest_tinyml.engines import aot
from pytest_tinyml.errors import MissingToolError

if TYPE_CHECKING:
    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.records import Model

NAME: Final = "native"


class NativeBoard(ProcessBoard):
    """One process of the native firmware.

    `BoardRequest.options` may hold ``fault``: a failure to plant, see ``firmware/ports/native``.
    """

    def __init__(self, request: BoardRequest) -> None:
        """Build nothing yet."""
        super().__init__(NAME, request)
        self._firmware: firmware.Firmware | None = None

    def sources(self) -> aot.AotSources:
        """Generate the model's C code, or find what was generated before."""
        return aot.generate_cached(self.request.model, paths.cache_dir() / "aot")

    def prepare(self) -> str:
        """See `Board.prepare`."""
        self._firmware = firmware.build_native(self.sources())
        return self._firmware.sha256

    def command(self, transport: list[str]) -> list[str]:
        """See `ProcessBoard.command`."""
        if self._firmware is None:
            self.prepare()
        assert self._firmware is not None  # noqa: S101 - prepare() has set it
        fault = self.request.options.get("fault")
        return [str(self._firmware.path), *transport, *(["--fault", fault] if fault else [])]


class NativeKind:
    """See the module."""

    name = NAME
    summary = "the firmware core as a Linux process (engine: generated C)"
    engine = "aot"
    links = LINKS

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        try:
            firmware.find_compiler()
        except MissingToolError as error:
            return [Missing(what=error.tool, install=error.install)]
        return []

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        aot.check(model)

    def create(self, request: BoardRequest) -> NativeBoard:
        """See `BoardKind.create`."""
        return NativeBoard(request)


KIND: Final = NativeKind()
