"""What strangers and broken clients send is refused and counted, and a run that goes on does not notice."""

from __future__ import annotations

import http.client
import resource
import socket
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

import pytest

from pytest_tinyml.links.http import ImageServer, ServedRun
from pytest_tinyml.links.http.connection import MAX_CONNECTIONS
from tests.http.pullclient import Losses
from tests.http.test_pulling import N, make_campaign, run
from tests.unit.simulated import MODEL, make_dataset, right_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ARRIVAL_S: Final = 1.0
HANG_S: Final = 60.0
"""What takes longer is taken for a hang."""
SESSION: Final = "0badcafe"
MEBIBYTE: Final = 1 << 20


@pytest.fixture
def arrival_s() -> float:
    """How long a request may take to arrive: as long as this machine likes, unless a test is about that."""
    return HANG_S


@pytest.fixture
def server(arrival_s: float) -> Iterator[ImageServer]:
    """An image server that has a board 0."""
    made = ImageServer(run=ServedRun(model=MODEL, dataset=make_dataset(N), samples=N), arrival_s=arrival_s, poll_s=0.2)
    made.connect(0)
    yield made
    made.close()


def ask(
    server: ImageServer, path: str, *, body: bytes = b"", token: str | None = None, method: str = "POST"
) -> tuple[int, bytes]:
    """Send one request on a connection of its own; an empty token sends none."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=HANG_S)
    given = server.token if token is None else token
    headers = {"Authorization": f"Bearer {given}"} if given else {}
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ask_again(server: ImageServer) -> int:
    """Ask without a token until the server does not refuse the connection; returns the status, 503 if never."""
    until = time.monotonic() + HANG_S
    while (status := ask(server, "/v1/run", token="", method="GET")[0]) == 503 and time.monotonic() < until:
        time.sleep(0.1)
    return status


def exchange(server: ImageServer, number: int, body: bytes = b"", session: str = SESSION, index: int = 0) -> int:
    """Do one exchange and return its status."""
    return ask(server, f"/v1/boards/{index}/{session}/{number}", body=body)[0]


def dribble(server: ImageServer, text: bytes, gap_s: float, at_once: bytes = b"") -> bytes:
    """Send one byte at a time, after what is sent at once; returns what came back until the connection ended."""
    received = b""
    with socket.create_connection((server.host, server.port), timeout=HANG_S) as sock:
        sock.sendall(at_once)
        sock.settimeout(gap_s)
        for k in range(len(text)):
            with suppress(OSError):  # the end of a connection is seen when it is read, behind what was said
                sock.sendall(text[k : k + 1])
            try:
                received += (part := sock.recv(4096))
            except TimeoutError:
                continue
            except OSError:
                break
            if not part:
                break
    return received


def announce(server: ImageServer, size: int) -> int:
    """Announce a body of so many bytes, send none of it, and return the status."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=HANG_S)
    try:
        connection.putrequest("POST", f"/v1/boards/0/{SESSION}/0")
        connection.putheader("Content-Length", str(size))
        connection.putheader("Authorization", f"Bearer {server.token}")
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def refused(server: ImageServer, reason: str) -> int:
    """Return how often something was refused."""
    return server.counters()[f"refused_{reason}"]


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\xff", "é" * 43])
@pytest.mark.parametrize("path", ["/v1/boards/0/0badcafe/0", "/image/0", "/prediction/0", "/done", "/v1/run", "/"])
def test_no_or_wrong_token(server: ImageServer, path: str, token: str) -> None:
    """Without the token there is nothing to be had, not even what exists."""
    assert 401 == ask(server, path, token=token, method="GET")[0]
    assert 1 == refused(server, "unauthorized")


def test_the_beginning_of_the_token_is_a_wrong_token(server: ImageServer) -> None:
    """All of the token counts."""
    assert 401 == ask(server, "/v1/run", token=server.token[:-1], method="GET")[0]
    assert 401 == ask(server, "/v1/run", token=server.token + "A", method="GET")[0]
    assert 200 == ask(server, "/v1/run", method="GET")[0]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/boards/0/0badcafe/-1", 400),
        ("/v1/boards/0/0badcafe/00", 400),
        ("/v1/boards/0/0BADCAFE/0", 400),
        ("/v1/boards/0/0badcaf/0", 400),
        ("/v1/boards/x/0badcafe/0", 400),
        ("/v1/boards/0/0badcafe/99999999999", 400),
        ("/v1/boards/1/0badcafe/0", 503),
        ("/v1/boards/0/0badcafe/1", 409),
        ("/v1/boards/0/0badcafe", 404),
        ("/v1/boards/0/0badcafe/0/0", 404),
        ("/v2/run", 404),
        ("/..%2f..%2fetc/passwd", 404),
    ],
)
def test_paths_that_lead_nowhere(server: ImageServer, path: str, status: int) -> None:
    """Malformed, unknown, unexpected and out of order are told apart."""
    assert status == ask(server, path)[0]


def test_ids_out_of_range(server: ImageServer) -> None:
    """Only the samples of the run are served."""
    assert 200 == ask(server, f"/image/{N - 1}", method="GET")[0]
    assert 404 == ask(server, f"/image/{N}", method="GET")[0]
    assert 400 == ask(server, "/image/-1", method="GET")[0]
    assert 404 == ask(server, f"/prediction/{N}", body=b"1,2,3,4")[0]


def test_replays(server: ImageServer) -> None:
    """An exchange counts once: its repeat gets the same answer, and any other number or body is refused."""
    link = server.connect(0)
    assert 200 == exchange(server, 0, b"a")
    assert (3, b"a") == link.exchange(memoryview(b"xyz"), 1.0)
    assert (200, b"xyz") == ask(server, f"/v1/boards/0/{SESSION}/1", body=b"b")
    assert (200, b"xyz") == ask(server, f"/v1/boards/0/{SESSION}/1", body=b"b")
    assert (0, b"b") == link.exchange(memoryview(b""), 0.0)
    assert [409, 409, 409] == [exchange(server, 1, b"c"), exchange(server, 0, b"a"), exchange(server, 3, b"d")]
    assert (0, b"") == link.exchange(memoryview(b""), 0.0)
    assert 3 == refused(server, "out_of_order")
    assert 1 == server.counters()["repeats"]


def test_the_start_of_a_replaced_session_is_a_replay(server: ImageServer) -> None:
    """A late exchange 0 of a session that was replaced does not end the one that replaced it."""
    server.connect(0)
    assert 200 == exchange(server, 0)
    link = server.connect(0)
    assert 409 == exchange(server, 1)
    assert 200 == exchange(server, 0, session="00000001")
    assert 409 == exchange(server, 0)
    assert "" == link.ended


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_over_the_limit_are_not_read(server: ImageServer, chunked: bool) -> None:
    """100 MB are refused after a bounded part, and fill no memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    header = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {100 * MEBIBYTE}"
    head = (
        f"POST /v1/boards/0/{SESSION}/0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n{header}\r\n\r\n"
    )
    piece = bytes(MEBIBYTE)
    if chunked:
        piece = b"%x\r\n" % len(piece) + piece + b"\r\n"
    answer = b""
    with socket.create_connection((server.host, server.port), timeout=HANG_S) as sock:
        sock.sendall(head.encode())
        try:
            for _ in range(100):
                sock.sendall(piece)
        except OSError:
            pass
        try:
            while part := sock.recv(4096):
                answer += part
        except OSError:
            pass
    assert 1 == refused(server, "too_large")
    # If the answer was overtaken by the end of the connection, the client has at least been cut off.
    assert not answer or answer.startswith(b"HTTP/1.1 413")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_a_polite_client_hears_413_before_it_sends(server: ImageServer) -> None:
    """With Expect: 100-continue, a body over the limit never travels."""
    head = (
        f"POST /v1/boards/0/{SESSION}/0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
        f"Expect: 100-continue\r\nContent-Length: {100 * MEBIBYTE}\r\n\r\n"
    )
    with socket.create_connection((server.host, server.port), timeout=HANG_S) as sock:
        sock.sendall(head.encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("arrival_s", [ARRIVAL_S])
@pytest.mark.parametrize(
    ("at_once", "slowly"),
    [
        (b"", b"POST /v1/boards/0/0badcafe/0 HTTP/1.1\r\nHost: somebody\r\n" + b"X: " + b"y" * 100),
        (
            b"POST /prediction/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\nAuthorization: Bearer TOKEN\r\n\r\n",
            bytes(98),
        ),
    ],
    ids=["headers", "body"],
)
def test_one_byte_at_a_time(server: ImageServer, at_once: bytes, slowly: bytes) -> None:
    """A request has to arrive within its time, counted from its first byte, however regularly it dribbles."""
    begun = time.monotonic()
    answer = dribble(server, slowly, ARRIVAL_S / 10, at_once.replace(b"TOKEN", server.token.encode()))
    assert answer.startswith(b"HTTP/1.1 408")
    # All of it would take longer than that.
    assert ARRIVAL_S / 2 < time.monotonic() - begun < len(slowly) * ARRIVAL_S / 10
    assert 1 == refused(server, "slow")


@pytest.mark.parametrize("arrival_s", [ARRIVAL_S])
def test_silence_is_slow(server: ImageServer) -> None:
    """Who connects and says nothing is cut off as well."""
    with socket.create_connection((server.host, server.port), timeout=HANG_S) as sock:
        assert sock.recv(4096).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("arrival_s", [ARRIVAL_S])
def test_an_idle_connection_is_kept(server: ImageServer) -> None:
    """Between requests a client may take its time: it is computing."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=HANG_S)
    headers = {"Authorization": f"Bearer {server.token}"}
    for _ in range(2):
        connection.request("GET", "/v1/run", headers=headers)
        response = connection.getresponse()
        response.read()
        assert 200 == response.status
        time.sleep(1.5 * ARRIVAL_S)
    connection.close()
    assert 1 == server.counters()["connections"]


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\nnonsense\r\n\r\n",
        bytes(64),
    ],
)
def test_what_is_not_http(server: ImageServer, text: bytes) -> None:
    """TLS and noise are malformed."""
    with socket.create_connection((server.host, server.port), timeout=HANG_S) as sock:
        sock.sendall(text)
        assert sock.recv(4096)[8:].startswith(b" 400 ")
    assert 1 == refused(server, "malformed")


@pytest.mark.parametrize("header", ["", "Content-Encoding: gzip\r\nContent-Length: 3\r\n", "Content-Length: -1\r\n"])
def test_bodies_of_no_known_size_are_refused(server: ImageServer, header: str) -> None:
    """A body needs a length or chunks, and is not compressed."""
    head = f"POST /done HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n{header}\r\n"
    with socket.create_connection((server.host, server.port), timeout=HANG_S) as sock:
        sock.sendall(head.encode())
        assert sock.recv(4096)[8:].startswith(b" 400 ")


def test_a_crowd_is_turned_away(server: ImageServer) -> None:
    """There is a limit of connections, and those that leave make room."""
    with ExitStack() as crowd:
        for _ in range(MAX_CONNECTIONS):
            crowd.enter_context(socket.create_connection((server.host, server.port), timeout=HANG_S))
        with socket.create_connection((server.host, server.port), timeout=HANG_S) as one_more:
            assert one_more.recv(4096).startswith(b"HTTP/1.1 503")
        assert 1 == refused(server, "too_many_connections")
    assert 401 == ask_again(server)


def test_nobody_stays_without_a_token(server: ImageServer) -> None:
    """What is told to everybody is told once: strangers cannot keep the connections that boards need."""
    with socket.create_connection((server.host, server.port), timeout=HANG_S) as sock:
        sock.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while part := sock.recv(1 << 16):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200")


def test_after_the_run() -> None:
    """A board that waits hears that the run is over, and then there is no server any more."""
    server = ImageServer(poll_s=HANG_S)
    server.connect(0)
    statuses: list[int] = []
    waiting = threading.Thread(target=lambda: statuses.append(exchange(server, 0)))
    waiting.start()
    while not server.counters()["exchanges"]:
        time.sleep(0.01)
    server.close()
    waiting.join(HANG_S)
    assert [410] == statuses
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset
        ask(server, "/v1/run", method="GET")


@pytest.mark.parametrize("arrival_s", [ARRIVAL_S])
def test_a_run_does_not_notice(tmp_path: Path, server: ImageServer) -> None:
    """With all of this going on, every sample is answered once and right, and all that was refused was counted."""
    campaign = make_campaign(tmp_path, server, Losses(), Losses(unread=9))
    reasons = ("unauthorized", "out_of_order", "not_ready", "not_found", "slow", "too_large", "malformed")
    nuisances: list[Callable[[], object]] = [
        lambda: ask(server, "/v1/boards/0/0badcafe/0", token=""),
        lambda: ask(server, "/v1/boards/0/0badcafe/0", token="A" * 43),
        lambda: exchange(server, 7, b"x", session="ffffffff"),
        lambda: exchange(server, 0, b"x", index=17),
        lambda: ask(server, f"/image/{N}", method="GET"),
        lambda: ask(server, "/v1/boards/zero/0badcafe/0"),
        lambda: dribble(server, b"POST /v1/boards/0/0badcafe/0 HTTP/1.1\r\n" + b"y" * 50, ARRIVAL_S / 5),
        lambda: announce(server, 100 * MEBIBYTE),
    ]
    stop = threading.Event()
    failures: list[BaseException] = []

    def pester(nuisance: Callable[[], object]) -> None:
        while not stop.is_set():
            try:
                nuisance()
            except OSError:
                continue
            except BaseException as error:
                failures.append(error)
                raise
            stop.wait(0.02)

    threads = [threading.Thread(target=pester, args=(nuisance,), daemon=True) for nuisance in nuisances]
    for thread in threads:
        thread.start()
    try:
        until = time.monotonic() + HANG_S
        while not all(refused(server, reason) for reason in reasons) and time.monotonic() < until:
            time.sleep(0.05)
        assert (right_scores(N), N) == run(campaign)
    finally:
        stop.set()
        for thread in threads:
            thread.join(HANG_S)
    assert [] == failures
    assert [] == [reason for reason in reasons if not refused(server, reason)]
