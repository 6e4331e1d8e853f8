"""The Cortex-M4 firmware built by zig, without a compiler, CMake or make of the system."""

from __future__ import annotations

import importlib.util
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.boards import qemu_stm32f405
from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.contractsetup import cached_model
from pytest_tinyml.errors import DoesNotFitError
from tests.boards.emulated import EmulatedContract, need_board
from tests.boards.test_emulated_crashes import run_deadly
from tests.boards.test_emulated_failures import wide_model
from tests.campaigns import run_campaign
from tests.firmware.tools import built_in_two_folders
from tests.presence import lacking

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.boards.emulated import EmulatedBoard
    from pytest_tinyml.records import Model

pytestmark = pytest.mark.zig

KIND = qemu_stm32f405.KIND
ZIG = {"compiler": "zig"}


@pytest.fixture(autouse=True)
def nothing_else(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing on the path but the emulator: the rest has to come from pip."""
    if importlib.util.find_spec("ziglang") is None:
        lacking("the extra zig is not installed")
    need_board(KIND)
    emulator = shutil.which("qemu-system-arm")
    assert emulator is not None
    folder = tmp_path_factory.mktemp("path")
    (folder / "qemu-system-arm").symlink_to(emulator)
    monkeypatch.setenv("PATH", str(folder))


class TestBuiltByZig(EmulatedContract):
    """The contract."""

    kind = KIND

    def make_board(self, tmp_path: Path, model: Model, **options: str) -> EmulatedBoard:
        """See `BoardSetup.make_board`."""
        wanted = {**ZIG, **options}
        return KIND.create(
            BoardRequest(model=model, work_dir=tmp_path, timeout_s=self.patience_s(options), options=wanted)
        )


@pytest.mark.parametrize("model", ["s0-ptq", "s1-ptq", "s1-ptq-pertensor", "s4-qat"])
def test_bit_exact(model: str, tmp_path: Path) -> None:
    """No byte of 280,000 differs: convolutions, both kinds of dense layers and additions, of CMSIS-NN."""
    comparison, _ = run_campaign("qemu-stm32f405", model, tmp_path, options=ZIG)
    assert (28_000, 0) == (comparison.count, comparison.differing_elements)


def test_the_build_says_who_made_it(tmp_path: Path) -> None:
    """Compiler, memories and stack are known as with GCC."""
    board = KIND.create(BoardRequest(model=cached_model("s1-ptq"), work_dir=tmp_path, options=ZIG))
    image = board.image
    assert board.facts is not None
    assert re.search(r"clang|zig", board.facts.compiler)
    used = {memory.name: memory.used for memory in image.memories}
    assert 57_872 < used["FLASH"] == image.flash_bytes < 100_000
    assert 20_000 < used["RAM"] <= 128 * 1024


@pytest.mark.parametrize("way", ["wild-write", "bad-instruction", "stack-overflow", "lock-up", "hang"])
def test_a_sample_that_kills_the_firmware(way: str, tmp_path: Path) -> None:
    """The fault handlers do their work in another compiler's code too."""
    run_deadly("qemu-stm32f405", way, tmp_path, **ZIG)


def test_what_does_not_fit(tmp_path: Path) -> None:
    """LLVM's linker says it in other words."""
    board = KIND.create(BoardRequest(model=wide_model(), work_dir=tmp_path, options=ZIG))
    with pytest.raises(DoesNotFitError, match=r"exceeds FLASH \(1,048,576 B\) by [\d,]+ B; boards with room"):
        board.prepare()


def test_the_place_is_not_in_the_image(tmp_path: Path) -> None:
    """Neither the sources' nor the build's: the same sources give the same bytes."""
    one, another = built_in_two_folders("qemu_stm32f405", "toolchain-zig-cortex-m4.cmake", tmp_path)
    assert one == another
    assert str(tmp_path).encode() not in one
