"""Board native over HTTP: how it is started and told where to pull, and what is said when that fails."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.native import NativeBoard
from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.errors import BoardCrashedError, BoardTimeoutError, UsageError
from pytest_tinyml.links.http import ImageServer
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.models import load_model

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "s1-ptq"


@pytest.fixture
def server() -> Iterator[ImageServer]:
    """A run's server."""
    made = ImageServer()
    yield made
    made.close()


def request(folder: Path, server: ImageServer | None = None, index: int = 0) -> BoardRequest:
    """Ask for a board that pulls."""
    return BoardRequest(model=load_model(MODEL), work_dir=folder, link="http", server=server, index=index)


class Program(NativeBoard):
    """A board whose program is a line of shell."""

    script = "exit 3"

    def command(self, transport: list[str]) -> list[str]:
        """Run the script."""
        assert transport == ["--console"]
        return ["sh", "-c", self.script]


def test_boards_share_the_server_of_the_run(tmp_path: Path, server: ImageServer) -> None:
    """Two boards pull from one server, each its own samples, and leave it running."""
    encoder = SampleEncoder(load_model(MODEL), load_dataset("mnist-28k"))
    boards = [NativeBoard(request(tmp_path, server, index)) for index in range(2)]
    works = [ListWork(encoder, range(100 * k, 100 * k + 50)) for k in range(2)]
    try:
        for board in boards:
            board.open()
        threads = [
            threading.Thread(target=board.stream, args=(work,)) for board, work in zip(boards, works, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120.0)
    finally:
        for board in boards:
            board.close()
    assert [sorted(work.scores) for work in works] == [list(range(50)), list(range(100, 150))]
    assert server.counters()["sessions"] == 2
    try:
        assert boards[0].open().board == "native"
    finally:
        boards[0].close()


def test_the_token_is_told_on_the_console_only(tmp_path: Path, server: ImageServer) -> None:
    """Neither the command line nor the environment nor a log has it."""
    board = NativeBoard(request(tmp_path, server))
    try:
        board.open()
        process = Path(f"/proc/{board.pid}")
        seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    finally:
        board.close()
    log = board.console.path.read_text(encoding="utf-8")
    assert "tinyml: ok server" in log
    assert server.token not in log
    assert server.token.encode() not in seen


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 3", "exit code 3"),
        ("read line; read line; exit 4", "exit code 4"),
        ("read line; read line; echo tinyml: ok server; exit 5", "exit code 5"),
        ("kill -SEGV $$", "SIGSEGV"),
    ],
)
def test_a_program_that_ends_is_named(tmp_path: Path, script: str, expected: str) -> None:
    """Whenever it ends before it pulls: a crash, at once, with how it ended."""
    board = Program(request(tmp_path))
    board.script = script
    board._boot_timeout_s = 60.0
    begin = time.monotonic()
    with pytest.raises(BoardCrashedError, match=expected):
        board.open()
    assert time.monotonic() - begin < 50.0
    assert board.pid is None


def test_a_program_that_does_not_pull_is_a_time_out(tmp_path: Path) -> None:
    """It answers on its console, and never comes: the message says where it was expected."""
    board = Program(request(tmp_path))
    board.script = "read line; read line; echo tinyml: ok server; cat"
    board._boot_timeout_s = 0.5
    with pytest.raises(BoardTimeoutError, match=r"does not reach http://127\.0\.0\.1:\d+ within 0\.5 s"):
        board.open()


def test_a_server_that_is_elsewhere_is_refused(tmp_path: Path) -> None:
    """A host address that this computer does not have is a mistake of the user's."""
    server = ImageServer(host="192.0.2.1")
    with pytest.raises(UsageError, match="--tinyml-host"):
        NativeBoard(request(tmp_path, server)).open()
