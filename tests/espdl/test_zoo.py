"""S3, the zoo's model for ESP-DL, over all 28,000 digits: the C gives the bits of esp-ppq's simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.plan import make_campaign, make_plans
from pytest_tinyml.verdict.compare import compare
from tests.campaigns import TIMEOUT_S

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.espdl, pytest.mark.xdist_group("zoo")]


@pytest.mark.parametrize("model", ["s3-int8", "s3-int16"])
@pytest.mark.parametrize("board", ["native", "qemu-xtensa"])
def test_bit_exact(board: str, model: str, tmp_path: Path) -> None:
    """No bit of 280,000 probabilities differs, and the accuracy is the card's."""
    (plan,) = make_plans(Registry(), boards=[board], model=model, dataset="mnist-28k", reference=None)
    campaign = make_campaign(plan, journal=tmp_path / "journal.sqlite", work_dir=tmp_path, timeout_s=30.0, fresh=True)
    try:
        campaign.reference.start()
        ids = np.arange(plan.samples, dtype=np.int64)
        assert campaign.reference.wait_for(ids, TIMEOUT_S)
        campaign.bench.check_canaries()
        campaign.start()
        assert campaign.wait_for(range(plan.samples), TIMEOUT_S)
        campaign.finish()
        scores = campaign.run.scores.view(plan.model.output.dtype)
        result = compare(scores, campaign.reference.scores, plan.dataset.labels, ids, plan.model.output)
    finally:
        campaign.close()
        campaign.close_journal()
    assert (28_000, 0, ()) == (result.count, result.differing_elements, result.flips)
    assert "espdl" == plan.reference.name
    assert plan.dataset.labels is not None
    right = np.mean(scores.reshape(28_000, 10).argmax(axis=1) == plan.dataset.labels)
    assert plan.model.card_top1 == pytest.approx(right)
