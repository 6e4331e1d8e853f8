"""Every model of the zoo on every board that takes it, over all 28,000 digits: bit-exact with TFLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.engines.select import FLOAT_TOLERANCE
from tests.campaigns import run_campaign, zoo_on

if TYPE_CHECKING:
    from pathlib import Path


def cases() -> list[Any]:
    """Return board and model; the cases of a model stay on one worker, which computes its reference once."""
    return [
        pytest.param(board, model, id=f"{board}-{model}", marks=pytest.mark.xdist_group(model))
        for board in ("native", "tflm", "qemu-stm32f405", "qemu-xtensa")
        for model in zoo_on(board)
        # An hour of floating point in software proves no more than S2's, in tests/boards/test_float_on_boards.py.
        if board != "qemu-stm32f405" or not model.endswith("-float")
    ]


def test_the_zoo_is_there() -> None:
    """The test below is over S0, S1, S2 and S4, quantised after and during training: it cannot be empty."""
    assert {f"s{n}-{kind}" for n in (0, 1, 2, 4) for kind in ("ptq", "qat")} <= set(zoo_on("native"))
    assert {f"s{n}-float" for n in (0, 1, 2, 4)} <= set(zoo_on("tflm"))


@pytest.mark.parametrize(("board", "model"), cases())
def test_bit_exact(board: str, model: str, tmp_path: Path) -> None:
    """No byte of 280,000 differs; with the float kernels of ours, no more than the exponential's rounding."""
    comparison, _ = run_campaign(board, model, tmp_path)
    assert (28_000, ()) == (comparison.count, comparison.flips)
    if board == "native" and model.endswith("-float"):
        assert comparison.max_abs < FLOAT_TOLERANCE / 10
        assert comparison.differing_elements < comparison.count / 100
    else:
        assert comparison.differing_elements == 0
