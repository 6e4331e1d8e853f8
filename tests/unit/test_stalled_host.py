"""Silence is what was waited for a board: a computer that stood still, or waited for its disk, says nothing of it."""

from __future__ import annotations

from unittest import mock

import pytest

from pytest_tinyml.errors import BoardTimeoutError
from pytest_tinyml.links.session import Patience
from tests.unit.simulated import LOSSY, make_link, make_work, right_scores, stream

HOUR_S = 3600.0
LOSSLESS = Patience(timeout_s=30.0)
both = pytest.mark.parametrize("patience", [LOSSY, LOSSLESS], ids=["lossy", "lossless"])


@both
def test_a_full_disk_queue_is_not_the_boards(patience: Patience) -> None:
    """A journal that takes an hour to write, again and again, while answers wait: nothing has failed."""
    end, work = make_link(), make_work(40)
    stalls = 0

    def stall() -> None:
        nonlocal stalls
        stalls += 1
        end.clock.now += HOUR_S

    with mock.patch.object(work, "flush", stall):
        stream(end, work, patience=patience)
    assert stalls > 0
    assert (work.scores, work.notes) == (right_scores(40), [])


@both
def test_a_computer_that_stood_still(patience: Patience) -> None:
    """Host and board are both stopped for an hour, in the middle of a wait: the board has had no time to answer."""
    end, work = make_link(), make_work(200)
    exchange = end.exchange
    calls = replies = 0

    def pause(out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        nonlocal calls
        calls += 1
        moved = exchange(out, timeout_s)
        if not any(moved) and calls > 20 and end.clock.now < 1000.0 + HOUR_S:
            end.clock.now += HOUR_S
        return moved

    def count(frame: bytes) -> bytes:
        nonlocal replies
        replies += 1
        return frame

    end.rewrite = count
    with mock.patch.object(end, "exchange", pause):
        stream(end, work, patience=patience)
    assert end.clock.now >= 1000.0 + HOUR_S
    assert (work.scores, work.notes) == (right_scores(200), [])
    # Nine samples fill a frame; the pause is not the board's pace, which would mean one sample at a time from then on.
    assert replies < 200 // 9 + 15


def test_a_dead_board_is_noticed_all_the_same() -> None:
    """A disk that takes a tenth of a second each time delays the end of patience, and no more."""
    end, work = make_link(), make_work(10)
    end.rewrite = lambda _: b""
    with pytest.raises(BoardTimeoutError):  # in the greeting
        stream(end, work, patience=LOSSLESS)
    end = make_link()

    def slow() -> None:
        end.clock.now += 0.1

    replies = 0

    def greeting_only(frame: bytes) -> bytes:
        nonlocal replies
        replies += 1
        return frame if replies == 1 else b""

    end.rewrite = greeting_only
    with mock.patch.object(work, "flush", slow), pytest.raises(BoardTimeoutError, match=r"no result for 30\.\d s"):
        stream(end, work, patience=LOSSLESS)
    assert 1030.0 <= end.clock.now <= 1050.0
