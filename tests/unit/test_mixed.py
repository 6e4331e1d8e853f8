"""Frames and text of one line: told apart in whatever pieces they come, and nothing is lost."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pytest_tinyml import wire
from pytest_tinyml.links.base import LinkClosedError
from pytest_tinyml.links.mixed import MixedLink, Splitter

READY = b"ets Jul 29 2019\r\n\x8f\x1f\xe2rst:0x1 (POWERON_RESET)\r\ntinyml: ready protocol=1\r\n"
STATUS = b"tinyml: ok status a=1\r\n"
PANIC = b"Guru Meditation Error: Core  0 panic'ed (LoadProhibited).\r\nBacktrace: 0x400d1234:0x3ffb0000\r\n"


def log(text: bytes, seq: int = 0) -> bytes:
    """Return a frame with the zero that the board sends in front of it."""
    return b"\0" + wire.encode_frame(wire.MessageType.LOG, seq, text)


def split(data: bytes, size: int) -> tuple[bytes, list[bytes], int]:
    """Return the text, the payloads of the frames, and the number of damaged ones, if so many bytes come at once."""
    text, decoder = bytearray(), wire.FrameDecoder()
    items: list[wire.Frame | Exception] = []
    splitter = Splitter(text.extend, lambda piece: items.extend(decoder.feed(piece)))
    for k in range(0, len(data), size):
        splitter.put(data[k : k + size])
    frames = [item.payload for item in items if isinstance(item, wire.Frame)]
    return bytes(text), frames, len(items) - len(frames)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1 << 16])
def test_text_and_frames(size: int) -> None:
    """Text before, between and after frames is text, and every frame arrives."""
    data = READY + log(b"one") + log(b"\n\x01\r") + STATUS + log(b"two")
    text, frames, damaged = split(data, size)
    assert READY + STATUS == text
    assert ([b"one", b"\n\x01\r", b"two"], 0) == (frames, damaged)


@pytest.mark.parametrize("size", [1, 5, 1 << 16])
def test_a_line_in_a_frame(size: int) -> None:
    """A frame that holds what looks like a dying board's words is still a frame."""
    _, frames, damaged = split(READY + log(b"\r\nhalf a panic\r\n") + log(b"two"), size)
    assert ([b"\r\nhalf a panic\r\n", b"two"], 0) == (frames, damaged)


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize("sent", [0, 1, 2, 9, 30])
def test_a_death_in_the_middle_of_a_frame(size: int, sent: int) -> None:
    """What a board says that dies while it is sending is text, however much of the frame had gone."""
    begun = log(np.random.default_rng(3).bytes(40))[: 1 + sent]
    text, frames, _ = split(READY + log(b"one") + begun + b"\r\n" + PANIC, size)
    assert PANIC.rstrip() in text
    assert [b"one"] == frames


def test_a_damaged_frame_is_a_frame() -> None:
    """So that it is noticed at once, and not only missed."""
    spoilt = bytearray(log(b"one"))
    spoilt[2] ^= 0x80
    text, frames, damaged = split(READY + bytes(spoilt) + log(b"two"), 4)
    assert (READY, [b"two"], 1) == (text, frames, damaged)


def test_a_restart_is_told_in_words() -> None:
    """After a reset everything is text again, whatever had been begun."""
    text, frames = bytearray(), bytearray()
    splitter = Splitter(text.extend, frames.extend)
    splitter.put(log(b"one") + b"\x05\x01\x02")
    splitter.restart()
    splitter.put(READY)
    assert READY == text


def test_a_link_waits_within_its_bound() -> None:
    """Nothing comes for a while, then bytes from another thread; what is sent goes in pieces."""
    sent: list[bytes] = []
    link = MixedLink("serial", sent.append)
    assert (0, b"") == link.exchange(memoryview(b""), 0.01)
    threading.Timer(0.05, link.take, (b"abc",)).start()
    assert (0, b"abc") == link.exchange(memoryview(b""), 10.0)
    assert (1024, b"") == link.exchange(memoryview(bytes(1500)), 0.0)
    assert [bytes(1024)] == sent


def test_a_line_that_is_gone() -> None:
    """What had come is delivered first; then the link is closed, with the reason."""

    def fail(_: bytes) -> None:
        reason = "device disconnected"
        raise OSError(reason)

    link = MixedLink("serial", fail)
    link.take(b"abc")
    assert (0, b"abc") == link.exchange(memoryview(b"x"), 0.0)
    for _ in range(2):
        with pytest.raises(LinkClosedError, match="device disconnected"):
            link.exchange(memoryview(b"x"), 0.0)
    other = MixedLink("serial", fail)
    other.close()
    with pytest.raises(LinkClosedError, match="closed by the host"):
        other.exchange(memoryview(b""), 10.0)
