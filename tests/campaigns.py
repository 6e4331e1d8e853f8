"""A whole campaign in one call, for benchmarks and for the tests over the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.plan import make_campaign, make_plans
from pytest_tinyml.stores.models import list_models, load_model
from pytest_tinyml.verdict.compare import Comparison, compare

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMEOUT_S = 1200.0


def zoo_on(board: str) -> list[str]:
    """Return the names of the zoo's .tflite models that a board takes: an LX106 has no arithmetic for floats."""
    rows = [row for row in list_models() if load_model(row.name).format == "tflite"]
    return [row.name for row in rows if board != "qemu-xtensa" or row.input_scale]


def run_campaign(
    board: str,
    model: str,
    folder: Path,
    *,
    link: str | None = None,
    count: int = 1,
    options: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> tuple[Comparison, float]:
    """Run a zoo model over the 28,000, or the first of them; return the comparison and the seconds it streamed."""
    (plan,) = make_plans(
        Registry(), boards=[board], model=model, dataset="mnist-28k", reference=None, link=link, count=count,
        options=options, limit=limit,
    )  # fmt: skip
    campaign = make_campaign(plan, journal=folder / "journal.sqlite", work_dir=folder, timeout_s=30.0, fresh=True)
    try:
        # The reference first: it would take the processors from the board.
        campaign.reference.start()
        ids = np.arange(plan.samples, dtype=np.int64)
        assert campaign.reference.wait_for(ids, TIMEOUT_S)
        campaign.bench.check_canaries()
        campaign.start()
        assert campaign.wait_for(range(plan.samples), TIMEOUT_S)
        campaign.finish()
        scores = campaign.run.scores.view(plan.model.output.dtype)
        labels = None if plan.dataset.labels is None else plan.dataset.labels[: plan.samples]
        return compare(scores, campaign.reference.scores, labels, ids, plan.model.output), campaign.wall_s
    finally:
        campaign.close()
        campaign.close_journal()
