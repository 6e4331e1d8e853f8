"""The serial path over a line with a baud rate and faults: nothing wrong is accepted, and everything is answered.

The board is the real firmware in a process, with the window of a small one; the line is `tests.lines`.
"""

from __future__ import annotations

import os
import random
import time
import tty
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.native import NativeBoard
from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.contractsetup import cached_dataset, cached_model, canary, expected_scores
from pytest_tinyml.errors import BoardCrashedError, BoardTimeoutError
from pytest_tinyml.records import Encoding
from pytest_tinyml.wire import ResetKind
from tests.lines.cable import Direction
from tests.lines.plug import Line, LineSettings, measure_rate, plug_line

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.records import Identity

MODEL = "s1-ptq"
DATA = "mnist-28k"
FAST = 3_000_000
PACKED_BYTES = 193
"""Of an image on a clean line, everything counted (docs/benchmarks.md)."""


class Bench:
    """A board behind a line, and what it should answer."""

    def __init__(self, folder: Path, settings: LineSettings, samples: int) -> None:
        """Start nothing."""
        self.model = cached_model(MODEL)
        self.samples = samples
        self.encoder = SampleEncoder(self.model, cached_dataset(DATA, samples))
        self.expected = expected_scores(DATA, samples, self.model, "tflm")
        self.board = NativeBoard(BoardRequest(model=self.model, work_dir=folder, link="serial"))
        self.lines = plug_line(self.board, settings)

    def canaries(self, identity: Identity, count: int) -> list[bytes]:
        """Send the first samples as canaries."""
        return [canary(self.board, identity, self.encoder, k).scores for k in range(count)]

    def right(self, count: int) -> list[bytes]:
        """Return what the reference gives for the first samples."""
        return [self.expected[k].tobytes() for k in range(count)]

    def run(self) -> tuple[ListWork, float]:
        """Greet, stream, close; returns the answers and the seconds of streaming."""
        work = ListWork(self.encoder, range(self.samples))
        try:
            self.board.open()
            began = time.monotonic()
            self.board.stream(work)
            return work, time.monotonic() - began
        finally:
            self.board.close()

    def assert_right(self, work: ListWork) -> None:
        """Everything is answered as by the reference, and whatever came twice came the same."""
        assert [k for k in range(self.samples) if work.scores[k] != self.expected[k].tobytes()] == []
        assert [k for k, row in work.repeats if row != work.scores[k]] == []
        assert work.failed == {}

    @property
    def line(self) -> Line:
        """The line of the last start."""
        return self.lines[-1]

    @property
    def bytes_per_sample(self) -> float:
        """All bytes to the board, by sample."""
        return self.line.counts["to_board"]["taken"] / self.samples


def test_the_line_keeps_its_rate() -> None:
    """In however irregular steps, a busy line passes baud / 10 bytes per second, to the byte, by a clock of our own."""
    rate, rng, begun = 92_160, random.Random(3), 1000.0  # noqa: S311 - no secret
    source, sink = os.pipe(), os.pipe()
    for fd in (*source, *sink):
        os.set_blocking(fd, False)
    wire = Direction(source[0], sink[1], asdict(LineSettings(baud=10 * rate)), seed=1)
    now, passed, waiting = begun, 0, 0
    try:
        for step in range(1000):
            waiting += os.write(source[1], bytes(wire.capacity - waiting))
            wire.take(now)
            # Up to 1 ms most of the time, and sometimes almost as long as the buffer lasts.
            now += rng.uniform(0.0, 0.001 if step % 10 else 0.9 * wire.capacity / rate)
            wire.pass_on(now, silent=False)
            got = len(os.read(sink[0], 1 << 16)) if wire.counts["delivered"] > passed else 0
            passed, waiting = passed + got, waiting - got
            assert passed == wire.counts["delivered"]
            assert 0.0 <= (now - begun) * rate - passed < 1.001
    finally:
        for fd in (*source, *sink):
            os.close(fd)


def test_the_line_is_never_too_fast() -> None:
    """A real line with both directions busy takes the time that its rate says, however busy the computer is."""
    rates = measure_rate(LineSettings(baud=921_600), 1.0)
    assert all(0 < rate <= 92_160 for rate in rates.values())


def test_the_line_delivers_last_words() -> None:
    """What was said before the far end went is delivered at its rate, and then the line is gone."""
    board, far = os.openpty()
    tty.setraw(far)
    line = Line(LineSettings(baud=9_600))
    line.open(board)
    try:
        words = bytes(range(1, 251)) * 2
        began = time.monotonic()
        os.write(far, words)
        os.close(far)
        heard = b""
        while len(heard) < len(words):
            heard += os.read(line.host, 1000)
        with pytest.raises(OSError, match="Input/output error"):
            os.read(line.host, 1000)
        assert heard == words
        assert time.monotonic() - began >= 0.5
    finally:
        line.close()


def test_faults_come_as_often_as_they_should(tmp_path: Path) -> None:
    """The line flips, drops and doubles what it was told to, in both directions: the tests below test something."""
    bench = Bench(tmp_path, LineSettings(baud=FAST, bit_error=1e-4, dropped=1e-4, doubled=1e-4), 500)
    bench.run()
    counts = bench.line.counts
    taken = counts["to_board"]["taken"]
    assert 0.7 < counts["to_board"]["flipped"] / (8e-4 * taken) < 1.3
    assert all(counts["to_board"][fault] > 0 for fault in ("dropped", "doubled"))
    assert counts["from_board"]["flipped"] > 0


# The bound on bytes is what a repetition of every spoilt frame costs, and a tenth: docs/benchmarks.md has what is seen.
@pytest.mark.parametrize(
    ("faults", "most_bytes"),
    [
        ({}, 1.0),
        ({"bit_error": 1e-6}, 1.1),
        ({"bit_error": 1e-5}, 1.2),
        ({"bit_error": 1e-4}, 1.5),
        ({"dropped": 1e-4}, 1.3),
        ({"doubled": 1e-4}, 1.3),
        ({"bit_error": 1e-4, "dropped": 1e-4, "doubled": 1e-4}, 1.6),
    ],
    ids=lambda value: ", ".join(f"{k} {v}" for k, v in value.items()) or "clean" if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("seed", [1, 2])
def test_no_wrong_result_on_a_noisy_line(
    tmp_path: Path, faults: dict[str, float], most_bytes: float, seed: int
) -> None:
    """Every answer is the reference's, however noisy the line; repetitions are bounded, and reported."""
    bench = Bench(tmp_path, LineSettings(baud=FAST, seed=seed, **faults), 1000)  # type: ignore[arg-type]
    work, seconds = bench.run()
    bench.assert_right(work)
    assert bench.bytes_per_sample <= most_bytes * PACKED_BYTES
    assert seconds < 20.0
    counts = bench.line.counts
    spoilt = sum(c["flipped"] + c["dropped"] + c["doubled"] for c in counts.values())
    # What hits between frames, or a frame that is spoilt already, is no loss of its own.
    if spoilt > 5:
        assert work.notes
    if not spoilt:
        assert work.notes == []


def test_a_pulled_cable_costs_its_time(tmp_path: Path) -> None:
    """Three times two seconds of silence in both directions: the run goes on within seconds, and is complete."""
    cuts = ((20_000, 2.0), (70_000, 2.0), (150_000, 2.0))
    bench = Bench(tmp_path, LineSettings(baud=921_600, cuts=cuts), 1000)
    work, seconds = bench.run()
    bench.assert_right(work)
    assert bench.line.counts["to_board"]["silenced"] > 0
    # 2.1 s of samples, 6 s of silence; then the next repetition, at most 1 s and twice what is due later.
    assert seconds < 8.1 + 3 * 2.5
    assert [text for _, text in work.notes if "no answer for" in text]


def test_a_cable_that_stays_pulled_is_a_time_out(tmp_path: Path) -> None:
    """A silence that does not end is reported within the time-out."""
    bench = Bench(tmp_path, LineSettings(baud=FAST, cuts=((20_000, 1000.0),)), 1000)
    bench.board.request = BoardRequest(model=bench.model, work_dir=tmp_path, link="serial", timeout_s=3.0)
    began = time.monotonic()
    with pytest.raises(BoardTimeoutError, match="no result for 3"):
        bench.run()
    assert time.monotonic() - began < 30.0


@pytest.mark.parametrize("seed", range(3))
def test_single_requests_on_a_noisy_line(tmp_path: Path, seed: int) -> None:
    """Greeting, canaries, statistics and both kinds of RESET survive bit errors, dropped and doubled bytes."""
    settings = LineSettings(baud=FAST, bit_error=1e-4, dropped=1e-4, doubled=1e-4, seed=seed)
    bench = Bench(tmp_path, settings, 100)
    try:
        identity = bench.board.open()
        assert bench.canaries(identity, 30) == bench.right(30)
        assert bench.board.stats()["inferences"] >= 30
        bench.board.reset(ResetKind.ENGINE)
        assert bench.canaries(identity, 5) == bench.right(5)
        bench.board.reset(ResetKind.BOARD)
        again = bench.board.live().hello()
        assert again.firmware_sha256 == identity.firmware_sha256
        assert bench.canaries(again, 5) == bench.right(5)
    finally:
        bench.board.close()


def test_a_slow_line_is_not_a_lossy_one(tmp_path: Path) -> None:
    """At 9,600 baud, where the window holds 8 s of samples, nothing is sent twice with the default time-outs."""
    bench = Bench(tmp_path, LineSettings(baud=9_600), 30)
    work, seconds = bench.run()
    bench.assert_right(work)
    assert work.notes == []
    ideal = bench.line.counts["to_board"]["taken"] / 960
    assert ideal <= seconds + 0.5 < 1.3 * ideal + 1.0


def test_large_frames_on_a_slow_line(tmp_path: Path) -> None:
    """Unpacked canaries of 784 B take 0.9 s each at 9,600 baud: they are waited for, and asked for once."""
    bench = Bench(tmp_path, LineSettings(baud=9_600), 4)
    try:
        bench.board.open()
        data = bench.encoder.data(Encoding.PIXELS, 0)
        answers = [bench.board.canary(Encoding.PIXELS, 0, data).scores for _ in range(3)]
        assert answers == 3 * bench.right(1)
        assert bench.board.stats()["inferences"] == 3
    finally:
        bench.board.close()


def test_the_board_dies_behind_the_line(tmp_path: Path) -> None:
    """A crash ends the line, and is reported as one."""
    bench = Bench(tmp_path, LineSettings(baud=FAST), 100)
    options = {"fault": "crash@50"}
    bench.board.request = BoardRequest(model=bench.model, work_dir=tmp_path, link="serial", options=options)
    with pytest.raises(BoardCrashedError):
        bench.run()
