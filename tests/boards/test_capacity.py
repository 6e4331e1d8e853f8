"""Capacity and fit with a real compiler, linker and emulator."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.boards import qemu_stm32f405, qemu_xtensa
from pytest_tinyml.boards.emulated import FRAME_BYTES
from pytest_tinyml.campaign.families import Family
from pytest_tinyml.campaign.fit import fit
from pytest_tinyml.cli import main
from pytest_tinyml.contractsetup import cached_model
from tests.boards.emulated import need_board

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.boards.emulated import EmulatedKind

LIMIT = 48 * 1024
PARTS = [(qemu_stm32f405.KIND, "FLASH"), (qemu_xtensa.KIND, "flash")]


@pytest.mark.parametrize(("kind", "memory"), PARTS, ids=[kind.name for kind, _ in PARTS])
def test_capacity(kind: EmulatedKind, memory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is found links within the limit and runs; linked on its own, the next one exceeds it as stated."""
    need_board(kind)
    assert 0 == main(["capacity", "--board", kind.name, "--limit", f"{memory}=48K"])
    text = capsys.readouterr().out
    found = re.search(r"^largest: 28x28x1 dense (\d+) dense \1 dense 10: ([\d,]+) parameters", text, re.MULTILINE)
    over = re.search(
        rf"^limit: (\S+) in {memory}: with width (\d+) the memory is exceeded by ([\d,]+) B", text, re.MULTILINE
    )
    assert found
    assert over
    size = int(found[1])
    family = Family(name="mlp", bits=8)
    assert f"{family.parameters(size):,}" == found[2]
    assert size + 1 == int(over[2])
    fitting, exceeding = (
        {item.name: item.used for item in kind.linked(family.make(n, tmp_path), tmp_path).memories}[memory]
        for n in (size, size + 1)
    )
    assert fitting <= LIMIT
    assert f"{exceeding - LIMIT:,}" == over[3]
    assert "ran 4 random inputs on the board: the same bytes as" in text


def test_capacity_of_16_bits(capsys: pytest.CaptureFixture[str]) -> None:
    """A search over the input's side ends at the RAM, and the largest input, more than a usual frame holds, arrives."""
    need_board(qemu_xtensa.KIND)
    words = ["--family", "cnn", "--bits", "16", "--grow", "input", "--input", "8x8x3", "--width", "2"]
    assert 0 == main(["capacity", "--board", "qemu-xtensa", *words, "--limit", "dram=88K"])
    text = capsys.readouterr().out
    found = re.search(r"^largest: (\d+)x\1x3 conv 2 pool conv 4 pool dense 64 dense 10", text, re.MULTILINE)
    assert found
    assert 2 * 3 * int(found[1]) ** 2 > FRAME_BYTES
    assert re.search(r"^limit: \.bss in dram: with input \d+ the memory is exceeded by [\d,]+ B", text, re.MULTILINE)
    assert "engine espdl-c" in text
    assert "ran 4 random inputs on the board: the same bytes as board 'native'" in text


def test_fit_is_what_the_linker_says(tmp_path: Path) -> None:
    """The answer for a board that can be linked has the figures of the firmware that it will be given."""
    kind = qemu_stm32f405.KIND
    need_board(kind)
    model = cached_model("s1-ptq")
    answer = fit(kind, model, tmp_path)
    assert "fits" == answer.verdict
    assert kind.linked(model, tmp_path).memories == answer.memories


def test_fit_names_memory_and_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A network that is too large is refused with the memory and the bytes, and the exit code 1."""
    need_board(qemu_stm32f405.KIND)
    model = Family(name="mlp", bits=8).make(700, tmp_path)
    assert 1 == main(["fit", str(model.path), "--board", "qemu-stm32f405"])
    text = capsys.readouterr().out
    assert "qemu-stm32f405  too large (engine aot)" in text
    assert re.search(r"it exceeds FLASH \(1,048,576 B\) by [\d,]+ B", text)
