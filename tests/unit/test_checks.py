"""The accuracy check of the ready-made tests, on comparisons that no board of ours gives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_tinyml.records import TensorSpec
from pytest_tinyml.suite.checks import check_accuracy
from pytest_tinyml.verdict.compare import compare

COUNT = 2000
OUTPUT = TensorSpec(dtype="int8", shape=(1, 3), scale=0.1)


def _check(flips: int, *, labelled: bool, min_top1: float | None = None, ended: str = "") -> None:
    """Check a run that predicts another class than the host for some samples; the host is always right."""
    classes = np.arange(COUNT) % 3
    reference = np.eye(3, dtype=np.int8)[classes]
    board = reference.copy()
    board[:flips] = np.roll(board[:flips], 1, axis=1)
    labels = classes.astype(np.int64) if labelled else None
    comparison = compare(board, reference, labels, np.arange(COUNT), OUTPUT)
    session = SimpleNamespace(settings=SimpleNamespace(min_top1=min_top1))
    config: Any = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=lambda _: session))
    run: Any = SimpleNamespace(everything=lambda: comparison, ended_early=ended)
    check_accuracy(run, config)


@pytest.mark.parametrize(("labelled", "said"), [(True, "is right"), (False, "predicts what the host does")])
def test_losses(labelled: bool, said: str) -> None:
    """One sample in a thousand may be lost to a tolerance, with and without labels; one more fails."""
    _check(2, labelled=labelled)
    with pytest.raises(
        pytest.fail.Exception, match=rf"the board {said}.* 1,997 times, the host 2,000: 3 fewer, at most 2"
    ):
        _check(3, labelled=labelled)


def test_limit() -> None:
    """The lowest accuracy is that of the labels; without them it is not applied, and the losses are checked before."""
    with pytest.raises(pytest.fail.Exception, match=r"top-1 99\.9500% is below --tinyml-min-top1 99\.9900%"):
        _check(1, labelled=True, min_top1=0.9999)
    with pytest.raises(pytest.skip.Exception, match="was not applied"):
        _check(1, labelled=False, min_top1=0.9999)
    with pytest.raises(pytest.fail.Exception, match="no labels"):
        _check(3, labelled=False, min_top1=0.9999)


def test_limit_and_a_part_of_the_samples() -> None:
    """After an early stop the limit fails or passes where the interval is clear of it, and skips where it is not."""
    with pytest.raises(pytest.fail.Exception, match=r"top-1 90\.00 % .* of 2,000 samples is below"):
        _check(200, labelled=True, min_top1=0.95, ended="certain")
    _check(200, labelled=True, min_top1=0.85, ended="certain")
    with pytest.raises(pytest.skip.Exception, match=r"is not decided by a top-1 of 90\.00 % \(88\..*: certain"):
        _check(200, labelled=True, min_top1=0.9, ended="certain")


@pytest.mark.parametrize("labelled", [True, False])
def test_losses_of_a_part_of_the_samples(labelled: bool) -> None:
    """The loss is the sequential test's matter then, and that is said."""
    with pytest.raises(pytest.skip.Exception, match="judged by the sequential test: certain"):
        _check(200, labelled=labelled, ended="certain")
