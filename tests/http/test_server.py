"""The image server itself: where it listens, how it starts and ends, and what its links promise the host."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.errors import UsageError
from pytest_tinyml.links.base import LinkClosedError
from pytest_tinyml.links.http import ImageServer, address_facing
from pytest_tinyml.links.http.link import CAPACITY
from tests.http.test_strangers import ask, exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING = memoryview(b"")


@pytest.fixture
def server() -> Iterator[ImageServer]:
    """A server that answers empty exchanges soon; its thread ends with it."""
    threads = set(threading.enumerate())
    made = ImageServer(poll_s=0.05)
    yield made
    made.close()
    assert set(threading.enumerate()) <= threads


def test_it_listens_on_loopback_with_a_token_of_its_own(server: ImageServer) -> None:
    """Nobody outside of this computer can connect unless it was asked for, and no two runs share a token."""
    server.start()
    server.start()
    assert "127.0.0.1" == server.host
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert 43 == len(server.token)
    assert server.token != ImageServer().token


def test_an_address_in_use_is_a_usage_error() -> None:
    """What cannot be listened on is said with the option that changes it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = ImageServer(port=taken.getsockname()[1])
        with pytest.raises(UsageError, match="--tinyml-host"):
            server.start()
        server.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "nobody.invalid"])
def test_an_address_of_somebody_else_is_a_usage_error(host: str) -> None:
    """Likewise an address that this computer does not have."""
    server = ImageServer(host=host)
    with pytest.raises(UsageError, match="cannot listen on"):
        server.start()
    server.close()


def test_a_closed_server_stays_closed(server: ImageServer) -> None:
    """Closing twice is harmless; links end, and new ones are refused."""
    link = server.connect(0)
    server.close()
    server.close()
    with pytest.raises(LinkClosedError, match="the image server was closed"):
        link.exchange(NOTHING, 0.0)
    with pytest.raises(LinkClosedError):
        link.wait_connected(5.0)
    with pytest.raises(UsageError, match="closed"):
        server.connect(0)


def test_closing_what_was_never_started_is_harmless() -> None:
    """A plan may be made and never carried out."""
    ImageServer().close()


def test_the_address_that_faces_a_board() -> None:
    """The route decides; an address that was asked for is not changed."""
    assert "127.0.0.1" == address_facing("127.0.0.1")
    assert "127.0.0.1" == ImageServer(host="").face("127.0.0.1")
    assert "192.0.2.7" == ImageServer(host="192.0.2.7").face("127.0.0.1")
    assert "127.0.0.1" == ImageServer(host="0.0.0.0").face("127.0.0.1")  # noqa: S104 - not started
    with pytest.raises(UsageError, match="--tinyml-host"):
        address_facing("nobody.invalid")


def test_a_board_elsewhere_is_told_from_one_on_loopback() -> None:
    """A server that listens on loopback already cannot serve a board that is reached through another interface."""
    elsewhere = address_facing("192.0.2.1") if _has_route() else "127.0.0.1"
    if elsewhere == "127.0.0.1":
        pytest.skip("this computer has no network but loopback")
    server = ImageServer(host="")
    server.start()
    try:
        with pytest.raises(UsageError, match=r"0\.0\.0\.0"):
            server.face("192.0.2.1")
    finally:
        server.close()


def test_exchange_is_bounded(server: ImageServer) -> None:
    """Without a board nothing is taken, and the call returns when its time is up."""
    link = server.connect(0)
    begun = time.monotonic()
    assert (0, b"") == link.exchange(memoryview(b"hello"), 0.2)
    assert 0.2 <= time.monotonic() - begun < 20.0
    assert not link.wait_connected(0.0)


def test_what_waits_for_a_board_is_bounded(server: ImageServer) -> None:
    """A host that goes on talking to a board that does not fetch is stopped."""
    link = server.connect(0)
    assert 200 == exchange(server, 0)
    piece = memoryview(bytes(CAPACITY // 4))
    assert [len(piece)] * 4 == [link.exchange(piece, 0.0)[0] for _ in range(4)]
    assert (0, b"") == link.exchange(piece, 0.1)
    status, answer = ask(server, "/v1/boards/0/0badcafe/1")
    assert (200, CAPACITY) == (status, len(answer))
    assert len(piece) == link.exchange(piece, 0.0)[0]


def test_what_waits_for_the_host_is_bounded(server: ImageServer) -> None:
    """A board that goes on posting to a host that does not listen is told to wait, and loses nothing."""
    link = server.connect(0)
    half = b"x" * (CAPACITY // 2)
    assert [200, 200, 503] == [exchange(server, number, half) for number in range(3)]
    assert len(half) * 2 == len(link.exchange(NOTHING, 1.0)[1])
    assert 200 == exchange(server, 2, half)
    assert half == link.exchange(NOTHING, 1.0)[1]


def test_a_board_that_starts_anew_ends_the_link(server: ImageServer) -> None:
    """What had come is delivered first; the new session begins when the host is ready for it."""
    link = server.connect(0)
    assert 200 == exchange(server, 0, b"a")
    assert b"a" == link.exchange(NOTHING, 1.0)[1]
    assert 200 == exchange(server, 1, b"b")
    assert 503 == exchange(server, 0, b"new", session="00000002")
    assert b"b" == link.exchange(NOTHING, 1.0)[1]
    with pytest.raises(LinkClosedError, match="the board started anew"):
        link.exchange(memoryview(b"x"), 1.0)
    assert 409 == exchange(server, 2)
    newer = server.connect(0)
    assert 200 == exchange(server, 0, b"new", session="00000002")
    assert newer.wait_connected(1.0)
    assert b"new" == newer.exchange(NOTHING, 1.0)[1]


def test_a_session_that_was_not_used_is_replaced_quietly(server: ImageServer) -> None:
    """A board that begins twice before the host has said a word is the board that is waited for."""
    link = server.connect(0)
    assert 200 == exchange(server, 0, b"old")
    assert 200 == exchange(server, 0, b"new", session="00000002")
    assert b"new" == link.exchange(NOTHING, 1.0)[1]


def test_a_board_waits_until_there_is_something(server: ImageServer) -> None:
    """An exchange that finds nothing is answered when the host has put something, not when its time is up."""
    patient = ImageServer(poll_s=50.0)
    try:
        link = patient.connect(0)
        answers: list[tuple[int, bytes]] = []
        board = threading.Thread(target=lambda: answers.append(ask(patient, "/v1/boards/0/0badcafe/0")))
        begun = time.monotonic()
        board.start()
        assert link.wait_connected(50.0)
        assert (3, b"") == link.exchange(memoryview(b"abc"), 1.0)
        assert (0, b"") == link.exchange(NOTHING, 0.1)
        board.join(60.0)
        assert [(200, b"abc")] == answers
        assert time.monotonic() - begun < 40.0
    finally:
        patient.close()


def _has_route() -> bool:
    try:
        address_facing("192.0.2.1")
    except UsageError:
        return False
    return True
