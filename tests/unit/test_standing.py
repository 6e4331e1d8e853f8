"""Where a campaign stands, looked at now and then, is what one look at everything gives."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.campaign.progress import Standing
from pytest_tinyml.links.workqueue import WorkQueue
from pytest_tinyml.records import Dataset, TensorSpec
from pytest_tinyml.verdict.compare import compare
from tests.unit.simulated import MODEL

if TYPE_CHECKING:
    from pytest_tinyml.records import Model, Task

N, CLASSES = 300, 4
OUTPUTS = {
    "int8": TensorSpec(dtype="int8", shape=(1, CLASSES), scale=1 / 256, zero_point=-128),
    "float32": TensorSpec(dtype="float32", shape=(1, CLASSES), scale=0.0, zero_point=0),
    "one": TensorSpec(dtype="int8", shape=(1, 1), scale=1 / 256, zero_point=-128),
}


def made(output: TensorSpec, task: Task, *, truth: bool) -> tuple[Any, Any, Any]:
    """Return a campaign that has not answered anything, and the outputs that board and reference will give."""
    rng = np.random.default_rng(5)
    shape = (N, output.elements)
    if output.dtype == "int8":
        reference = rng.integers(-128, 128, shape, dtype=np.int8)
        board = np.clip(reference.astype(int) + rng.integers(-9, 10, shape), -128, 127).astype(np.int8)
    else:
        reference = rng.normal(size=shape).astype(np.float32)
        board = reference + np.where(rng.random(shape) < 0.5, rng.normal(size=shape) * 0.3, 0).astype(np.float32)
    # Most outputs are the same, as they are in life.
    same = rng.random(N) < 0.7
    board[same] = reference[same]
    model: Model = replace(MODEL, output=output, task=task)
    data = Dataset(
        name="made",
        images=np.zeros((N, 2, 2), dtype=np.uint8),
        labels=rng.integers(0, max(output.elements, 2), N) if truth and task == "classification" else None,
        targets=rng.normal(size=shape) if truth and task == "regression" else None,
        sha256="",
    )
    run = SimpleNamespace(
        done=np.zeros(N, dtype=np.bool_),
        scores=np.zeros((N, output.nbytes), dtype=np.uint8),
        failed=dict[int, str](),
        resumed=0,
    )
    campaign = SimpleNamespace(
        model=model,
        dataset=data,
        settings=SimpleNamespace(samples=N),
        run=run,
        reference=SimpleNamespace(done=np.zeros(N, dtype=np.bool_), scores=np.zeros_like(reference)),
        queue=WorkQueue(range(N)),
        started_at=0.0,
        wall_s=0.0,
    )
    return campaign, board, reference


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize(
    ("output", "task"),
    [("int8", "classification"), ("float32", "classification"), ("one", "classification"), ("float32", "regression")],
)
def test_looking_often_is_looking_once(output: str, task: Task, truth: bool) -> None:
    """Whatever comes first, answers or reference, and in which order, the figures at the end are those of `compare`."""
    campaign, board, reference = made(OUTPUTS[output], task, truth=truth)
    rng = np.random.default_rng(6)
    answers, references = (np.array_split(rng.permutation(N), 11) for _ in range(2))
    standing = Standing(campaign)
    assert (None, None) == (standing.progress().top1, standing.progress().agreement)
    seen: list[int] = []
    for ours, theirs in zip(answers, references, strict=True):
        campaign.run.scores[ours] = board.view(np.uint8).reshape(N, -1)[ours]
        campaign.run.done[ours] = True
        seen += standing.look().tolist()
        campaign.reference.scores[theirs] = reference[theirs]
        campaign.reference.done[theirs] = True
        standing.look()
    expected = compare(
        board,
        reference,
        campaign.dataset.labels if task == "classification" else campaign.dataset.targets,
        np.arange(N),
        OUTPUTS[output],
        task,
    )
    now = standing.progress()
    assert list(range(N)) == sorted(seen)
    assert (N, N, N) == (now.done, now.total, now.compared)
    assert expected.differing == standing.differing > 0
    if task == "classification":
        assert sorted(expected.flips, key=lambda flip: flip.id) == sorted(standing.flips, key=lambda flip: flip.id)
        assert (expected.top1_board, expected.argmax_agreement) == (now.top1, now.agreement)
        assert expected.flips != ()
    else:
        assert expected.bit_exact_ratio == now.agreement
        fit = None if standing.fit is None else standing.fit.fit().rmse
        assert (None if expected.fit_board is None else pytest.approx(expected.fit_board.rmse)) == fit
    once = Standing(campaign)
    assert (now.top1, now.agreement, len(standing.flips)) == (
        once.progress().top1,
        once.progress().agreement,
        len(once.flips),
    )
    assert [] == standing.look().tolist()
