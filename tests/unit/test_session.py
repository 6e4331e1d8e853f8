"""Single requests: greeting, canary, statistics, time-outs, refusals, and what arrives in between."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest import mock
from zlib import crc32

import pytest

from pytest_tinyml import wire
from pytest_tinyml.errors import (
    BoardCrashedError,
    BoardReportedError,
    BoardTimeoutError,
    IdentityError,
    UsageError,
    WireError,
)
from pytest_tinyml.links.base import FdLink, LinkClosedError
from pytest_tinyml.links.console import LINE_BYTES, TAIL_LINES, Console
from pytest_tinyml.links.damage import DAMAGES, DamagedLink, at_frames
from pytest_tinyml.links.session import Patience, Session
from pytest_tinyml.records import Clock, Encoding
from pytest_tinyml.wire import ErrorCode, MessageType
from tests.unit.simulated import (
    IDENTITY,
    INPUT,
    SimulatedDevice,
    SimulatedLink,
    fake_time,
    make_dataset,
    make_link,
    scores_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.links.base import Link

PIXELS = make_dataset(5).images[4].tobytes()


def greeted(end: SimulatedLink, *, link: Link | None = None, patience: Patience | None = None) -> Session:
    """Return a session after its greeting."""
    session = Session(link or end, patience or Patience(timeout_s=5.0), lambda _: None)
    session.hello()
    return session


def error_frame(code: int, text: str, seq: int = 0) -> bytes:
    """Return an ERROR without a sample, as it travels."""
    report = wire.BoardReport(code=code, sample_id=None, text=text)
    return wire.encode_frame(MessageType.ERROR, seq, wire.encode_error(report))


def only(kind: MessageType, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change the replies of one type."""
    return lambda encoded: change(encoded) if wire.decode_frame(encoded[:-1]).type is kind else encoded


def test_hello_returns_what_the_board_says() -> None:
    """The identity is the board's, with the session that this greeting chose."""
    end = make_link()
    with fake_time(end.clock):
        identity = greeted(end).identity
    assert identity is not None
    assert replace(identity, session=0, output=IDENTITY.output) == IDENTITY


def test_hello_is_repeated_until_a_board_has_booted() -> None:
    """Greetings that a booting board misses are repeated, on links without loss too."""
    end = make_link()
    missed = DamagedLink(end, to_board=at_frames(DAMAGES["drop"], frozenset(range(1, 6))))
    with fake_time(end.clock):
        assert greeted(end, link=missed).identity is not None
    assert 2.0 <= end.clock.now - 1000.0 <= 3.0


@pytest.mark.parametrize("resend_s", [None, 1.0])
def test_a_host_that_stood_still_finds_the_answer(resend_s: float | None) -> None:
    """An answer that came while this computer did nothing is taken, and nothing is sent again: a crash is met once."""
    end = make_link()
    session = greeted(end, patience=Patience(timeout_s=5.0, resend_s=resend_s))
    frames: list[int] = []

    class HeldUpLink:
        """A link whose user is away for a minute after each request."""

        name, packed, close = end.name, end.packed, end.close
        came = b""

        def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
            """See `Link.exchange`."""
            if not out:
                received, self.came = self.came, b""
                end.clock.now += 0.0 if received else timeout_s
                return 0, received
            sent = 0
            while sent < len(out) or not self.came.endswith(b"\0"):
                moved, received = end.exchange(out[sent:], 0.0)
                sent, self.came = sent + moved, self.came + received
            frames.append(sent)
            end.clock.now += 60.0
            return sent, b""

    session.link = HeldUpLink()
    with fake_time(end.clock):
        assert session.stats()["inferences"] == 0
        assert session.canary(Encoding.PIXELS, 3, PIXELS).id == 3
    assert len(frames) == 2


def test_no_answer_to_hello_is_a_time_out() -> None:
    """A board that says nothing is given up after the time for booting."""
    end = make_link()
    end.rewrite = lambda _: b""
    with fake_time(end.clock), pytest.raises(BoardTimeoutError, match="no answer to HELLO within 7 s"):
        Session(end, Patience(), lambda _: None).hello(7.0)
    assert 7.0 <= end.clock.now - 1000.0 <= 7.5


def test_answers_to_an_earlier_session_are_not_ours() -> None:
    """A board that always answers with another session is refused in bounded time."""
    end = make_link()

    def stale(_: bytes) -> bytes:
        end.clock.now += 0.1
        return wire.encode_frame(MessageType.IDENTITY, session._seq, wire.encode_identity(IDENTITY))

    end.rewrite = stale
    session = Session(end, Patience(timeout_s=3.0), lambda _: None)
    with fake_time(end.clock), pytest.raises(IdentityError, match="session 0x0 instead of"):
        session.hello()
    assert end.clock.now - 1000.0 <= 4.0


@pytest.mark.parametrize(("max_frame", "rx_window"), [(128, 255), (63, 1000), (0, 0), (1 << 20, 1 << 19)])
def test_a_window_without_two_frames_is_refused(max_frame: int, rx_window: int) -> None:
    """A board whose window cannot hold two frames would be waited for without end: it is refused at once."""
    end = make_link()

    def lie(encoded: bytes) -> bytes:
        frame = wire.decode_frame(encoded[:-1])
        identity = replace(wire.decode_identity(frame.payload), max_frame=max_frame, rx_window=rx_window)
        return wire.encode_frame(frame.type, frame.seq, wire.encode_identity(identity))

    end.rewrite = lie
    with fake_time(end.clock), pytest.raises(IdentityError, match="window of two frames"):
        greeted(end)


def test_another_version_of_the_protocol_is_refused() -> None:
    """A frame of another version is an error at once, not a time-out."""
    end = make_link()
    end.rewrite = lambda _: wire.encode_frame(MessageType.IDENTITY, 1, b"", version=2)
    with fake_time(end.clock), pytest.raises(WireError, match="version 2") as caught:
        greeted(end)
    assert caught.value.code == ErrorCode.BAD_VERSION


def test_canary() -> None:
    """A canary brings id, ticks, CRC of the tensor, and scores."""
    end = make_link()
    with fake_time(end.clock):
        result = greeted(end).canary(Encoding.PIXELS, 4, PIXELS)
    tensor = bytes((pixel - 128) % 256 for pixel in PIXELS)
    assert (result.id, result.ticks, result.input_crc, result.scores) == (4, 7, crc32(tensor), scores_of(PIXELS))


@pytest.mark.parametrize("damage", ["corrupt", "truncate", "drop", "merge"])
@pytest.mark.parametrize("to_board", [True, False])
def test_a_lost_request_is_repeated_on_a_lossy_line(damage: str, to_board: bool) -> None:
    """Requests and answers that are lost cost the time of a repetition."""
    end = make_link()
    planted = at_frames(DAMAGES[damage], frozenset({2}))
    link = DamagedLink(end, to_board=planted if to_board else None, from_board=None if to_board else planted)
    with fake_time(end.clock):
        session = greeted(end, link=link, patience=Patience(timeout_s=5.0, resend_s=1.0))
        assert session.canary(Encoding.PIXELS, 4, PIXELS).scores == scores_of(PIXELS)
    assert end.clock.now - 1000.0 <= 2.6


def test_a_lost_answer_on_a_lossless_line_is_a_time_out() -> None:
    """Where nothing can be lost, nothing is sent twice: silence is a time-out."""
    end = make_link()
    link = DamagedLink(end, from_board=at_frames(DAMAGES["drop"], frozenset({2})))
    with fake_time(end.clock), pytest.raises(BoardTimeoutError, match="no answer to CANARY within 5 s"):
        greeted(end, link=link).canary(Encoding.PIXELS, 4, PIXELS)
    assert 5.0 <= end.clock.now - 1000.0 <= 5.5


def test_late_answers_are_not_taken() -> None:
    """An answer with another sequence number is passed over, however well it is formed."""
    end = make_link()

    def with_a_late_one(encoded: bytes) -> bytes:
        frame = wire.decode_frame(encoded[:-1])
        wrong = frame.payload[:-4] + b"\xff\xff\xff\xff"
        return wire.encode_frame(frame.type, frame.seq - 1 or 0xFFFF, wrong) + encoded

    with fake_time(end.clock):
        session = greeted(end)
        end.rewrite = only(MessageType.CANARY_RESULT, with_a_late_one)
        assert session.canary(Encoding.PIXELS, 4, PIXELS).scores == scores_of(PIXELS)


def test_a_refusal_is_raised_with_its_name() -> None:
    """ERROR is the exception's text and code."""
    end = make_link(encodings=frozenset({Encoding.PIXELS}))
    with fake_time(end.clock), pytest.raises(BoardReportedError, match="BAD_ENCODING") as caught:
        greeted(end).canary(Encoding.TENSOR, 4, PIXELS)
    assert caught.value.code == ErrorCode.BAD_ENCODING


def test_a_fault_report_is_a_crash() -> None:
    """ERROR FAULT is a crash, with what the processor said."""
    end = make_link()
    with fake_time(end.clock):
        session = greeted(end)
        end.rewrite = lambda _: error_frame(ErrorCode.FAULT, "bus fault at 0x10")
        with pytest.raises(BoardCrashedError, match="bus fault at 0x10"):
            session.stats()


def test_a_sample_that_does_not_fit_is_refused() -> None:
    """A canary larger than the board's frames is not sent."""
    end = make_link(input=replace(INPUT, shape=(1, 300)))
    with fake_time(end.clock):
        session = greeted(end)
        with pytest.raises(UsageError, match="300 bytes"):
            session.canary(Encoding.PIXELS, 0, bytes(300))


def test_statistics_by_name() -> None:
    """Counters have names; those of later versions have numbers."""
    end = make_link()
    with fake_time(end.clock):
        session = greeted(end)
        session.canary(Encoding.PIXELS, 4, PIXELS)
        assert session.stats()["inferences"] == 1
        end.rewrite = only(
            MessageType.STATS_RESULT,
            lambda e: wire.encode_frame(
                MessageType.STATS_RESULT, wire.decode_frame(e[:-1]).seq, wire.encode_stats({2: 9, 77: 1})
            ),
        )
        assert session.stats() == {"inferences": 9, "77": 1}


def test_echo_and_reset() -> None:
    """ECHO brings the bytes back, zeros included; RESET is acknowledged."""
    end = make_link()
    with fake_time(end.clock):
        session = greeted(end)
        assert session.echo(b"\0\1\0\xff" * 5) == b"\0\1\0\xff" * 5
        session.reset(wire.ResetKind.ENGINE)


def test_sequence_numbers_are_never_zero() -> None:
    """The numbers wrap from 65535 to 1: 0 belongs to what a board sends unasked."""
    session = Session(make_link(), Patience(), lambda _: None)
    session._seq = 0xFFFE
    assert [session.next_seq() for _ in range(3)] == [0xFFFF, 1, 2]


def test_nothing_is_asked_before_the_greeting() -> None:
    """A canary before HELLO is a bug of the caller."""
    with pytest.raises(RuntimeError, match="hello"):
        Session(make_link(), Patience(), lambda _: None).canary(Encoding.PIXELS, 0, b"")


def test_a_closed_socket_is_a_crash_after_its_last_words() -> None:
    """What a board sent before it died is delivered; then the end of the link is a crash."""
    ours, theirs = socket.socketpair()
    theirs.sendall(wire.encode_frame(MessageType.LOG, 0, wire.encode_log("last words")))
    theirs.close()
    log: list[str] = []
    link = FdLink(ours.detach(), name="socket", packed=False)
    session = Session(link, Patience(timeout_s=1.0), log.append)
    with pytest.raises(BoardCrashedError, match="the board is gone"):
        session.hello()
    assert log == ["last words"]
    session.close()
    session.close()


def test_last_words_survive_a_broken_pipe() -> None:
    """A board that dies between the look at the line and the write is still heard."""
    ours, theirs = socket.socketpair()
    link = FdLink(ours.detach(), name="socket", packed=False)
    write = os.write

    def die_first(fd: int, data: bytes) -> int:
        theirs.sendall(b"fault")
        theirs.close()
        return write(fd, data)

    with mock.patch("os.write", die_first):
        assert link.exchange(memoryview(b"x"), 1.0) == (0, b"fault")
    with pytest.raises(LinkClosedError):
        link.exchange(memoryview(b"x"), 1.0)
    link.close()
    with pytest.raises(LinkClosedError, match="closed by the host"):
        link.exchange(memoryview(b""), 0.0)


def test_latency_needs_a_clock_with_a_duration() -> None:
    """Ticks become microseconds unless they are instructions."""
    assert Clock.CYCLES.microseconds(250.0, 1_000_000) == 250.0
    assert Clock.WALL.microseconds(250.0, 1_000_000_000) == 0.25
    assert Clock.INSTRUCTIONS.microseconds(250.0, 0) is None
    assert Clock.CYCLES.microseconds(250.0, 0) is None


def test_the_console_keeps_its_tail_and_its_file(tmp_path: Path) -> None:
    """The tail is short and its lines are cut; the file has everything, of every time the board was opened."""
    console = Console(tmp_path / "logs" / "board.log")
    for k in range(TAIL_LINES + 5):
        console.line(f"{k} " + "x" * 2 * LINE_BYTES)
    assert len(console.tail) == TAIL_LINES
    assert console.tail[-1] == (f"{TAIL_LINES + 4} " + "x" * 2 * LINE_BYTES)[:LINE_BYTES]
    Console(console.path).line("again")
    lines = console.path.read_text(encoding="utf-8").splitlines()
    assert (len(lines), lines[-1]) == (TAIL_LINES + 6, "again")


def test_a_full_disk_costs_the_log_and_not_the_run(tmp_path: Path) -> None:
    """A console line that cannot be written is still in the tail."""
    path = tmp_path / "board.log"
    path.symlink_to("/dev/full")
    console = Console(path)
    console.line("still here")
    assert console.tail == ("still here",)


class LoadingDevice(SimulatedDevice):
    """Takes models; refuses those that begin with an x."""

    package = b""

    def load(self, package: bytes) -> None:
        """See `Device.load`."""
        if package.startswith(b"x"):
            raise WireError(ErrorCode.ENGINE, "cannot be executed")
        self.package = package


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_a_model_is_uploaded_in_pieces(size: int) -> None:
    """The board has every byte of it, also if an answer is lost and a piece comes twice."""
    lost = iter([False, False, True])
    device = LoadingDevice(replace(IDENTITY, loads_models=True))
    end = SimulatedLink(device, rewrite=only(MessageType.LOADED, lambda frame: b"" if next(lost, False) else frame))
    package = bytes(k % 251 for k in range(size))
    with fake_time(end.clock):
        greeted(end, patience=Patience(timeout_s=30.0, resend_s=1.0)).load(package)
    assert package == device.package


def test_a_model_that_the_board_refuses() -> None:
    """Its reason is the error; the next upload begins anew."""
    device = LoadingDevice(replace(IDENTITY, loads_models=True))
    session = greeted(SimulatedLink(device))
    with pytest.raises(BoardReportedError, match="ENGINE: cannot be executed"):
        session.load(b"x" * 500)
    session.load(b"y" * 500)
    assert b"y" * 500 == device.package


def test_a_board_that_takes_no_models() -> None:
    """It says so."""
    with pytest.raises(BoardReportedError, match="UNKNOWN_TYPE"):
        greeted(make_link()).load(b"model")
