"""S3, the zoo's model for ESP-DL, over all 28,000 digits: the C gives the bits of esp-ppq's simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.stores.models import load_model
from tests.campaigns import run_campaign

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.espdl, pytest.mark.xdist_group("zoo")]


# With 8 bits on qemu-xtensa it is the README's command for S3, in tests/systems.
@pytest.mark.parametrize(
    ("board", "model"), [("native", "s3-int8"), ("native", "s3-int16"), ("qemu-xtensa", "s3-int16")]
)
def test_bit_exact(board: str, model: str, tmp_path: Path) -> None:
    """No bit of 280,000 probabilities differs, and the accuracy is the card's."""
    result, _ = run_campaign(board, model, tmp_path)
    assert (28_000, 0, ()) == (result.count, result.differing_elements, result.flips)
    assert load_model(model).card_top1 == result.top1_board
