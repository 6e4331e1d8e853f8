"""The firmware's HTTP client against hosts that answer badly: nothing is lost or doubled, nothing waited for long.

The program is built with sanitizers; where a host never answers also with short bounds, so that it costs half a second.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml import wire
from pytest_tinyml.firmware import Firmware, build_native
from pytest_tinyml.records import Encoding
from tests.firmware.pullhost import TIMEOUT_S, Mischief, PullHost, answer
from tests.firmware.tools import FIRMWARE, SANITIZE

if TYPE_CHECKING:
    from collections.abc import Callable

NULL_ENGINE = sorted((FIRMWARE / "engines" / "null").glob("*.c"))
BOUNDS = {f"TML_HTTP_{name}_MS": "400U" for name in ("CONNECT", "SEND", "ANSWER", "SILENCE")}
ROUNDS = 6
RNG = np.random.default_rng(11)


def sanitized(folder: Path, bounds: dict[str, str]) -> Path:
    """Build the firmware under sanitizers, in a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYML_CACHE", str(folder))
        return build_native(NULL_ENGINE, [], bounds, SANITIZE).path


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware with the bounds that boards have."""
    return sanitized(tmp_path_factory.mktemp("cache"), {})


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware with short bounds: it repeats itself also when this machine is busy."""
    return sanitized(tmp_path_factory.mktemp("cache"), BOUNDS)


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    """Build the firmware as boards use it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYML_CACHE", str(tmp_path_factory.mktemp("cache")))
        return build_native(NULL_ENGINE, [])


def converse(host: PullHost, rounds: int = ROUNDS) -> None:
    """Send messages of every size to and fro; each comes back once, and right."""
    for seq in range(1, rounds + 1):
        payload = RNG.bytes(int(RNG.integers(0, 20_000)))
        assert host.ask(wire.MessageType.ECHO, seq, payload).payload == payload
    assert host.receive(0.1) is None


def assert_repeats_are_equal(host: PullHost) -> None:
    """Whatever was posted again under one number was the same, and no number was left out."""
    bodies: dict[tuple[str, int], bytes] = {}
    for posted in host.posted:
        assert bodies.setdefault((posted.session, posted.number), posted.body) == posted.body
    numbers = [number for _, number in bodies]
    assert numbers == list(range(len(numbers)))
    assert len({session for session, _ in bodies}) == 1


# ---- what a bad host does with an answer ----


def close(connection: socket.socket, sent: bytes) -> None:
    """Send this much and hang up."""
    connection.sendall(sent)
    raise EOFError


def reset(connection: socket.socket, body: bytes) -> None:
    """Reset the connection."""
    connection.sendall(answer(body)[:30])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise EOFError


def by_bytes(connection: socket.socket, body: bytes) -> None:
    """Send a good answer one byte at a time, as far as that takes no time."""
    whole = answer(body)
    for k in range(min(len(whole), 200)):
        connection.sendall(whole[k : k + 1])
    connection.sendall(whole[200:])


def chunks(connection: socket.socket, body: bytes, size: int = 700, trailer: str = "") -> None:
    """Send a good answer in chunks."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for k in range(0, len(body), size):
        piece = body[k : k + size]
        connection.sendall(f"{len(piece):X};name=value\r\n".encode() + piece + b"\r\n")
    connection.sendall(f"0\r\n{trailer}\r\n".encode())


def silent(connection: socket.socket, body: bytes) -> None:
    """Say nothing, for longer than the board waits."""
    del body
    connection.settimeout(3.0)
    while connection.recv(1 << 16):
        pass
    raise EOFError


def half_and_silent(connection: socket.socket, body: bytes) -> None:
    """Stop in the middle."""
    whole = answer(body)
    connection.sendall(whole[: len(whole) // 2 + 20])
    silent(connection, body)


def status(text: str, extra: str = "") -> Mischief:
    """Answer with another status."""
    return lambda connection, _: connection.sendall(answer(b'{"error": "no"}', text, extra))


GOOD: dict[str, Mischief] = {
    "by bytes": by_bytes,
    "chunked": chunks,
    "chunked, trailer": lambda c, b: (
        chunks(c, b, 1, "Digest: x\r\n") if len(b) < 500 else chunks(c, b, 4096, "A: b\r\n")
    ),
    "after 100": lambda c, b: c.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b)),
    "large header": lambda c, b: c.sendall(answer(b, extra="X-Long: " + "x" * 7000 + "\r\n")),
    "bare LF": lambda c, b: c.sendall(answer(b).replace(b"\r\n", b"\n", 2).replace(b"\r\n\r\n", b"\n\n", 1)),
    "no reason": lambda c, b: c.sendall(answer(b, "200")),
    "closing": lambda c, b: close(c, answer(b, extra="Connection: close\r\n")),
    "closing later": lambda c, b: close(c, answer(b)),
    "HTTP/1.0": lambda c, b: close(c, answer(b).replace(b"HTTP/1.1", b"HTTP/1.0")),
    "odd case": lambda c, b: c.sendall(answer(b).replace(b"Content-Length: ", b"cOnTent-lenGTH:\t ")),
}
BAD: dict[str, Mischief] = {
    "closes": lambda c, _: close(c, b""),
    "closes in the status line": lambda c, _: close(c, b"HTTP/1.1 20"),
    "closes in the header": lambda c, b: close(c, answer(b)[:28]),
    "closes in the body": lambda c, b: close(c, answer(b)[: -(len(b) // 2) or -1]),
    "closes in a chunk": lambda c, b: close(c, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" + b[:9]),
    "resets": reset,
    "longer than said": lambda c, b: c.sendall(answer(b) + b"and more"),
    "huge header": lambda c, b: close(c, answer(b, extra="X: y\r\n" * 3000)),
    "endless header": lambda c, b: close(c, b"HTTP/1.1 200 OK\r\nX-" + bytes(100_000).replace(b"\0", b"y") + b),
    "no HTTP": lambda c, _: c.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "two lengths": lambda c, b: c.sendall(answer(b, extra="Content-Length: 1000000\r\n")),
    "length and chunks": lambda c, b: c.sendall(answer(b, extra="Transfer-Encoding: chunked\r\n")),
    "negative length": lambda c, _: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    "enormous length": lambda c, _: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\n"),
    "no length": lambda c, b: close(c, b"HTTP/1.1 200 OK\r\n\r\n" + b),
    "bad chunk": lambda c, _: c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "unknown coding": lambda c, b: c.sendall(answer(b).replace(b"Content-Length", b"Transfer-Encoding")),
    "continued line": lambda c, b: c.sendall(answer(b, extra="A: b\r\n c\r\n")),
    "408": status("408 Request Timeout"),
    "500": status("500 Internal Server Error"),
    "never answers": silent,
    "stops in the middle": half_and_silent,
}


@pytest.mark.parametrize("how", sorted(GOOD))
def test_any_way_to_answer_is_understood(program: Path, how: str) -> None:
    """Whatever HTTP/1.1 allows, with every answer given so: no attempt is repeated."""
    with PullHost(program, first=GOOD[how]) as host:
        converse(host)
        assert_repeats_are_equal(host)
        before = len(host.posted)
        counted = host.counted()
    assert counted["retries"] == 0
    # It goes on asking meanwhile; of what had come before, one answer at most was still on its way.
    assert before - 1 <= counted["exchanges"] <= len(host.posted)


@pytest.mark.parametrize("how", sorted(set(BAD) - {"longer than said"}))
def test_a_failed_exchange_is_repeated(request: pytest.FixtureRequest, how: str) -> None:
    """With the first answer of every other exchange spoilt, each message still comes through once."""
    program: Path = request.getfixturevalue("hasty" if BAD[how] in {silent, half_and_silent} else "program")
    # A kept connection that ends without a word is made again at once; only the second time is a failure.
    times = 2 if how == "closes" else 1
    spoilt = {number: [BAD[how]] * times for number in range(0, 100, 2)}
    with PullHost(program, first=spoilt) as host:
        converse(host)
        assert_repeats_are_equal(host)
        counted = host.counted()
    assert counted["retries"] >= ROUNDS / 2


def test_bytes_behind_an_answer_end_the_connection(program: Path) -> None:
    """They are not taken for the next answer."""
    with PullHost(program, first=BAD["longer than said"]) as host:
        converse(host)
        assert_repeats_are_equal(host)


def test_one_connection_serves_all_exchanges(program: Path) -> None:
    """Connections are kept."""
    with PullHost(program) as host:
        converse(host)
    assert {posted.connection for posted in host.posted} == {1}


def test_a_connection_that_was_closed_meanwhile_costs_nothing(program: Path) -> None:
    """A kept connection that the host has ended is made again at once, and not counted as a failure."""
    with PullHost(program, first=lambda c, b: close(c, answer(b))) as host:
        converse(host)
        assert host.counted()["retries"] == 0
    assert len({posted.connection for posted in host.posted}) == len(host.posted)


def test_a_request_says_who_asks(program: Path) -> None:
    """Host, token, type and length stand in the header; the session is random."""
    sessions = set()
    for _ in range(2):
        with PullHost(program) as host:
            posted = host.wait_posted(1)[0]
            sessions.add(posted.session)
            lines = posted.head.split("\r\n")[1:]
        assert lines == [
            f"Host: 127.0.0.1:{host.port}",
            f"Authorization: Bearer {host.token}",
            "Content-Type: application/octet-stream",
            "Content-Length: 0",
        ]
        assert len(posted.session) == 8
    assert len(sessions) == 2


def test_a_host_that_is_not_ready_is_asked_again_after_a_second(program: Path) -> None:
    """503 repeats the same exchange."""
    with PullHost(program, first={0: [status("503 Service Unavailable")] * 2}) as host:
        converse(host, 1)
        assert_repeats_are_equal(host)
    pauses = [later.at - earlier.at for earlier, later in zip(host.posted[:2], host.posted[1:3], strict=True)]
    assert all(0.95 <= pause <= 10.0 for pause in pauses), pauses


def test_a_replaced_session_begins_anew(program: Path) -> None:
    """409 starts a new session at number 0; what the old one held is dropped, and the board answers again."""
    with PullHost(program, first={3: [status("409 Conflict")]}) as host:
        converse(host, 2)
        host.send(wire.encode_frame(wire.MessageType.ECHO, 77, b"lost"))
        host.hear("begun anew (409)")
        host._first = None
        while host.receive(0.3) is not None:
            pass
        converse(host, 2)
    sessions = list(dict.fromkeys(posted.session for posted in host.posted))
    assert len(sessions) == 2
    assert [posted.number for posted in host.posted if posted.session == sessions[1]][:2] == [0, 1]


def test_a_host_that_repeats_an_answer_differently_is_given_up(program: Path) -> None:
    """Half of one answer and half of another are no stream: the board begins anew instead."""

    def other(connection: socket.socket, body: bytes) -> None:
        close(connection, answer(body + bytes(100))[:-50])

    with PullHost(program, first={0: [other]}) as host:
        host.hear("repeats an answer differently")
        host._first = None
        host.receive(0.2)
        converse(host, 2)
    assert len({posted.session for posted in host.posted}) == 2


def test_a_host_that_refuses_every_session_is_not_asked_in_a_loop(program: Path) -> None:
    """409 to number 0 backs off like any failure."""
    refusals = {0: [status("409 Conflict")]}
    with PullHost(program, first=refusals) as host:
        begin = time.monotonic()
        host.wait_posted(3)
        time.sleep(max(0.0, begin + 1.5 - time.monotonic()))
        count, took_s = len(host.posted), time.monotonic() - begin
    # Pauses of at least 0.05, 0.1, 0.2, ... s leave room for seven in 1.5 s; then there is less than one a second.
    assert count <= 7 + (took_s - 1.5)
    assert len({posted.session for posted in host.posted}) == len(host.posted)


@pytest.mark.parametrize(
    ("answered", "note"),
    [
        ("401 Unauthorized", "does not know the token (401)"),
        ("410 Gone", "the run is over (410)"),
        ("400 Bad Request", "refuses the exchange"),
        ("404 Not Found", "refuses the exchange"),
        ("413 Content Too Large", "refuses the exchange"),
        ("302 Found", "refuses the exchange"),
    ],
)
def test_a_final_answer_stops_the_board_until_it_is_told_again(program: Path, answered: str, note: str) -> None:
    """Nothing more is posted, why is said once, and another `server` begins anew."""
    with PullHost(program, first={1: [status(answered, "Connection: close\r\n")]}) as host:
        host.send(wire.encode_frame(wire.MessageType.ECHO, 1, b"once"))
        host.hear(note)
        count = len(host.posted)
        time.sleep(0.5)
        assert len(host.posted) == count
        assert host.process.poll() is None
        host._first = None
        host.command(f"server 127.0.0.1 {host.port} 3 {host.token}", "ok server")
        host.receive(0.2)
        converse(host, 2)
    assert sum(note in line for line in host.heard) == 1


def test_a_refusal_in_the_middle_of_a_large_body_is_heard(program: Path) -> None:
    """A host that answers 413 and hangs up before it has read everything is understood."""
    with PullHost(program) as host:
        converse(host, 1)

        def refuse(connection: socket.socket, number: int) -> object:
            connection.recv(1 << 10)
            connection.sendall(answer(b"", "413 Content Too Large", "Connection: close\r\n"))
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.3)
            raise EOFError(number)

        host._receive = refuse  # type: ignore[method-assign, assignment]
        host.send(b"".join(wire.encode_frame(wire.MessageType.ECHO, 5, RNG.bytes(60_000)) for _ in range(4)))
        host.hear("refuses the exchange")


def test_attempts_to_connect_come_less_and_less_often(program: Path) -> None:
    """Nobody listens: the board says so once, backs off, and goes on when somebody does."""
    with PullHost(program) as host, socket.socket() as later:
        later.bind(("127.0.0.1", 0))
        converse(host, 1)
        begin = time.monotonic()
        host.command(f"server 127.0.0.1 {later.getsockname()[1]} 3 {host.token}", "ok server")
        time.sleep(2.0)
        retries = host.counted()["retries"]
        # 0.1, 0.2, 0.4, 0.8 s, of each at least half; then there is less than one a second.
        assert 3 <= retries <= 6 + (time.monotonic() - begin - 2.0)
        host._listener.close()
        later.listen()
        host._listener = later
        threading.Thread(target=host._accept, daemon=True).start()
        host.hear("the host answers")
        host.receive(0.2)
        converse(host, 2)
    assert sum("no connection" in line for line in host.heard) == 1


def test_names_are_looked_up(program: Path) -> None:
    """A name works like an address, and one that does not exist is named as the reason."""
    with PullHost(program, host="localhost") as host:
        converse(host, 1)
        host.command(f"server nobody.invalid {host.port} 3 {host.token}", "ok server")
        host.hear("name of the host is not known", 30.0)


def test_the_board_computes_while_an_exchange_is_under_way(fast: Firmware) -> None:
    """What was computed is posted before the rest is, and the answer is collected between inferences."""
    rows = RNG.integers(0, 256, (100, 784), dtype=np.uint8)
    with PullHost(fast.path, "--fault", "slow=20000") as host:
        payload = wire.encode_infer_rows(Encoding.PIXELS, np.arange(100), rows)
        host.send(wire.encode_frame(wire.MessageType.INFER, 1, payload))
        first = host.receive()
        assert isinstance(first, wire.Frame)
        batches = [wire.decode_results(first.payload, 10)]
        time.sleep(0.1)
        counted = host.counted()  # also the console is served meanwhile
        assert 2 <= counted["exchanges"] < counted["inferences"] < 100
        while not batches[-1].last:
            reply = host.receive()
            assert isinstance(reply, wire.Frame)
            batches.append(wire.decode_results(reply.payload, 10))
    assert len(batches) >= 3
    assert np.concatenate([batch.ids for batch in batches]).tolist() == list(range(100))


def test_answers_may_be_as_large_as_the_window(fast: Firmware) -> None:
    """A window that is filled at once is taken at once, whatever the board is computing."""
    rows = RNG.integers(0, 256, (160, 784), dtype=np.uint8)
    with PullHost(fast.path) as host:
        frames = [
            wire.encode_frame(
                wire.MessageType.INFER, seq, wire.encode_infer_rows(Encoding.PIXELS, np.arange(160), rows)
            )
            for seq in range(1, 5)
        ]
        for _ in range(5):
            host.send(b"".join(frames))
            got: list[int] = []
            while len(got) < 4 * 160:
                reply = host.receive()
                assert isinstance(reply, wire.Frame)
                got += wire.decode_results(reply.payload, 10).ids.tolist()
            assert got == 4 * list(range(160))


@pytest.mark.parametrize("fault", ["crash", "abort"])
def test_a_crash_is_reported_before_the_board_is_gone(fast: Firmware, fault: str) -> None:
    """What was computed and why it died arrive, though the program ends at once."""
    rows = RNG.integers(0, 256, (50, 784), dtype=np.uint8)
    with PullHost(fast.path, "--fault", f"{fault}@18") as host:
        payload = wire.encode_infer_rows(Encoding.PIXELS, np.arange(50), rows)
        host.send(wire.encode_frame(wire.MessageType.INFER, 44, payload))
        reply = host.receive()
        assert isinstance(reply, wire.Frame)
        report = wire.decode_error(reply.payload)
        host.process.wait(TIMEOUT_S)
        host.dies = True
    assert (reply.seq, report.code, report.sample_id) == (44, wire.ErrorCode.FAULT, 17)


def test_the_console_says_what_the_board_is(program: Path) -> None:
    """Names and address are those of the command line; the state of this and that is told, secrets are not."""
    arguments = ("--board", "esp32cam", "--chip", "ESP32 (twin)", "--mac", "a0b1c2d3e4f5")
    with PullHost(program, *arguments) as host:
        ready = host.heard[0].split()
        converse(host, 1)
        identity = host.command("identity", "ok identity").split()
        assert host.command("wifi my%20net s3cret", "ok wifi") == "tinyml: ok wifi 127.0.0.1"
        assert host.command("save", "error save") == "tinyml: error save this board has no place for it"
        status_line = host.command("status", "ok status")
        assert host.command("stop", "ok stop") == "tinyml: ok stop"
        count = len(host.posted)
        time.sleep(0.3)
        assert len(host.posted) - count <= 1
        assert host.command("server 127.0.0.1 0 3 x", "error server").endswith(
            "host, port, index or token is malformed"
        )
        assert host.command("server 127.0.0.1 1 3 a%0Ab", "error server").endswith("is malformed")
    assert ready[:2] == ["tinyml:", "ready"]
    assert ready[2:] == identity[3:]
    fields = dict(word.split("=", 1) for word in identity[3:])
    assert list(fields) == ["protocol", "board", "chip", "engine", "firmware", "model", "mac"]
    assert (fields["protocol"], fields["board"], fields["chip"]) == ("1", "esp32cam", "ESP32%20(twin)")
    assert (fields["engine"], fields["mac"], len(fields["firmware"])) == ("null", "a0b1c2d3e4f5", 64)
    assert " network=up address=127.0.0.1 exchanges=" in status_line
    said = "\n".join(host.heard) + host.errors
    assert host.token not in said
    assert "s3cret" not in said


def test_restart_is_answered_first(program: Path) -> None:
    """RESET of kind 1 reaches the host; then the board waits to be provisioned."""
    with PullHost(program) as host:
        reply = host.ask(wire.MessageType.RESET, 3, wire.encode_reset(1))
        assert reply.type == wire.MessageType.RESET_DONE
        host.hear("tinyml: ready")
        host.command(f"server 127.0.0.1 {host.port} 3 {host.token}", "ok server")
        converse(host, 1)


@pytest.mark.parametrize("number", [1, 2])
def test_memory_stays_flat(fast: Firmware, number: int) -> None:
    """Thousands of exchanges, with and without failures, and not a page more."""
    spoilt: dict[int, list[Callable[[socket.socket, bytes], None]]] = {}
    if number == 2:
        spoilt = {k: [BAD["closes"]] for k in range(0, 10_000, 97)}
    with PullHost(fast.path, first=spoilt) as host:

        def pages(rounds: int) -> int:
            for seq in range(rounds):
                assert host.ask(wire.MessageType.ECHO, seq % 1000 + 1, bytes(seq % 5000)).type
            text = Path(f"/proc/{host.process.pid}/status").read_text(encoding="ascii")
            return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmData"))

        before = pages(200)
        assert pages(3000 if number == 1 else 1500) == before
