"""Every way in which firmware dies, on both emulated processors: noticed, explained, survived."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.boards import qemu_stm32f405, qemu_xtensa
from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.plan import make_campaign, make_plans
from pytest_tinyml.contractsetup import cached_model, expected_scores
from pytest_tinyml.errors import BoardCrashedError
from pytest_tinyml.records import Encoding
from tests.boards.emulated import need_board

if TYPE_CHECKING:
    from pathlib import Path


KINDS = {kind.name: kind for kind in (qemu_stm32f405.KIND, qemu_xtensa.KIND)}
MODEL = "s1-ptq"
SAMPLES, DEADLY = 60, 17
SILENT_S, PATIENT_S = 3.0, 30.0
"""How long firmware may be silent that dies without a word, and firmware that does not: a computer may be busy."""
NAMED = f"processor fault while sample {DEADLY} was running: "
REGISTERS = r".*\bpc 0x[0-9a-f]{8} \([\w$]+(\+0x[0-9a-f]+)?\).*\bsp 0x[0-9a-f]{8}"
SILENT = r"no result for \d+\.\d s"
# What the reason of the recorded failure says, and what the console says, for each board and way to die.
EXPECTED = {
    ("qemu-stm32f405", "wild-write"): (
        NAMED + "BusFault.*address 0x60000000" + REGISTERS,
        r"Invalid write at addr 0x60000000, size 4",
    ),
    ("qemu-stm32f405", "bad-instruction"): (NAMED + "UsageFault, undefined instruction" + REGISTERS, "UsageFault"),
    # The processor could not save the registers: there was no stack to save them on. GCC's code moves the stack pointer
    # after it stored, LLVM's before.
    ("qemu-stm32f405", "stack-overflow"): (
        NAMED + r"stack overflow, .*called from 0x[0-9a-f]{8} \(\w+\+0x[0-9a-f]+\), sp 0x(2000|1fff)",
        "stack overflow",
    ),
    ("qemu-stm32f405", "lock-up"): (
        r"the board is gone: .*SIGABRT: Lockup: can't escalate 3 to HardFault.*, pc 0x[0-9a-f]{8} \(\w+\+0x[0-9a-f]+\)",
        "R15=0",
    ),
    ("qemu-stm32f405", "hang"): (SILENT, "fault injected: hang"),
    ("qemu-xtensa", "wild-write"): (
        NAMED + "LoadStorePIFAddrError.*address 0x20000000" + REGISTERS,
        r"Invalid write at addr 0x20000000, size 4",
    ),
    ("qemu-xtensa", "bad-instruction"): (NAMED + "IllegalInstruction" + REGISTERS, "IllegalInstruction"),
    ("qemu-xtensa", "stack-overflow"): (NAMED + "stack overflow" + REGISTERS, "stack overflow"),
    # The LX106 has no state of its own for this: it takes the same exception for ever.
    ("qemu-xtensa", "lock-up"): (SILENT, "fault injected: lock-up"),
    ("qemu-xtensa", "hang"): (SILENT, "fault injected: hang"),
}


@pytest.mark.parametrize(("board", "way"), EXPECTED)
def test_a_sample_that_kills_the_firmware(board: str, way: str, tmp_path: Path) -> None:
    """It is tried once more and recorded as failed, with cause, place and registers; all others are answered right."""
    need_board(KINDS[board])
    run_deadly(board, way, tmp_path)


def run_deadly(board: str, way: str, folder: Path, **options: str) -> None:
    """Run with a sample that kills the firmware, and assert the sentence above."""
    reason, console = EXPECTED[board, way]
    timeout_s = SILENT_S if reason == SILENT else PATIENT_S
    campaign, restarts = _run(board, folder, timeout_s, **options, fault=f"{way}#{DEADLY}")
    assert list(campaign.run.failed) == [DEADLY]
    assert re.search(f"the board failed 2 times on this sample: {reason}", campaign.run.failed[DEADLY], re.DOTALL)
    log = (folder / f"{board}.console.log").read_text(encoding="utf-8")
    assert len(re.findall(f"fault injected: {way}#{DEADLY}", log)) == restarts
    assert re.search(console, log)
    # Named by the fault handler: tried, and once more. Else all that were on the board are tried one by one.
    assert restarts == 2 if reason.startswith(NAMED) else restarts in {2, 3}
    others = [k for k in range(SAMPLES) if k != DEADLY]
    assert campaign.run.done[others].all()
    expected = expected_scores("mnist-28k", SAMPLES, cached_model(MODEL), "tflm")
    scores = campaign.run.scores.view(np.int8).reshape(expected.shape)
    assert (scores[others] == expected[others]).all()


@pytest.mark.parametrize("board", KINDS)
def test_firmware_that_ends_by_itself(board: str, tmp_path: Path) -> None:
    """The emulator's exit status is part of the message, with the console."""
    kind = KINDS[board]
    need_board(kind)
    request = BoardRequest(model=cached_model(MODEL), work_dir=tmp_path, options={"fault": "exit@1"})
    made = kind.create(request)
    try:
        made.prepare()
        made.open()
        with pytest.raises(BoardCrashedError, match=r"the board is gone: .*ended with exit code 5") as caught:
            made.canary(Encoding.PIXELS, 0, bytes(784))
        assert "fault injected: exit@1" in caught.value.console_tail
    finally:
        made.close()


def _run(board: str, folder: Path, timeout_s: float, **options: str) -> tuple[Any, int]:
    """Run the model over a few samples; returns the campaign, closed, and how often the board was started again."""
    (plan,) = make_plans(
        Registry(), boards=[board], model=MODEL, dataset="mnist-28k", reference="tflm", limit=SAMPLES, options=options
    )
    campaign = make_campaign(plan, journal=folder / "journal.sqlite", work_dir=folder, timeout_s=timeout_s, fresh=True)
    try:
        campaign.bench.connect()
        campaign.start()
        assert campaign.wait_for(range(SAMPLES), 120.0)
        campaign.end_threads()
        return campaign, sum(event.kind == "restart" for event in campaign.run.events())
    finally:
        campaign.close()
        campaign.close_journal()
