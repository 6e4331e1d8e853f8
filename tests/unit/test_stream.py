"""The stream of batches: window, loss, damage, repetition, and boards that do not keep the protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest

from pytest_tinyml import wire
from pytest_tinyml.errors import BoardCrashedError, BoardError, BoardTimeoutError, UsageError, WireError
from pytest_tinyml.links.damage import DAMAGES, DamagedLink, at_frames
from pytest_tinyml.links.session import Patience
from pytest_tinyml.wire import ErrorCode, MessageType
from tests.unit.simulated import INPUT, make_link, make_work, right_scores, stream

if TYPE_CHECKING:
    from collections.abc import Callable


def each_reply(change: Callable[[wire.Frame], list[tuple[MessageType, bytes]]]) -> Callable[[bytes], bytes]:
    """Rewrite RESULT frames into other frames with the same sequence number and valid CRCs."""

    def rewrite(encoded: bytes) -> bytes:
        frame = wire.decode_frame(encoded[:-1])
        if frame.type is not MessageType.RESULT:
            return encoded
        return b"".join(wire.encode_frame(kind, frame.seq, payload) for kind, payload in change(frame))

    return rewrite


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("samples", [1, 2, 17, 300])
def test_every_sample_is_answered_once(samples: int, packed: bool) -> None:
    """On a clean line every sample is inferred once, with the right scores and nothing to report."""
    end, work = make_link(), make_work(samples)
    end.packed = packed
    stream(end, work)
    assert work.scores == right_scores(samples)
    assert (work.repeats, work.notes, end.device.inferred) == ([], [], samples)


@pytest.mark.parametrize("samples", [300])
def test_the_window_is_used_and_kept(samples: int) -> None:
    """Two frames travel at a time, and never more bytes than the window."""
    end, work = make_link(max_frame=100, rx_window=200), make_work(samples)
    end.chunk = 500
    most = 0
    exchange = end.exchange

    def watch(out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        nonlocal most
        moved = exchange(out, timeout_s)
        most = max(most, len(end._received))
        return moved

    with mock.patch.object(end, "exchange", watch):
        stream(end, work)
    assert end.overruns == 0
    assert 100 < most <= 200


def test_a_stalled_line_is_a_time_out() -> None:
    """A board that stops taking bytes in the middle of a frame is noticed; the host does not wait for ever."""
    end, work = make_link(), make_work(50)
    taken = 0
    exchange = end.exchange

    def stall(out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        nonlocal taken
        end.stalled = taken > 200
        moved = exchange(out[:7], timeout_s)
        taken += moved[0]
        return moved

    with mock.patch.object(end, "exchange", stall), pytest.raises(BoardTimeoutError):
        stream(end, work)


def test_noise_does_not_repeat_what_is_still_being_sent() -> None:
    """Garbage from the line while the only open request is on its way says nothing about that request."""
    end, work = make_link(), make_work(40)
    exchange = end.exchange
    quiet = True

    def noisy(out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        nonlocal quiet
        taken, received = exchange(out[:7], timeout_s)
        # In the middle of an INFER, with nothing else on the line.
        if quiet and 30 < len(end._received) and len(out) > 7 and not received and not end._waiting:
            quiet = False
            received = b"\5noise\0"
        return taken, received

    with mock.patch.object(end, "exchange", noisy):
        stream(end, work)
    assert not quiet
    assert [kind for kind, _ in work.notes] == ["dropped"]
    assert (work.scores, end.device.inferred) == (right_scores(40), 40)


def test_a_silent_board_is_a_time_out_within_its_bound() -> None:
    """Silence ends after `timeout_s` on lossless and on lossy lines."""
    for resend_s in (None, 1.0):
        end, work = make_link(), make_work(10)
        end.rewrite = each_reply(lambda _: [])
        with pytest.raises(BoardTimeoutError, match="samples on the board"):
            stream(end, work, patience=Patience(timeout_s=5.0, resend_s=resend_s))
        assert 5.0 <= end.clock.now - 1000.0 <= 6.0


def test_last_with_missing_samples_asks_for_them_again() -> None:
    """What a complete answer leaves out is sent again."""
    left_out: list[int] = []

    def forget_once(frame: wire.Frame) -> list[tuple[MessageType, bytes]]:
        batch = wire.decode_results(frame.payload, 4)
        if len(batch.ids) < 3 or left_out:
            return [(frame.type, frame.payload)]
        left_out.extend(batch.ids[1:].tolist())
        less = replace(batch, ids=batch.ids[:1], ticks=batch.ticks[:1], scores=batch.scores[:1])
        return [(frame.type, wire.encode_results(less))]

    end, work = make_link(), make_work(40)
    end.rewrite = each_reply(forget_once)
    stream(end, work)
    assert left_out
    assert work.scores == right_scores(40)
    assert end.device.inferred == 40 + len(left_out)


def test_a_sample_that_is_always_left_out_ends_in_a_time_out() -> None:
    """A board that never answers one sample, and never says why, does not keep the host for ever."""

    def forget(frame: wire.Frame) -> list[tuple[MessageType, bytes]]:
        batch = wire.decode_results(frame.payload, 4)
        end.clock.now += 0.01
        keep = batch.ids != 5
        less = replace(batch, ids=batch.ids[keep], ticks=batch.ticks[keep], scores=batch.scores[keep])
        return [(frame.type, wire.encode_results(less))]

    end, work = make_link(), make_work(20)
    end.rewrite = each_reply(forget)
    with pytest.raises(BoardTimeoutError, match="1 samples"):
        stream(end, work)
    assert sorted(work.scores) == [k for k in range(20) if k != 5]


def test_a_sample_that_the_board_refuses_is_recorded() -> None:
    """An ERROR with a sample's id fails that sample only, with the board's reason."""

    def refuse(frame: wire.Frame) -> list[tuple[MessageType, bytes]]:
        batch = wire.decode_results(frame.payload, 4)
        keep = batch.ids != 9
        less = replace(batch, ids=batch.ids[keep], ticks=batch.ticks[keep], scores=batch.scores[keep])
        report = wire.BoardReport(code=ErrorCode.ENGINE, sample_id=9, text="no")
        errors = [] if keep.all() else [(MessageType.ERROR, wire.encode_error(report))]
        return [*errors, (frame.type, wire.encode_results(less))]

    end, work = make_link(), make_work(20)
    end.rewrite = each_reply(refuse)
    stream(end, work)
    assert work.failed == {9: "the board reports ENGINE: no"}
    assert sorted(work.scores) == [k for k in range(20) if k != 9]


def test_late_answers_are_ignored() -> None:
    """An answer, or an error, to a request that was given up changes nothing."""
    seen: list[wire.Frame] = []

    def answer_an_old_one_too(encoded: bytes) -> bytes:
        frame = wire.decode_frame(encoded[:-1])
        if frame.type is not MessageType.RESULT:
            return encoded
        late = b""
        if seen:
            wrong = wire.decode_results(seen[-1].payload, 4)
            wrong = replace(wrong, scores=np.bitwise_xor(wrong.scores, np.uint8(0xFF)))
            report = wire.BoardReport(code=ErrorCode.ENGINE, sample_id=None, text="late")
            late = wire.encode_frame(MessageType.RESULT, seen[-1].seq, wire.encode_results(wrong))
            late += wire.encode_frame(MessageType.ERROR, seen[-1].seq, wire.encode_error(report))
        seen.append(frame)
        return encoded + late

    end, work = make_link(), make_work(40)
    end.rewrite = answer_an_old_one_too
    stream(end, work)
    assert work.scores == right_scores(40)
    assert work.repeats == []


def test_a_malformed_result_breaks_the_protocol() -> None:
    """A RESULT with a valid CRC and a wrong layout is an error, not a guess."""
    end, work = make_link(), make_work(10)
    end.rewrite = each_reply(lambda frame: [(frame.type, frame.payload + b"\0")])
    with pytest.raises(WireError, match="expected 16 bytes, got 17"):
        stream(end, work)
    assert work.scores == {}


@pytest.mark.parametrize("other", [99, 3_000_000_000])
def test_results_that_nobody_asked_for_break_the_protocol(other: int) -> None:
    """A sample that was not in the request is refused, whatever its id."""

    def rename(frame: wire.Frame) -> list[tuple[MessageType, bytes]]:
        return [(frame.type, frame.payload[:4] + other.to_bytes(4, "little") + frame.payload[8:])]

    end, work = make_link(), make_work(10)
    end.rewrite = each_reply(rename)
    with pytest.raises(WireError, match="not in the request"):
        stream(end, work)
    assert work.scores == {}


def test_a_sample_answered_twice_in_one_result_breaks_the_protocol() -> None:
    """Two answers for a sample in one RESULT are refused."""

    def double(frame: wire.Frame) -> list[tuple[MessageType, bytes]]:
        one = frame.payload
        return [(frame.type, (2).to_bytes(2, "little") + one[2:4] + one[4:16] * 2)]

    end, work = make_link(), make_work(10)
    end.rewrite = each_reply(double)
    with pytest.raises(WireError, match="not in the request"):
        stream(end, work)


@pytest.mark.parametrize("packed", [False, True])
def test_a_sample_too_large_for_the_board_is_refused(packed: bool) -> None:
    """A sample that fits no frame is a usage error that names both sizes, before anything is sent."""
    large = replace(INPUT, shape=(1, 600))
    end, work = make_link(input=large), make_work(3)
    end.packed = packed
    blob = bytes(range(1, 201)) * 3
    with mock.patch.object(type(work), "packed", return_value=blob), pytest.raises(UsageError, match="128 bytes"):
        stream(end, work)
    assert end.device.inferred == 0


def test_a_sample_too_large_for_the_protocol_is_refused() -> None:
    """A sample of more than 65,535 bytes is a usage error, however large the board's frames are."""
    end = make_link(input=replace(INPUT, shape=(1, 70_000)), max_frame=1 << 17, rx_window=1 << 18)
    with pytest.raises(UsageError, match="at most 65535"):
        stream(end, make_work(3))


def test_answers_before_a_fault_count() -> None:
    """Results that arrive together with the report of a crash are kept."""
    report = wire.encode_frame(
        MessageType.ERROR, 0, wire.encode_error(wire.BoardReport(code=ErrorCode.FAULT, sample_id=None, text="SIGSEGV"))
    )
    end, work = make_link(), make_work(10)
    end.chunk = 1000
    end.rewrite = lambda encoded: (
        encoded + (report if wire.decode_frame(encoded[:-1]).type is MessageType.RESULT else b"")
    )
    with pytest.raises(BoardCrashedError, match="SIGSEGV"):
        stream(end, work)
    assert work.scores == {0: right_scores(1)[0]}


def test_frames_that_ran_together_are_sent_again() -> None:
    """TOO_LARGE from a board means a lost delimiter: nothing that large was sent."""
    end, work = make_link(max_frame=100, rx_window=200), make_work(200)
    stream(end, work, link=DamagedLink(end, to_board=at_frames(DAMAGES["merge"], frozenset({12, 14}))))
    assert work.scores == right_scores(200)
    assert [text for kind, text in work.notes if kind == "dropped" and "more than 100" in text]


def test_a_refused_request_ends_the_stream() -> None:
    """An ERROR about a whole request that sending again cannot cure is raised with its code's name."""
    report = wire.BoardReport(code=ErrorCode.BAD_ENCODING, sample_id=None, text="no such encoding")
    end, work = make_link(), make_work(10)
    end.rewrite = each_reply(lambda _: [(MessageType.ERROR, wire.encode_error(report))])
    with pytest.raises(BoardError, match="BAD_ENCODING: no such encoding"):
        stream(end, work)


def test_log_lines_reach_the_console() -> None:
    """LOG frames between results are text for the console and nothing else."""
    line = wire.encode_frame(MessageType.LOG, 0, wire.encode_log("hello"))
    end, work = make_link(), make_work(5)
    end.rewrite = lambda encoded: line + encoded
    _, log = stream(end, work)
    assert work.scores == right_scores(5)
    assert set(log) == {"hello"}
