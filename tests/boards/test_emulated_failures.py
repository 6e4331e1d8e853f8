"""What can go wrong around an emulated board: tools, sizes, other processes; and what it counts."""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml import firmware
from pytest_tinyml.boards import emulator
from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.contractsetup import cached_dataset, cached_model
from pytest_tinyml.errors import DoesNotFitError, MissingToolError, UnknownNameError
from pytest_tinyml.records import Clock
from tests.boards.emulated import KINDS, both, make, need_board
from tests.unit.tflite_models import Builder, convolution, dense, keras_flatten, pool, record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.boards.emulated import EmulatedKind
    from pytest_tinyml.records import Model


class TickedWork(ListWork):
    """Keeps the ticks too."""

    def __init__(self, encoder: SampleEncoder, ids: range) -> None:
        """Begin without any."""
        super().__init__(encoder, ids)
        self.ticks: dict[int, int] = {}

    def answer(self, ids: npt.NDArray[np.uint32], ticks: npt.NDArray[np.uint32], scores: npt.NDArray[np.uint8]) -> None:
        """See `Work.answer`."""
        self.ticks.update(zip(ids.tolist(), ticks.tolist(), strict=True))
        super().answer(ids, ticks, scores)


def wide_model() -> Model:
    """Return a model whose 1.2 MB of weights are more than an STM32F405's flash, and less than an ESP32's."""
    net = Builder()
    source = net.tensor([1, 1, 1100], scale=1 / 255, zero=-128)
    hidden = dense(net, keras_flatten(net, source), 1100, 1)
    return record(net.finish(source, dense(net, hidden, 5, 2)), "wide")


def deep_model() -> Model:
    """Return a model whose tensors are more than either part's RAM."""
    net = Builder()
    source = net.tensor([1, 64, 64, 3], scale=1 / 255, zero=-128)
    image = convolution(net, source, 1, channels=48, same=True)
    for _ in range(3):
        image = pool(net, image, "MAX_POOL_2D")
    return record(net.finish(source, dense(net, keras_flatten(net, image), 5, 2)), "deep")


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    """The message names the memory, the excess in bytes, and boards with room; these include the one where it fits."""
    need_board(KINDS["qemu-xtensa"])
    model = wide_model()
    with pytest.raises(DoesNotFitError) as caught:
        make(KINDS["qemu-stm32f405"], tmp_path, model).prepare()
    text = str(caught.value)
    found = re.search(r"too large for qemu_stm32f405: the firmware exceeds FLASH \(1,048,576 B\) by ([\d,]+) B", text)
    assert found is not None
    excess = int(found[1].replace(",", ""))
    assert 1100 * 1100 - (1 << 20) < excess < 1100 * 1100 + 50_000 - (1 << 20)
    assert re.search(r"boards with room for it: .*native.*qemu-xtensa", text)
    assert caught.value.log_path is not None
    assert f"overflowed by {excess} bytes" in caught.value.log_path.read_text(encoding="utf-8")
    board = make(KINDS["qemu-xtensa"], tmp_path, model)
    board.prepare()
    assert board.image.flash_bytes > 1100 * 1100


@both
def test_tensors_that_do_not_fit(kind: EmulatedKind, tmp_path: Path) -> None:
    """RAM is named in place of flash; no emulated board is recommended that is too small as well."""
    with pytest.raises(
        DoesNotFitError, match=r"exceeds (RAM|dram) \([\d,]+ B\) by [\d,]+ B; boards with room"
    ) as caught:
        make(kind, tmp_path, deep_model()).prepare()
    recommended = str(caught.value).partition("boards with room for it: ")[2].splitlines()[0].split(", ")
    assert "native" in recommended
    assert set(KINDS).isdisjoint(recommended)


@both
def test_missing_tools_are_named(kind: EmulatedKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with the command that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(firmware.emulated, "_importable", lambda _: False)
    missing = {item.what: item.install for item in kind.missing()}
    assert missing.pop("CMake").startswith("sudo apt-get install cmake")
    assert missing.pop("make or ninja") == "sudo apt-get install make"
    assert {what.split("-")[0] for what in missing} == {"qemu", "arm" if kind.name == "qemu-stm32f405" else "xtensa"}
    assert all(install.startswith("sudo apt-get install ") for install in missing.values())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("QEMU emulator version 7.2.22 (Debian)", None),
        ("QEMU emulator version 10.1.0", None),
        ("QEMU emulator version 5.2.0", r"qemu-system-arm 7.0 or later \(this is 5.2\)"),
        ("something else", "qemu-system-arm$"),
    ],
)
def test_an_old_emulator_is_refused(
    answer: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its version, which is compared as numbers."""
    program = tmp_path / "qemu-system-arm"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    whats = [item.what for item in KINDS["qemu-stm32f405"].missing() if "qemu" in item.what]
    if expected is None:
        assert whats == []
    else:
        assert len(whats) == 1
        assert re.match(expected, whats[0])


def test_an_old_compiler_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it stumbles over an option that it does not know; by the list of what is missing, and by a build."""
    program = tmp_path / "xtensa-lx106-elf-gcc"
    program.write_text("#!/bin/sh\necho 'gcc version 5.2.0 (crosstool-NG)' >&2\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    kind = KINDS["qemu-xtensa"]
    expected = "xtensa-lx106-elf-gcc 8.0 or later (this is 5.2)"
    installs = {item.what: item.install for item in kind.missing()}
    assert installs[expected] == "sudo apt-get install gcc-xtensa-lx106"
    board = kind.create(BoardRequest(model=cached_model("s1-ptq"), work_dir=tmp_path))
    with pytest.raises(MissingToolError, match=re.escape(expected)):
        board.prepare()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"link": "http"}, r"no link of board 'qemu-xtensa' named 'http'.*semihosting, serial"),
        ({"clock": "cycles"}, r"no clock of board 'qemu-xtensa' named 'cycles'.*instructions, wall"),
        ({"options": {"compiler": "zig"}}, r"no compiler of board 'qemu-xtensa' named 'zig'.*gcc"),
        ({"options": {"kernels": "cmsis-nn"}}, r"no kernels of board 'qemu-xtensa' named 'cmsis-nn'.*esp-nn, portable"),
    ],
)
def test_what_a_board_does_not_have(wanted: dict[str, Any], message: str, tmp_path: Path) -> None:
    """The error says what there is."""
    with pytest.raises(UnknownNameError, match=message):
        make(KINDS["qemu-xtensa"], tmp_path, **wanted)


@both
def test_two_boards_at_once(kind: EmulatedKind, tmp_path: Path) -> None:
    """Boards of one kind do not share anything: neither a name in the file system nor a port."""
    first, second = make(kind, tmp_path, index=0), make(kind, tmp_path, index=1)
    encoder = SampleEncoder(first.request.model, cached_dataset("mnist-28k", 300))
    works = [ListWork(encoder, range(300)) for _ in range(2)]
    try:
        for board in (first, second):
            board.open()
        threads = [
            threading.Thread(target=board.stream, args=(work,), daemon=True)
            for board, work in zip((first, second), works, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60.0)
        assert works[0].scores == works[1].scores
        assert len(works[0].scores) == 300
    finally:
        first.close()
        second.close()


@both
@pytest.mark.parametrize("link", ["semihosting", "serial"])
def test_instructions_are_counted_alike(kind: EmulatedKind, link: str, tmp_path: Path) -> None:
    """Two runs, one of them in another order, count the same for each sample within one tick; interrupts aside."""
    board = make(kind, tmp_path, link=link, clock="instructions", timeout_s=30.0)
    model = board.request.model
    encoder = SampleEncoder(model, cached_dataset("mnist-28k", 30))
    runs = []
    try:
        for ids in (range(30), range(29, -1, -1)):
            identity = board.open()
            assert (identity.clock, identity.tick_hz) == (Clock.INSTRUCTIONS, 0)
            work = TickedWork(encoder, ids)
            board.stream(work)
            runs.append(work.ticks)
    finally:
        board.close()
    first, second = (np.asarray([run[k] for k in range(30)], dtype=np.int64) for run in runs)
    # S1 has 26,506 multiplications and additions: at least as many instructions, and not ten times what was measured.
    assert (first > 26_506).all()
    assert (first < 6_000_000).all()
    if link == "semihosting":
        assert np.abs(first - second).max() <= 1
    else:
        # Bytes that arrive meanwhile are taken by an interrupt, whose instructions are somebody's.
        assert np.median(np.abs(first - second)) <= 0.02 * np.median(first)


def test_the_portable_kernels_cost_more(tmp_path: Path) -> None:
    """The vendor's kernels are really used: with them S0 takes far fewer instructions."""
    counts = {}
    for kernels in ("cmsis-nn", "portable"):
        board = make(
            KINDS["qemu-stm32f405"],
            tmp_path,
            cached_model("s0-ptq"),
            clock="instructions",
            options={"kernels": kernels},
        )
        work = TickedWork(SampleEncoder(board.request.model, cached_dataset("mnist-28k", 4)), range(4))
        try:
            board.open()
            board.stream(work)
        finally:
            board.close()
        counts[kernels] = work.ticks[0]
    assert 1.3 * counts["cmsis-nn"] < counts["portable"]


def test_versions_are_read() -> None:
    """What is not there has none."""
    assert emulator.qemu_version("qemu-system-no-such") is None
