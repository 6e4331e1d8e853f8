"""The NUCLEO-F446RE keeps the contract, as far as its stand-in can say."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.nucleo_f446re import NucleoKind
from pytest_tinyml.contract import BoardContract

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.boards.base import Board
    from pytest_tinyml.records import Model
    from tests.nucleo.conftest import Plug


class TestNucleoContract(BoardContract):
    """Flashed before, as at each start of a test session but the first: asked what it runs, and restarted."""

    kind = NucleoKind()
    models = ("s2-ptq",)
    recovers = True
    timeout_s = 4.0  # an emulated UART is slow, and the part computes in the time that it leaves
    faults: ClassVar = {"crash": {"fault": "wild-write@{n}"}, "hang": {"fault": "hang@{n}"}}

    @pytest.fixture(autouse=True)
    def place(self, plug: Plug) -> None:
        """A place for stand-ins."""
        self.plug = plug

    def make_board(self, tmp_path: Path, model: Model, **options: str) -> Board:
        """Plug a stand-in in, with the firmware that the board wants in its flash."""
        request = BoardRequest(model=model, work_dir=tmp_path, timeout_s=self.patience_s(options), options=options)
        image = self.kind.create(request).image.path
        stand_in = self.plug(flash=image)
        return self.kind.create(
            BoardRequest(
                model=model,
                work_dir=tmp_path,
                timeout_s=self.patience_s(options),
                options=options,
                device=stand_in.device,
            )
        )
