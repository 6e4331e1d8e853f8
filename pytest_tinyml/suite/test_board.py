"""Does the board predict what the host predicts? In the order in which an answer is worth having."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.suite.checks import (
    check_accuracy,
    check_arena,
    check_canaried,
    check_latency,
    check_shard,
    check_verifiable,
)

if TYPE_CHECKING:
    from pytest_tinyml.records import Model
    from pytest_tinyml.shell.handles import BoardHandle, RunHandle

pytestmark = pytest.mark.tinyml


def test_identity(tinyml_board: BoardHandle, tinyml_model: Model) -> None:
    """The board runs the firmware, the engine and the model that were asked for, with the same tensors."""
    check_verifiable(tinyml_board)
    assert tinyml_model.sha256 == tinyml_board.identity.model_sha256


def test_canary(tinyml_board: BoardHandle) -> None:
    """A few samples, twice: the same input tensors and the same scores as on the host, and no state in between."""
    check_canaried(tinyml_board)
    assert tinyml_board.canaries()


def test_samples(tinyml_run: RunHandle, tinyml_shard: range) -> None:
    """Every sample of the shard gives the host's scores."""
    check_shard(tinyml_run, tinyml_shard)


def test_state(tinyml_run: RunHandle) -> None:
    """After the whole run the canaries still give what they gave before, and no sample was answered in two ways."""
    tinyml_run.finish()
    assert tinyml_run.conflicts == []


def test_accuracy(tinyml_run: RunHandle, pytestconfig: pytest.Config) -> None:
    """The board is as often right (or as near, if it is a regression) as the host, and as was asked for."""
    check_accuracy(tinyml_run, pytestconfig)


def test_latency(tinyml_run: RunHandle, pytestconfig: pytest.Config) -> None:
    """Every inference took time, and the median not more than was asked for."""
    check_latency(tinyml_run, pytestconfig)


def test_memory(tinyml_run: RunHandle, pytestconfig: pytest.Config) -> None:
    """The engine's working memory fits what the board has, and what was asked for."""
    check_arena(tinyml_run, pytestconfig)
