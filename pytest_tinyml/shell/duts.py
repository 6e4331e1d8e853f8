"""Fixtures of pytest-embedded that our boards replace: ``dut`` talks over the console that is open already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tinyml.shell.handles import BoardHandle
    from pytest_tinyml.shell.harness import Harness


@pytest.fixture
def app(tinyml_board: BoardHandle, _tinyml_harness: Harness) -> Any:  # noqa: ANN401 - pytest-embedded's
    """The firmware that the board runs, as pytest-embedded describes it; several boards have several."""
    del tinyml_board
    return _one_or_all([board.app for board in _boards(_tinyml_harness)])


@pytest.fixture
def serial(tinyml_board: BoardHandle, _tinyml_harness: Harness, msg_queue: Any) -> Iterator[Any]:  # noqa: ANN401
    """The board's serial port, open; what the board says meanwhile is also for ``dut.expect``."""
    del tinyml_board
    boards = _boards(_tinyml_harness)
    queues = msg_queue if isinstance(msg_queue, list | tuple) else [msg_queue]
    ends = [board.lines.also(queue.put) for board, queue in zip(boards, queues, strict=True)]
    yield _one_or_all([board.serial for board in boards])
    for end in ends:
        end()


def _boards(harness: Harness) -> list[Any]:
    boards = [board for board in harness.campaign.bench.boards if getattr(board, "serial", None) is not None]
    if not boards:
        pytest.skip(f"board {harness.name!r} has no serial console that a dut could use")
    return boards


def _one_or_all(found: list[Any]) -> Any:  # noqa: ANN401 - as pytest-embedded's fixtures
    return found[0] if len(found) == 1 else tuple(found)
