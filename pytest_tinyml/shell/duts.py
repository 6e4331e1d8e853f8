"""Fixtures of pytest-embedded that our boards replace: ``dut`` talks over the console that is open already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tinyml.shell.handles import BoardHandle
    from pytest_tinyml.shell.harness import Harness


@pytest.fixture
def app(tinyml_board: BoardHandle, _tinyml_harness: Harness, pytestconfig: pytest.Config) -> Any:  # noqa: ANN401
    """The firmware that the board runs, as pytest-embedded describes it; several boards have several."""
    del tinyml_board
    return _one_or_all([board.app for board in _boards(_tinyml_harness, pytestconfig)])


@pytest.fixture
def qemu(tinyml_board: BoardHandle, _tinyml_harness: Harness, pytestconfig: pytest.Config) -> Any:  # noqa: ANN401
    """The QEMU that stands for the board, if one does."""
    del tinyml_board
    return _one_or_all([board.qemu for board in _boards(_tinyml_harness, pytestconfig)])


@pytest.fixture
def serial(
    tinyml_board: BoardHandle,
    _tinyml_harness: Harness,
    pytestconfig: pytest.Config,
    msg_queue: Any,  # noqa: ANN401 - pytest-embedded's
) -> Iterator[Any]:
    """The board's serial port, if it has one, open; what the board says meanwhile is also for ``dut.expect``."""
    del tinyml_board
    boards = _boards(_tinyml_harness, pytestconfig)
    queues = msg_queue if isinstance(msg_queue, list | tuple) else [msg_queue]
    ends = [board.lines.also(queue.put) for board, queue in zip(boards, queues, strict=True)]
    yield _one_or_all([board.serial for board in boards])
    for end in ends:
        end()


def _boards(harness: Harness, config: pytest.Config) -> list[Any]:
    """Return the boards whose console is of the kind that the session's ``dut`` uses, see `lend_consoles`."""
    services = str(config.option.embedded_services)
    kind = "qemu" if "qemu" in services.split(",") else "serial"
    boards = [board for board in harness.campaign.bench.boards if getattr(board, kind, None) is not None]
    if not boards:
        pytest.skip(f"board {harness.name!r} has no console that a dut with --embedded-services {services} could use")
    return boards


def _one_or_all(found: list[Any]) -> Any:  # noqa: ANN401 - as pytest-embedded's fixtures
    return found[0] if len(found) == 1 else tuple(found)
