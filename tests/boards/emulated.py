"""What the tests of the emulated boards share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pytest_tinyml.boards import qemu_stm32f405, qemu_xtensa
from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.contract import BoardContract
from pytest_tinyml.contractsetup import cached_model
from tests.presence import lacking

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.boards.base import Board, BoardKind
    from pytest_tinyml.boards.emulated import EmulatedBoard, EmulatedKind
    from pytest_tinyml.records import Model


def need_board(kind: BoardKind) -> None:
    """Skip, or in CI fail, if this computer lacks something that the board needs."""
    missing = kind.missing()
    if missing:
        lacking(f"board {kind.name!r} needs " + ", ".join(item.what for item in missing))


KINDS = {kind.name: kind for kind in (qemu_stm32f405.KIND, qemu_xtensa.KIND)}
both = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def make(kind: EmulatedKind, folder: Path, model: Model | None = None, **wanted: Any) -> EmulatedBoard:
    """Make a board, not started."""
    need_board(kind)
    return kind.create(BoardRequest(model=model or cached_model("s1-ptq"), work_dir=folder, **wanted))


class EmulatedContract(BoardContract):
    """The contract; an emulator starts in tenths of a second and may share its core, so faults get more time."""

    timeout_s = 3.0
    faults: ClassVar = {"crash": {"fault": "wild-write@{n}"}, "hang": {"fault": "hang@{n}"}}

    def make_board(self, tmp_path: Path, model: Model, **options: str) -> Board:
        """See `BoardSetup.make_board`."""
        need_board(self.kind)
        return super().make_board(tmp_path, model, **options)
