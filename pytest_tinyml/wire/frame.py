"""Frames: COBS, CRC-32 and the incremental decoder (PROTOCOL.md section 1).

COBS is "Consistent overhead byte stuffing", S. Cheshire and M. Baker, IEEE/ACM Transactions on Networking 7(2), 1999.
Encoding works on whole arrays, because a batch of raw MNIST images holds 640 zeros per image and a Python step per zero
would cost more than the inference. Decoding steps from group to group, over zeros in a row at once.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np

from pytest_tinyml.errors import WireError
from pytest_tinyml.wire.codes import PROTOCOL_VERSION, ErrorCode, MessageType

if TYPE_CHECKING:
    import numpy.typing as npt

    _Indices = npt.NDArray[np.intp]

_HEADER: Final = struct.Struct("<BBH")
_CRC: Final = struct.Struct("<I")
_OVERHEAD: Final = _HEADER.size + _CRC.size
_FULL: Final = 254  # data bytes of a group without an implied zero
_KNOWN_TYPES: Final = frozenset(int(t) for t in MessageType)
DEFAULT_MAX_FRAME: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame whose COBS, length, CRC, version and type were checked; the payload's layout was not."""

    type: MessageType
    seq: int
    payload: bytes


def cobs_encode(data: bytes) -> bytes:
    """Return the COBS encoding of any bytes, without the delimiter: 1 to ``len(data) // 254 + 1`` bytes longer."""
    return _cobs_with_delimiter(b"".join((b"\0", data, b"\0")))[:-1]


def _cobs_with_delimiter(padded: bytes) -> bytes:
    """Encode ``padded[1:-1]``; the zeros at both ends stand for the first code byte and the delimiter."""
    source = np.frombuffer(padded, dtype=np.uint8)
    zero = source == 0
    # A zero in front of a zero becomes code 1; only those in front of other bytes need their run's length.
    flat: npt.NDArray[np.uint8] = source | zero.view(np.uint8)
    flat[-1] = 0
    starts = np.flatnonzero(zero[:-1] > zero[1:])
    lengths = np.flatnonzero(zero[1:] > zero[:-1]) - starts
    if lengths.size == 0 or lengths.max() < _FULL:
        flat[starts] = lengths + 1
        return flat.tobytes()
    return _split_long_runs(flat, starts, lengths)


def _split_long_runs(flat: npt.NDArray[np.uint8], starts: _Indices, lengths: _Indices) -> bytes:
    """Insert the additional code bytes of runs of 254 and more bytes without a zero."""
    extra = lengths // _FULL
    if starts[-1] + lengths[-1] == flat.size - 2 and lengths[-1] % _FULL == 0:
        # A full group that ends the data needs no further code byte: no zero follows it.
        extra[-1] -= 1
    last = lengths - extra * _FULL + 1
    flat[starts] = np.where(extra > 0, _FULL + 1, last)
    owner = np.repeat(np.arange(len(starts)), extra)
    nth = np.arange(owner.size) - np.repeat(np.cumsum(extra) - extra, extra) + 1
    codes = np.where(nth == extra[owner], last[owner], _FULL + 1).astype(np.uint8)
    return bytes(np.insert(flat, starts[owner] + 1 + nth * _FULL, codes).tobytes())


def cobs_decode(encoded: bytes) -> bytes:
    """Undo cobs_encode.

    Args:
        encoded: without the delimiter; empty is malformed.

    Raises:
        WireError: BAD_FRAME; a zero inside, or a group that ends behind the data.
    """
    size = len(encoded)
    if size == 0 or b"\0" in encoded:
        raise WireError(ErrorCode.BAD_FRAME, "COBS: empty, or a zero inside")
    flat = np.frombuffer(encoded, dtype=np.uint8).copy()
    one = flat == 1
    # Zeros in a row are code bytes 1 in a row: one step takes them all, which pays where there are many.
    many = np.count_nonzero(one) * 4 > size
    ends = [*(np.flatnonzero(one[:-1] > one[1:]) + 1).tolist(), size] if many else []
    run = 0
    starts: list[int] = []
    stops: list[int] = []
    codes: list[int] = []
    dropped = [0]
    at = 0
    while at < size:
        code = encoded[at]
        if code == 1 and many:
            while ends[run] <= at:
                run += 1
            starts.append(at)
            at = ends[run]
            stops.append(at)
            continue
        codes.append(at)
        at += code
        if code == _FULL + 1 and at < size:
            dropped.append(at)
    if at != size:
        raise WireError(ErrorCode.BAD_FRAME, f"COBS: the last group ends {at - size} bytes behind the data")
    if many:
        inside = np.zeros(size + 1, dtype=np.int8)
        inside[starts] = 1
        inside[stops] = -1
        flat[np.cumsum(inside[:-1], dtype=np.int8).view(np.bool_)] = 0
    flat[codes] = 0
    return flat[1:].tobytes() if len(dropped) == 1 else np.delete(flat, dropped).tobytes()


def encode_frame(kind: int, seq: int, payload: bytes, *, version: int = PROTOCOL_VERSION) -> bytes:
    """Return a frame as it travels, delimiter included.

    Args:
        kind: message type, 0 to 255.
        seq: 0 to 65535.
        payload: of that type.
        version: other than the protocol's only in tests.
    """
    head = _HEADER.pack(version, kind, seq)
    crc = _CRC.pack(crc32(payload, crc32(head)))
    return _cobs_with_delimiter(b"".join((b"\0", head, payload, crc, b"\0")))


def decode_frame(encoded: bytes) -> Frame:
    """Decode one frame, delimiter excluded.

    Raises:
        WireError: BAD_FRAME, BAD_VERSION or UNKNOWN_TYPE, in the order of PROTOCOL.md section 1.
    """
    body = cobs_decode(encoded)
    if len(body) < _OVERHEAD:
        raise WireError(ErrorCode.BAD_FRAME, f"body of {len(body)} bytes: at least {_OVERHEAD} expected")
    view = memoryview(body)
    (expected,) = _CRC.unpack_from(body, len(body) - _CRC.size)
    got = crc32(view[: -_CRC.size])
    if got != expected:
        raise WireError(ErrorCode.BAD_FRAME, f"CRC: expected {expected:08x}, got {got:08x}")
    version, kind, seq = _HEADER.unpack_from(body)
    if version != PROTOCOL_VERSION:
        raise WireError(ErrorCode.BAD_VERSION, f"protocol version {version}: this is {PROTOCOL_VERSION}", seq)
    if kind not in _KNOWN_TYPES:
        raise WireError(ErrorCode.UNKNOWN_TYPE, f"message type 0x{kind:02x}", seq)
    return Frame(type=MessageType(kind), seq=seq, payload=bytes(view[_HEADER.size : -_CRC.size]))


def max_encoded_size(payload_bytes: int) -> int:
    """Return the most bytes that a frame with such a payload can take, delimiter included."""
    body = payload_bytes + _OVERHEAD
    return body + (body + _FULL - 1) // _FULL + 1


def max_payload_size(max_frame: int) -> int:
    """Return the largest payload whose frame never exceeds ``max_frame`` encoded bytes; 0 if none fits."""
    body = (max_frame - 1) * _FULL // (_FULL + 1)
    while body + _OVERHEAD >= 0 and max_encoded_size(body - _OVERHEAD + 1) <= max_frame:
        body += 1
    return max(0, body - _OVERHEAD)


class FrameDecoder:
    """Cuts a stream of bytes into frames; survives any bytes.

    Args:
        max_frame: bound on an encoded frame, delimiter included. A longer one is dropped and reported once, as soon as
            the bound is exceeded; decoding goes on behind the next 0x00.
    """

    def __init__(self, max_frame: int = DEFAULT_MAX_FRAME) -> None:
        """Start at a frame's beginning."""
        self._max_frame = max_frame
        self._pending: list[bytes] = []
        self._size = 0
        self._skipping = False

    def reset(self) -> None:
        """Forget a frame that is not complete."""
        self._pending.clear()
        self._size, self._skipping = 0, False

    def feed(self, data: bytes) -> list[Frame | WireError]:
        """Take received bytes; return what they complete, in order: frames, and errors for what had to be dropped."""
        found: list[Frame | WireError] = []
        *complete, rest = bytes(data).split(b"\0")
        for piece in complete:
            self._take(piece, found)
            if self._size and not self._skipping:
                try:
                    found.append(decode_frame(b"".join(self._pending)))
                except WireError as error:
                    found.append(error)
            self.reset()
        self._take(rest, found)
        return found

    def _take(self, piece: bytes, found: list[Frame | WireError]) -> None:
        """Add bytes without a zero to the frame that is being received."""
        if self._skipping or not piece:
            return
        self._pending.append(piece)
        self._size += len(piece)
        if self._size + 1 > self._max_frame:
            self._pending.clear()
            self._skipping = True
            found.append(WireError(ErrorCode.TOO_LARGE, f"frame of more than {self._max_frame} bytes"))
