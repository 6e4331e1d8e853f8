"""A board in this process, with a clock of its own, for tests of sessions, streams and campaigns."""

from __future__ import annotations

import hashlib
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock
from zlib import crc32

import numpy as np

from pytest_tinyml import wire
from pytest_tinyml.boards.device import Device
from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.errors import WireError
from pytest_tinyml.links.session import Patience, Session
from pytest_tinyml.links.stream import Streamer
from pytest_tinyml.records import Clock, Dataset, Encoding, Identity, Model, PreprocessSpec, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_tinyml.links.base import Link
    from pytest_tinyml.wire import MessageType

INPUT = TensorSpec(dtype="int8", shape=(1, 6), scale=1.0, zero_point=-128)
OUTPUT = TensorSpec(dtype="int8", shape=(1, 4), scale=1 / 256, zero_point=-128)
MODEL = Model(
    name="simulated",
    path=Path("simulated.tflite"),
    data=b"simulated",
    sha256=hashlib.sha256(b"simulated").hexdigest(),
    input=INPUT,
    output=OUTPUT,
    preprocess=PreprocessSpec(kind="scale", scale=1.0),
)
LOSSY = Patience(timeout_s=30.0, resend_s=1.0)
FIRMWARE_SHA256 = "ab" * 32
IDENTITY = Identity(
    clock=Clock.CYCLES,
    tick_hz=1_000_000,
    encodings=frozenset(Encoding),
    rx_window=256,
    max_frame=128,
    arena_used=10,
    arena_capacity=20,
    flash_bytes=0,
    ram_bytes=0,
    firmware_sha256=FIRMWARE_SHA256,
    model_sha256=MODEL.sha256,
    input=INPUT,
    output=OUTPUT,
    firmware_version="1",
    board="simulated",
    chip="none",
    engine="crc",
    model="simulated",
    preprocess="lut",
)


def make_dataset(samples: int) -> Dataset:
    """Make images that all differ, so that a score given to the wrong sample is a wrong score."""
    pixels = np.frombuffer(b"".join(k.to_bytes(3, "big") * 2 for k in range(samples)), dtype=np.uint8)
    return Dataset(name="simulated", images=pixels.reshape(samples, 6), labels=None, sha256="cd" * 32)


def scores_of(pixels: bytes) -> bytes:
    """Return what the simulated engine makes of a sample."""
    return crc32(pixels).to_bytes(4, "little")


class FakeTime:
    """Stands in for the module `time`; moves when it is told to."""

    def __init__(self) -> None:
        """Begin anywhere but at 0."""
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return seconds."""
        return self.now


class SimulatedDevice(Device):
    """Answers requests into a list of frames."""

    def __init__(self, identity: Identity) -> None:
        """Have sent nothing."""
        super().__init__(identity)
        self.sent: deque[bytes] = deque()
        self.inferred = 0

    def infer(self, encoding: Encoding, data: bytes) -> tuple[int, bytes]:
        """Give the CRC of the pixels."""
        del encoding
        self.inferred += 1
        return 7, scores_of(data)

    def input_tensor(self, encoding: Encoding, data: bytes) -> bytes:
        """Give the pixels, quantised."""
        del encoding
        return bytes((pixel - 128) % 256 for pixel in data)

    def initialise(self) -> None:
        """Have nothing to do."""

    def reply(self, frame: bytes) -> None:
        """Keep the frame for the link."""
        self.sent.append(frame)


@dataclass
class SimulatedLink:
    """A link to a simulated device: moves a few bytes at a time, and lets time pass only when nothing moves.

    Attributes:
        device: at the other end.
        clock: advanced when nothing moves.
        chunk: most bytes per direction and call.
        rewrite: turns each reply of the device, a frame, into what is sent instead.
        stalled: whether the board takes nothing any more.
        overruns: how often the receive window was exceeded.
    """

    device: SimulatedDevice
    clock: FakeTime = field(default_factory=FakeTime)
    chunk: int = 64
    rewrite: Callable[[bytes], bytes] = bytes
    name: str = "simulated"
    packed: bool = False
    stalled: bool = False
    overruns: int = 0
    calls: int = 0
    closed: int = 0
    _received: bytes = b""
    _waiting: bytes = b""

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """See `Link.exchange`."""
        self.calls += 1
        assert self.calls < 200_000, "the host never gives up"
        taken = b"" if self.stalled else bytes(out[: self.chunk])
        # Filler zeros take no room in a receiver that discards them.
        self._received = (self._received + taken).lstrip(b"\0")
        if len(self._received) > self.device.identity.rx_window:
            self.overruns += 1
        if self.calls % 3 == 0:
            self._work()
        while self.device.sent and len(self._waiting) < self.chunk:
            self._waiting += self.rewrite(self.device.sent.popleft())
        received, self._waiting = self._waiting[: self.chunk], self._waiting[self.chunk :]
        if not taken and not received and (self.stalled or b"\0" not in self._received):
            self.clock.now += max(timeout_s, 0.01)
        return len(taken), received

    def _work(self) -> None:
        """Let the device handle one frame."""
        frame, end, rest = self._received.partition(b"\0")
        if not end:
            return
        self._received = rest.lstrip(b"\0")
        for item in wire.FrameDecoder(self.device.identity.max_frame).feed(frame + end):
            try:
                if isinstance(item, WireError):
                    raise item
                self.device._handle(item)
            except WireError as error:
                seq = item.seq if isinstance(item, wire.Frame) else error.seq
                self.device.error(seq, error.code, wire.NO_SAMPLE, str(error))

    def close(self) -> None:
        """See `Link.close`."""
        self.closed += 1


@dataclass
class SlowLink:
    """A link around a simulated one whose board and line need a time for each reply, one after the other.

    Attributes:
        inner: moves the bytes.
        reply_s: seconds that a reply of a type takes.
        replies: how many were delivered.
    """

    inner: SimulatedLink
    reply_s: Callable[[MessageType], float]
    name: str = "slow"
    packed: bool = False
    replies: int = 0
    _busy_until: float = 0.0
    _due: deque[tuple[float, bytes]] = field(default_factory=deque)
    _rest: bytes = b""

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """See `Link.exchange`."""
        clock = self.inner.clock
        before = clock.now
        taken, received = self.inner.exchange(out, 0.0)
        clock.now = before
        *frames, self._rest = (self._rest + received).split(b"\0")
        for frame in filter(None, frames):
            seconds = self.reply_s(wire.decode_frame(frame).type)
            self._busy_until = max(self._busy_until, before) + seconds
            self._due.append((self._busy_until, frame + b"\0"))
        if taken or received:
            return taken, b""
        if self._due and self._due[0][0] <= before + timeout_s:
            clock.now, frame = max(before, self._due[0][0]), self._due.popleft()[1]
            self.replies += 1
            return 0, frame
        clock.now = before + max(timeout_s, 0.001)
        return 0, b""

    def close(self) -> None:
        """See `Link.close`."""
        self.inner.close()


class BusyWork(ListWork):
    """Work for one board that is never idle: nobody else could free a sample."""

    def wait(self, timeout_s: float) -> None:
        """Fail: whatever is not done has to be on the board, or on its way to it."""
        msg = f"idle for {timeout_s} s with {len(self._ids) - len(self.scores)} samples left"
        raise AssertionError(msg)


def make_work(samples: int) -> BusyWork:
    """Make work of so many samples."""
    return BusyWork(SampleEncoder(MODEL, make_dataset(samples)), range(samples))


def right_scores(samples: int) -> dict[int, bytes]:
    """Return what every sample should give."""
    return {k: scores_of(row.tobytes()) for k, row in enumerate(make_dataset(samples).images)}


@contextmanager
def fake_time(clock: FakeTime) -> Iterator[None]:
    """Give sessions and streams a clock that only the simulated link moves."""
    with (
        mock.patch("pytest_tinyml.links.session.time", clock),
        mock.patch("pytest_tinyml.links.stream.time", clock),
    ):
        yield


def make_link(**changes: Any) -> SimulatedLink:
    """Make a link to a device whose identity is changed."""
    return SimulatedLink(SimulatedDevice(replace(IDENTITY, **changes)))


def stream(
    end: SimulatedLink, work: BusyWork, *, link: Link | None = None, patience: Patience = LOSSY
) -> tuple[Session, list[str]]:
    """Greet the board and stream everything; returns the session and the log lines."""
    log: list[str] = []
    with fake_time(end.clock):
        session = Session(link or end, patience, log.append)
        session.hello()
        encoding = Encoding.PIXELS_DEFLATE if end.packed else Encoding.PIXELS
        Streamer(session, work, encoding).run()
    return session, log
