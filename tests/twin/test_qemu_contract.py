"""Board esp32-qemu keeps the contract, over the stand-in for Espressif's QEMU."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.esp32_qemu import Esp32QemuKind
from pytest_tinyml.contract import BoardContract

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.boards.base import Board
    from pytest_tinyml.records import Model

pytestmark = [
    pytest.mark.twin,
    # Of pytest-embedded, which leaves closing a file to the interpreter.
    pytest.mark.filterwarnings("ignore:Exception ignored in.*sdkconfig.json:pytest.PytestUnraisableExceptionWarning"),
]
MODEL = "s1-ptq"


class StandInKind(Esp32QemuKind):
    """The kind ``esp32-qemu``, with what executes the model in the stand-in."""

    engine = "aot"


class TestEsp32QemuContract(BoardContract):
    """Each board is an emulator of its own, with the same image of a flash."""

    kind = StandInKind()
    models = (MODEL,)
    faults: ClassVar = {"crash": {"fault": "exit@{n}"}, "hang": {"fault": "hang@{n}"}}

    @pytest.fixture(autouse=True)
    def place(self, apps: Path, tmp_path: Path) -> None:
        """The application, and a folder for programs."""
        from tests.twin.desk import built

        self.app, self.programs, self.made = built(apps, MODEL), tmp_path, 0

    def make_board(self, tmp_path: Path, model: Model, **options: str) -> Board:
        """Install a stand-in; the options are its faults."""
        from tests.twin.qemu import install

        self.made += 1
        program = install(self.programs / f"espressif-{self.made}", fault=options.get("fault"))
        return self.kind.create(
            BoardRequest(
                model=model,
                work_dir=tmp_path,
                timeout_s=self.patience_s(options),
                device={"qemu_prog_path": str(program), "app_path": str(self.app)},
            )
        )
