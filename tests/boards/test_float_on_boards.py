"""Float models on the emulated processors: one has an FPU, the other nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.boards import qemu_stm32f405, qemu_xtensa
from pytest_tinyml.engines.select import FLOAT_TOLERANCE
from pytest_tinyml.errors import ModelError
from pytest_tinyml.stores.models import load_model
from tests.boards.emulated import need_board
from tests.campaigns import run_campaign

if TYPE_CHECKING:
    from pathlib import Path


def test_s2_on_a_cortex_m4(tmp_path: Path) -> None:
    """Within the tolerance, and the FPU's sums are those of the host: few elements differ by a rounding.

    All 28,000 take two minutes; bench_systems runs them.
    """
    need_board(qemu_stm32f405.KIND)
    comparison, _ = run_campaign("qemu-stm32f405", "s2-float", tmp_path, limit=4000)
    assert (4000, ()) == (comparison.count, comparison.flips)
    assert comparison.max_abs < FLOAT_TOLERANCE / 10
    assert comparison.differing_elements < comparison.count / 100


def test_no_floats_on_the_lx106() -> None:
    """A processor without arithmetic for floats says so, and who has it, before anything is compiled."""
    message = r"s2-float: board 'qemu-xtensa' has no arithmetic for floats; .*--board native, qemu-stm32f405"
    with pytest.raises(ModelError, match=message):
        qemu_xtensa.KIND.check(load_model("s2-float"))
