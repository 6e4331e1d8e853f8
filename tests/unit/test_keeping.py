"""Which samples are kept as they look."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from pytest_tinyml.campaign.keeping import PICTURES, keep_pictures, remarkable
from pytest_tinyml.records import TensorSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.campaign.run import Campaign

SAMPLES = 200
INT8 = TensorSpec(dtype="int8", shape=(1, 3), scale=0.5, zero_point=0)
FLOAT = TensorSpec(dtype="float32", shape=(1, 3))
LABELS = np.zeros(SAMPLES, dtype=np.int64)


def campaign(board: npt.NDArray[Any], host: npt.NDArray[Any], *, task: str = "classification", **other: Any) -> Any:
    """Return what there is of a campaign at its end."""
    output = INT8 if board.dtype == np.int8 else FLOAT
    kept: dict[int, Any] = {}
    return SimpleNamespace(
        run=SimpleNamespace(
            done=other.get("done", np.ones(SAMPLES, dtype=np.bool_)),
            scores=np.ascontiguousarray(board).view(np.uint8).reshape(SAMPLES, -1),
            keep_pictures=kept.update,
        ),
        reference=SimpleNamespace(done=np.ones(SAMPLES, dtype=np.bool_), scores=host),
        model=SimpleNamespace(output=output, task=task),
        dataset=SimpleNamespace(
            labels=other.get("labels", LABELS),
            targets=None,
            images=other.get("images", np.arange(SAMPLES * 4, dtype=np.uint8).reshape(SAMPLES, 2, 2)),
        ),
        kept=kept,
    )


def outputs() -> npt.NDArray[np.int8]:
    """Return outputs that say class 0, int8 [SAMPLES, 3]."""
    return np.tile(np.array([[50, 0, 0]], dtype=np.int8), (SAMPLES, 1))


def test_the_order() -> None:
    """What is asked for comes first, then another label, then what changed most, then what is wrong on both sides."""
    host, board = outputs(), outputs()
    board[7] = 0, 50, 0
    board[9, 2] = 3
    board[11, 2] = 5
    host[20] = board[20] = 0, 0, 50
    assert [30, 7, 11, 9, 20] == remarkable(campaign(board, host), also=[30])


def test_nothing_remarkable() -> None:
    """A run like its reference, and right, has nothing to show."""
    assert [] == remarkable(campaign(outputs(), outputs()))
    assert [] == remarkable(campaign(outputs(), outputs(), labels=None))


def test_there_is_no_end_of_them() -> None:
    """When everything differs, flips do not take the room of what changed most."""
    host, board = outputs(), outputs()
    board[:100] = 49, 50, 0
    board[150:, 0] = -128
    chosen = remarkable(campaign(board, host))
    assert len(chosen) == PICTURES
    assert set(range(32)) <= set(chosen)
    assert 24 <= sum(150 <= sample < 200 for sample in chosen)


def test_unanswered_samples_are_left_out() -> None:
    """What the board has not answered has nothing to be compared with, also when it is asked for."""
    host, board = outputs(), outputs()
    board[5] = board[6] = 0, 50, 0
    done = np.ones(SAMPLES, dtype=np.bool_)
    done[5] = False
    assert [6] == remarkable(campaign(board, host, done=done), also=[5])


def test_values() -> None:
    """Of a regression, what is farthest apart; a NaN is as far as can be, two infinities are the same."""
    host = np.zeros((SAMPLES, 3), dtype=np.float32)
    board = host.copy()
    board[3, 0], board[4, 1], board[5, 2] = 0.5, np.nan, 2.0
    board[6] = host[6] = np.inf
    assert [4, 5, 3] == remarkable(campaign(board, host, task="regression"))


@pytest.mark.parametrize(
    ("images", "kept"),
    [
        (np.zeros((SAMPLES, 4, 4), dtype=np.uint8), True),
        (np.zeros((SAMPLES, 4, 4, 3), dtype=np.uint8), True),
        (np.zeros((SAMPLES, 4, 4, 2), dtype=np.uint8), False),
        (np.zeros((SAMPLES, 16), dtype=np.uint8), False),
        (np.zeros((SAMPLES, 4, 4), dtype=np.float32), False),
    ],
)
def test_only_pictures_are_kept(images: npt.NDArray[Any], *, kept: bool) -> None:
    """Grey and coloured images; what is no image is not."""
    board = outputs()
    board[7] = 0, 50, 0
    made = campaign(board, outputs(), images=images)
    keep_pictures(cast("Campaign", made))
    assert ([7] if kept else []) == list(made.kept)
