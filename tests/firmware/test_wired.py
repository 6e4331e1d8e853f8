"""Frames and a console on one line: the firmware tells them apart, whatever comes and in whatever pieces."""

from __future__ import annotations

import os
import re
import select
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml import wire
from pytest_tinyml.contractsetup import cached_model
from pytest_tinyml.engines.samplefile import HAS_SAMPLES, samples_source
from pytest_tinyml.firmware import build_native
from pytest_tinyml.records import Dataset, Encoding
from tests.firmware.host import Host
from tests.firmware.tools import FIRMWARE, SANITIZE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NULL_ENGINE = sorted((FIRMWARE / "engines" / "null").glob("*.c"))
ROWS = np.random.default_rng(5).integers(0, 256, (20, 784), dtype=np.uint8)
IMAGES = ROWS[:2].reshape(2, 28, 28)
MAC = "240ac4000001"
LIMIT_S = 60.0


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the firmware under sanitizers, with two images compiled in."""
    folder = tmp_path_factory.mktemp("wired")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYML_CACHE", str(folder))
        model = cached_model("s1-ptq")
        labels = np.array([int(np.argmax(scores_of(ROWS[0]))), 99], dtype=np.int64)
        data = Dataset(name="two", images=IMAGES, labels=labels, sha256="0" * 64)
        (folder / "tml_samples.c").write_text(samples_source(model, data, 2), encoding="utf-8")
        return build_native([*NULL_ENGINE, folder / "tml_samples.c"], [], HAS_SAMPLES, SANITIZE).path


@pytest.fixture
def board(program: Path) -> Iterator[Wire]:
    """A board that has said that it is ready."""
    with Wire(program, "--wired", "--mac", MAC) as wired:
        wired.hears(rb"tinyml: ready [^\n]+\n")
        yield wired


class Wire(Host):
    """A host that hears everything; text and frames are told apart by their zeros."""

    heard = b""

    def hears(self, pattern: bytes) -> re.Match[bytes]:
        """Wait for a pattern in all that was said since the last one."""
        deadline = time.monotonic() + LIMIT_S
        while (found := re.search(pattern, self.heard, re.DOTALL)) is None:
            assert time.monotonic() < deadline, self.heard
            self.heard += self.some()
        self.heard = self.heard[found.end() :]
        return found

    def frame(self) -> wire.Frame:
        """Return the next frame, whatever text is before it."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            found = re.search(rb"\0([^\0]+)\0", self.heard)
            if found is not None:
                self.heard = self.heard[found.end() - 1 :]
                (item,) = wire.FrameDecoder().feed(found[1] + b"\0")
                assert isinstance(item, wire.Frame), found[1]
                return item
            assert time.monotonic() < deadline, self.heard
            self.heard += self.some()

    def some(self) -> bytes:
        """Return what there is, within a moment."""
        assert self.fd is not None
        return os.read(self.fd, 1 << 16) if select.select([self.fd], [], [], 0.2)[0] else b""


def scores_of(row: np.ndarray) -> np.ndarray:
    """Return what the null engine makes of a row of pixels."""
    return (row[np.arange(10) * 78] ^ 0x80).view(np.int8)


def hello(session: int) -> bytes:
    """Return a greeting."""
    return wire.encode_frame(wire.MessageType.HELLO, 1, wire.encode_hello(session))


def identity(board: Wire) -> int:
    """Return the session that the next frame, an identity, is for."""
    reply = board.frame()
    assert reply.type == wire.MessageType.IDENTITY
    return wire.decode_identity(reply.payload).session


def test_both_at_once(board: Wire) -> None:
    """Commands before, between and behind frames are answered in their order, each once."""
    board.send(b"tinyml identity\n" + hello(3) + b"tinyml status\r\n" + hello(4) + b"\ntinyml nonsense\n")
    assert board.hears(rb"tinyml: ok identity protocol=1 board=native chip=\w+ engine=null [^\n]+mac=(\w+)")[1]
    assert 3 == identity(board)
    board.hears(rb"tinyml: ok status uptime_ms=\d+ frames=1 dropped=0 inferences=0\r\n")
    assert 4 == identity(board)
    board.hears(rb"tinyml: error unknown no such command\r\n")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_in_any_pieces(board: Wire, size: int) -> None:
    """It does not matter how the bytes come."""
    said = b"\r\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\ntinyml status\n\0\0" + hello(5) + b"tinyml identity\r"
    for k in range(0, len(said), size):
        board.send(said[k : k + size])
        time.sleep(0.002)
    board.hears(rb"tinyml: ok status")
    assert 5 == identity(board)
    board.hears(rb"tinyml: ok identity")


@pytest.mark.parametrize("code", [b"\n", b"\r", b"t"], ids=["newline", "return", "t"])
def test_frames_that_begin_like_text(board: Wire, code: bytes) -> None:
    """A frame whose first byte is a line end or a letter is a frame."""
    # The code byte is the distance to the first zero of the body: version, type, seq, then this much without a zero.
    seq, room = 0x0102, code[0] - 5
    frame = wire.encode_frame(wire.MessageType.ECHO, seq, b"\x55" * room + b"\0" + b"\x55")
    assert frame[:2] == code + b"\x01"
    board.send(b"tinyml status\n" + frame)
    board.hears(rb"tinyml: ok status")
    assert board.frame().payload == b"\x55" * room + b"\0" + b"\x55"


def test_half_a_command_is_not_carried_out(board: Wire) -> None:
    """What a frame cuts short is refused, and the frame is heard."""
    board.send(b"tinyml status\0" + hello(6))
    board.hears(rb"tinyml: error status the line is too long, or not printable ASCII")
    assert 6 == identity(board)


def test_noise(board: Wire) -> None:
    """Noise costs at most one line or one frame, which the host is told."""
    board.send(b"\x8f\xc3noise\n" + b"what?\n" + b"tinyml status\n" + b"\xff\xfe\0" + hello(7))
    board.hears(rb"tinyml: ok status")
    first = board.frame()
    assert (first.type, wire.decode_error(first.payload).code) == (wire.MessageType.ERROR, wire.ErrorCode.BAD_FRAME)
    assert 7 == identity(board)


def test_asked_while_it_computes(program: Path) -> None:
    """A command is answered between two inferences, between frames, and the self-test waits for its turn."""
    with Wire(program, "--wired", "--fault", "slow=20000") as board:
        board.hears(rb"tinyml: ready [^\n]+\n")
        board.send(hello(8))
        assert 8 == identity(board)
        infer = wire.encode_infer_rows(Encoding.PIXELS, np.arange(20), ROWS)
        board.send(wire.encode_frame(wire.MessageType.INFER, 9, infer) + b"tinyml selftest\ntinyml status\n")
        board.hears(rb"tinyml: error selftest a batch is being computed\r\n")
        done = int(board.hears(rb"tinyml: ok status [^\n]*inferences=(\d+)\r\n")[1])
        assert done < 20
        got: dict[int, bytes] = {}
        while len(got) < 20:
            batch = wire.decode_results(board.frame().payload, 10)
            got |= {int(i): s.tobytes() for i, s in zip(batch.ids, batch.scores, strict=True)}
    assert {k: scores_of(row).tobytes() for k, row in enumerate(ROWS)} == got


def test_selftest(board: Wire) -> None:
    """Each class of each image is printed as a real number, and how many labels were right."""
    board.send(b"tinyml selftest\n")
    text = board.hears(rb"(.*)tinyml: ok selftest images=2 right=1\r\n")[1].decode()
    shown = [float(value) for value in re.findall(r"tinyml: class \d (-?\d+\.\d{4})\r\n", text)]
    assert re.findall(r"tinyml: image (\d) label (\d+)\r\n", text)[1] == ("1", "99")
    scale, zero_point = 1 / 256, -128
    expected = [(int(score) - zero_point) * scale for row in ROWS[:2] for score in scores_of(row)]
    assert shown == pytest.approx(expected, abs=6e-5)
    assert re.findall(r"tinyml: predicted (\d+)\r\n", text) == [str(np.argmax(scores_of(row))) for row in ROWS[:2]]


def test_selftest_at_start(program: Path) -> None:
    """It can be had at every start, before anybody asks."""
    with Wire(program, "--wired", "--selftest") as board:
        board.hears(rb"tinyml: ready [^\n]+\ntinyml: image 0 .*tinyml: ok selftest images=2 right=1\r\n")


def test_selftest_without_images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An image that was given none says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYML_CACHE", str(tmp_path_factory.mktemp("cache")))
        bare = build_native(NULL_ENGINE, []).path
    with Wire(bare, "--wired") as board:
        board.send(b"tinyml selftest\n")
        board.hears(rb"tinyml: error selftest no images are compiled in\r\n")


def test_restart(board: Wire) -> None:
    """``tinyml restart`` answers and starts anew."""
    board.send(b"tinyml restart\n")
    board.hears(rb"tinyml: ok restart\r\n.*tinyml: ready [^\n]+\n")
