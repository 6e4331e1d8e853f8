"""The board's side of the protocol in Python, for boards that are Python programs.

It answers one request at a time, as the firmware's session does, and is what a third party's simulated board can start
from.
"""

from __future__ import annotations

import os
import select
import time
import zlib
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml import wire
from pytest_tinyml.errors import WireError
from pytest_tinyml.records import CanaryResult, Encoding
from pytest_tinyml.wire import NO_SAMPLE, ErrorCode, MessageType

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Identity

MAX_FRAME: Final = 1 << 16
RX_WINDOW: Final = 1 << 18
_RESULT_S: Final = 0.2


class Device(ABC):
    """A board in Python: subclasses execute the model.

    Args:
        identity: what to answer to HELLO; its session is replaced.
    """

    def __init__(self, identity: Identity) -> None:
        """Wait for `serve`."""
        self.identity = identity
        self._started = time.monotonic()
        self._counters: dict[int, int] = dict.fromkeys(wire.StatKey, 0)
        self._out = -1
        self._package = bytearray()
        self._package_total = 0

    @abstractmethod
    def infer(self, encoding: Encoding, data: bytes) -> tuple[int, bytes]:
        """Run one sample (already unpacked) and return ticks and the output tensor's bytes."""

    @abstractmethod
    def input_tensor(self, encoding: Encoding, data: bytes) -> bytes:
        """Run one sample and return the input tensor as the engine had it."""

    @abstractmethod
    def initialise(self) -> None:
        """Initialise the engine again (RESET)."""

    def load(self, package: bytes) -> None:
        """Execute an uploaded model (PROTOCOL.md section 6) from now on, and describe it in `identity`.

        Called only by a device whose identity says `loads_models`, which overrides this.

        Raises:
            WireError: BAD_PAYLOAD or ENGINE; the model from before is still there.
        """
        raise WireError(ErrorCode.UNKNOWN_TYPE, f"a package of {len(package)} bytes is not for this board")

    def reply(self, frame: bytes) -> None:
        """Send one encoded frame; overridden to plant faults."""
        view = memoryview(frame)
        while view:
            view = view[os.write(self._out, view) :]
        self._counters[wire.StatKey.BYTES_SENT] += len(frame)

    def serve(self, fd: int) -> None:
        """Answer requests until the other end closes the line."""
        self._out = fd
        os.set_blocking(fd, True)
        decoder = wire.FrameDecoder(MAX_FRAME)
        while True:
            select.select([fd], [], [])
            try:
                data = os.read(fd, RX_WINDOW)
            except OSError:  # EIO: the host has closed the pseudo-terminal
                return
            if not data:
                return
            self._counters[wire.StatKey.BYTES_RECEIVED] += len(data)
            for item in decoder.feed(data):
                try:
                    if isinstance(item, WireError):
                        raise item
                    self._counters[wire.StatKey.FRAMES_RECEIVED] += 1
                    self._handle(item)
                except WireError as error:
                    self._counters[wire.StatKey.FRAMES_DROPPED] += 1
                    seq = item.seq if isinstance(item, wire.Frame) else error.seq
                    self.error(seq, error.code, NO_SAMPLE, str(error))

    def error(self, seq: int, code: int, sample: int, text: str) -> None:
        """Send an ERROR."""
        known = None if sample == NO_SAMPLE else sample
        self._send(MessageType.ERROR, seq, wire.encode_error(wire.BoardReport(code=code, sample_id=known, text=text)))

    def _send(self, kind: MessageType, seq: int, payload: bytes) -> None:
        self.reply(wire.encode_frame(kind, seq, payload))

    def _handle(self, frame: wire.Frame) -> None:
        match frame.type:
            case MessageType.HELLO:
                session = wire.decode_hello(frame.payload)
                self._package_total = 0
                self._send(
                    MessageType.IDENTITY, frame.seq, wire.encode_identity(replace(self.identity, session=session))
                )
            case MessageType.INFER:
                self._infer(frame)
            case MessageType.CANARY:
                self._canary(frame)
            case MessageType.STATS:
                self._counters[wire.StatKey.UPTIME_MS] = int((time.monotonic() - self._started) * 1000)
                self._send(MessageType.STATS_RESULT, frame.seq, wire.encode_stats(self._counters))
            case MessageType.RESET:
                kind = wire.decode_reset(frame.payload)
                self.initialise()
                self._send(MessageType.RESET_DONE, frame.seq, wire.encode_reset(kind))
            case MessageType.ECHO:
                self._send(MessageType.ECHO_RESULT, frame.seq, frame.payload)
            case MessageType.LOAD if self.identity.loads_models:
                self._load(frame)
            case _:
                raise WireError(ErrorCode.UNKNOWN_TYPE, f"{frame.type.name} is not for a board", frame.seq)

    def _load(self, frame: wire.Frame) -> None:
        piece = wire.decode_load(frame.payload)
        end = piece.offset + len(piece.data)
        if piece.total != self._package_total or end > len(self._package):
            if self._package_total == 0:
                self._package.clear()
                self._package_total = piece.total
            if piece.total != self._package_total or piece.offset != len(self._package):
                raise WireError(ErrorCode.BAD_PAYLOAD, f"byte {len(self._package)} of the package is due", frame.seq)
            self._package += piece.data
            if len(self._package) == self._package_total:
                self._package_total = 0
                self.load(bytes(self._package))
                self._package_total = piece.total
        self._send(MessageType.LOADED, frame.seq, wire.encode_loaded(len(self._package)))

    def _unpacked(self, encoding: int, data: bytes) -> tuple[Encoding, bytes]:
        """Check and unpack one sample."""
        if encoding not in set(self.identity.encodings):
            raise WireError(ErrorCode.BAD_ENCODING, f"encoding {encoding} is not understood")
        known = Encoding(encoding)
        pixels = known in {Encoding.PIXELS, Encoding.PIXELS_DEFLATE}
        size = self.identity.input.elements if pixels else self.identity.input.nbytes
        if known in {Encoding.PIXELS_DEFLATE, Encoding.TENSOR_DEFLATE}:
            data = wire.inflate_sample(data, size)
        if len(data) != size:
            raise WireError(ErrorCode.BAD_SAMPLE, f"sample of {len(data)} bytes, expected {size}")
        return (Encoding.PIXELS if pixels else Encoding.TENSOR), data

    def _infer(self, frame: wire.Frame) -> None:
        request = wire.decode_infer(frame.payload)
        ids: list[int] = []
        ticks: list[int] = []
        scores: list[bytes] = []
        since = time.monotonic()
        for sample in request.samples:
            try:
                encoding, data = self._unpacked(request.encoding, sample.data)
            except WireError as error:
                if error.code == ErrorCode.BAD_ENCODING:
                    raise
                self.error(frame.seq, error.code, sample.id, str(error))
                continue
            spent, output = self.infer(encoding, data)
            self._counters[wire.StatKey.INFERENCES] += 1
            ids.append(sample.id)
            ticks.append(min(spent, 0xFFFFFFFF))
            scores.append(output)
            if time.monotonic() - since > _RESULT_S:
                self._results(frame.seq, ids, ticks, scores, last=False)
                since = time.monotonic()
        self._results(frame.seq, ids, ticks, scores, last=True)

    def _results(self, seq: int, ids: list[int], ticks: list[int], scores: list[bytes], *, last: bool) -> None:
        table: npt.NDArray[np.uint8] = np.frombuffer(b"".join(scores), dtype=np.uint8)
        batch = wire.ResultBatch(
            ids=np.asarray(ids, dtype=np.uint32),
            ticks=np.asarray(ticks, dtype=np.uint32),
            scores=table.reshape(len(ids), self.identity.output.nbytes),
            last=last,
        )
        self._send(MessageType.RESULT, seq, wire.encode_results(batch))
        ids.clear()
        ticks.clear()
        scores.clear()

    def _canary(self, frame: wire.Frame) -> None:
        request = wire.decode_infer(frame.payload, MessageType.CANARY)
        (sample,) = request.samples
        encoding, data = self._unpacked(request.encoding, sample.data)
        crc = zlib.crc32(self.input_tensor(encoding, data))
        ticks, scores = self.infer(encoding, data)
        self._counters[wire.StatKey.INFERENCES] += 1
        result = CanaryResult(id=sample.id, ticks=min(ticks, 0xFFFFFFFF), input_crc=crc, scores=scores)
        self._send(MessageType.CANARY_RESULT, frame.seq, wire.encode_canary_result(result))
