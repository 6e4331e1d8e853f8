"""How an emulator ends: killed from outside, given up by itself, or behind the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.contractsetup import cached_dataset
from pytest_tinyml.errors import BoardCrashedError
from pytest_tinyml.records import Encoding
from tests.boards.emulated import KINDS, both, make
from tests.processes import is_running

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from pytest_tinyml.boards.emulated import EmulatedBoard, EmulatedKind


class DisturbedWork(ListWork):
    """Something happens when the first answer is there, and only once."""

    def __init__(self, encoder: SampleEncoder, ids: range, happens: Callable[[], object]) -> None:
        """Begin in peace."""
        super().__init__(encoder, ids)
        self._happens: Callable[[], object] | None = happens

    def answer(self, ids: npt.NDArray[np.uint32], ticks: npt.NDArray[np.uint32], scores: npt.NDArray[np.uint8]) -> None:
        """See `Work.answer`."""
        super().answer(ids, ticks, scores)
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()


def emulator_of(board: EmulatedBoard) -> int:
    """Return the process id of a board's QEMU: the keeper's only child."""
    keeper = board.pid
    (child,) = Path(f"/proc/{keeper}/task/{keeper}/children").read_text(encoding="ascii").split()
    assert Path(f"/proc/{child}/comm").read_text(encoding="ascii").startswith("qemu-system")
    return int(child)


@both
@pytest.mark.parametrize("link", ["semihosting", "serial"])
def test_an_emulator_killed_from_outside(kind: EmulatedKind, link: str, tmp_path: Path) -> None:
    """It is a crash that says so, however late its keeper comes to it, and the board can be opened again."""
    board = make(kind, tmp_path, link=link, timeout_s=30.0)
    encoder = SampleEncoder(board.request.model, cached_dataset("mnist-28k", 1000))
    try:
        board.open()
        keeper, emulator = board.pid, emulator_of(board)
        assert keeper is not None

        # Longer than a board is given to end by itself.
        late = threading.Timer(0.7, os.kill, (keeper, signal.SIGCONT))

        def kill() -> None:
            os.kill(keeper, signal.SIGSTOP)
            os.kill(emulator, signal.SIGKILL)
            late.start()

        with pytest.raises(BoardCrashedError, match=r"the board is gone: .*\(ended by SIGKILL\)"):
            board.stream(DisturbedWork(encoder, range(1000), kill))
        late.join()
        board.open()
        assert board.stats()["inferences"] == 0
    finally:
        board.close()


def test_what_an_earlier_emulator_said_explains_nothing(tmp_path: Path) -> None:
    """QEMU aborts at a lock-up and says why; the one that is killed after it was started again did not lock up."""
    board = make(KINDS["qemu-stm32f405"], tmp_path, options={"fault": "lock-up@1"}, timeout_s=30.0)
    try:
        board.open()
        with pytest.raises(BoardCrashedError, match=r"ended by SIGABRT: Lockup: .*, pc 0x"):
            board.canary(Encoding.PIXELS, 0, bytes(784))
        board.open()
        os.kill(emulator_of(board), signal.SIGKILL)
        with pytest.raises(BoardCrashedError, match=r"\(ended by SIGKILL\)"):
            board.canary(Encoding.PIXELS, 0, bytes(784))
    finally:
        board.close()


@both
def test_no_emulator_outlives_its_parent(kind: EmulatedKind, tmp_path: Path) -> None:
    """Not even one whose firmware hangs, when the process that started it is killed without a chance to clean up."""
    make(kind, tmp_path, options={"fault": "hang@1"}).prepare()
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom tests.boards.test_emulated_ends import *\n"
        f"board = make(KINDS[{kind.name!r}], Path({str(tmp_path)!r}), options={{'fault': 'hang@1'}})\n"
        "board.open()\nprint(emulator_of(board), flush=True)\n"
        "work = ListWork(SampleEncoder(board.request.model, cached_dataset('mnist-28k', 4)), range(4))\n"
        "board.stream(work)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.3)
        assert is_running(child)
        parent.kill()
    deadline = time.monotonic() + 30.0
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)
