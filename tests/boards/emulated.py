"""What the tests of the emulated boards share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pytest_tinyml.contract import BoardContract
from tests.presence import lacking

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.boards.base import Board, BoardKind
    from pytest_tinyml.records import Model


def need_board(kind: BoardKind) -> None:
    """Skip, or in CI fail, if this computer lacks something that the board needs."""
    missing = kind.missing()
    if missing:
        lacking(f"board {kind.name!r} needs " + ", ".join(item.what for item in missing))


class EmulatedContract(BoardContract):
    """The contract; an emulator starts in tenths of a second and may share its core, so faults get more time."""

    timeout_s = 3.0
    faults: ClassVar = {"crash": {"fault": "wild-write@{n}"}, "hang": {"fault": "hang@{n}"}}

    def make_board(self, tmp_path: Path, model: Model, **options: str) -> Board:
        """See `BoardSetup.make_board`."""
        need_board(self.kind)
        return super().make_board(tmp_path, model, **options)
