"""Every message of PROTOCOL.md section 3 as a record, and its payload.

IDENTITY and CANARY_RESULT are ``records.Identity`` and ``records.CanaryResult``; batches of samples and results
travel as arrays, see ``wire.batch``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import WireError
from pytest_tinyml.records import CanaryResult, Result, Sample
from pytest_tinyml.wire.batch import encode_infer_packed
from pytest_tinyml.wire.codes import NO_SAMPLE, ErrorCode, MessageType, ResetKind

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORD: Final = struct.Struct("<I")
_INFER: Final = struct.Struct("<BBH")
_SAMPLE: Final = struct.Struct("<IH")
_RESULTS: Final = struct.Struct("<HBB")
_RESULT: Final = struct.Struct("<II")
_CANARY: Final = struct.Struct("<III")
_STAT: Final = struct.Struct("<BQ")
_ERROR: Final = struct.Struct("<HI")
_LOAD: Final = struct.Struct("<II")
LOAD_BYTES: Final = _LOAD.size
"""What LOAD needs beside its data."""
_LAST: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Infer:
    """INFER and CANARY (which has exactly one sample): encoding 0 to 255, as a board may not know it."""

    encoding: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """RESULT, one record per sample; ``wire.batch.ResultBatch`` is the same as arrays."""

    results: tuple[Result, ...]
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """LOAD: a piece of a package of `total` bytes, 1 to 2^32 - 1, from `offset`; data has at least one byte."""

    offset: int
    total: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardReport:
    """ERROR: code (an ErrorCode, or a later version's number), sample id or None, text."""

    code: int
    sample_id: int | None
    text: str


def _need(condition: bool, text: str) -> None:
    if not condition:
        raise WireError(ErrorCode.BAD_PAYLOAD, text)


def encode_hello(session: int) -> bytes:
    """Return HELLO's payload; session 0 to 2^32 - 1."""
    return _WORD.pack(session)


def decode_hello(payload: bytes) -> int:
    """Return HELLO's session.

    Raises:
        WireError: BAD_PAYLOAD.
    """
    _need(len(payload) == _WORD.size, f"HELLO of {len(payload)} bytes: {_WORD.size} expected")
    return int(_WORD.unpack(payload)[0])


def encode_infer(message: Infer) -> bytes:
    """Return the payload of INFER or CANARY.

    Raises:
        ValueError: a count or a length is out of range.
    """
    ids = [sample.id for sample in message.samples]
    return encode_infer_packed(message.encoding, ids, [sample.data for sample in message.samples])


def decode_infer(payload: bytes, kind: MessageType = MessageType.INFER) -> Infer:
    """Decode INFER or CANARY.

    Raises:
        WireError: BAD_PAYLOAD. An unknown encoding is not an error of the layout.
    """
    _need(len(payload) >= _INFER.size, f"{kind.name} of {len(payload)} bytes")
    encoding, reserved, count = _INFER.unpack_from(payload)
    _need(reserved == 0 and count > 0, f"{kind.name}: reserved {reserved}, count {count}")
    _need(count == 1 or kind != MessageType.CANARY, f"CANARY with {count} samples")
    samples: list[Sample] = []
    at = _INFER.size
    for _ in range(count):
        _need(len(payload) >= at + _SAMPLE.size, f"{kind.name} ends inside sample {len(samples)} of {count}")
        number, length = _SAMPLE.unpack_from(payload, at)
        at += _SAMPLE.size
        _need(len(payload) >= at + length, f"{kind.name} ends inside sample {len(samples)} of {count}")
        samples.append(Sample(id=number, data=payload[at : at + length]))
        at += length
    _need(at == len(payload), f"{kind.name}: {len(payload) - at} bytes left over")
    return Infer(encoding=encoding, samples=tuple(samples))


def encode_result_records(message: Results) -> bytes:
    """Return RESULT's payload from records."""
    parts = [_RESULTS.pack(len(message.results), _LAST if message.last else 0, 0)]
    for result in message.results:
        parts += (_RESULT.pack(result.id, result.ticks), result.scores)
    return b"".join(parts)


def encode_canary_result(message: CanaryResult) -> bytes:
    """Return CANARY_RESULT's payload."""
    return _CANARY.pack(message.id, message.ticks, message.input_crc) + message.scores


def decode_canary_result(payload: bytes, output_nbytes: int) -> CanaryResult:
    """Decode CANARY_RESULT; output_nbytes is the size of the output tensor, from IDENTITY.

    Raises:
        WireError: BAD_PAYLOAD.
    """
    expected = _CANARY.size + output_nbytes
    _need(len(payload) == expected, f"CANARY_RESULT: expected {expected} bytes, got {len(payload)}")
    number, ticks, crc = _CANARY.unpack_from(payload)
    return CanaryResult(id=number, ticks=ticks, input_crc=crc, scores=payload[_CANARY.size :])


def encode_stats(stats: Mapping[int, int]) -> bytes:
    """Return STATS_RESULT's payload; keys 0 to 255 (StatKey), values 0 to 2^64 - 1."""
    return bytes((len(stats),)) + b"".join(_STAT.pack(key, value) for key, value in stats.items())


def decode_stats(payload: bytes) -> dict[int, int]:
    """Decode STATS_RESULT, unknown keys included; see StatKey.

    Raises:
        WireError: BAD_PAYLOAD.
    """
    _need(len(payload) >= 1, "STATS_RESULT without a count")
    expected = 1 + payload[0] * _STAT.size
    _need(len(payload) == expected, f"STATS_RESULT: expected {expected} bytes, got {len(payload)}")
    return dict(_STAT.iter_unpack(payload[1:]))


def encode_reset(kind: int) -> bytes:
    """Return the payload of RESET and RESET_DONE; kind is a ResetKind."""
    return bytes((kind,))


def decode_reset(payload: bytes) -> int:
    """Return the kind of RESET or RESET_DONE.

    Raises:
        WireError: BAD_PAYLOAD.
    """
    _need(len(payload) == 1, f"RESET of {len(payload)} bytes: 1 expected")
    _need(payload[0] in set(ResetKind), f"RESET of kind {payload[0]}")
    return payload[0]


def encode_load(message: Load) -> bytes:
    """Return LOAD's payload."""
    return _LOAD.pack(message.offset, message.total) + message.data


def decode_load(payload: bytes) -> Load:
    """Decode LOAD.

    Raises:
        WireError: BAD_PAYLOAD.
    """
    _need(len(payload) > _LOAD.size, f"LOAD of {len(payload)} bytes: more than {_LOAD.size} expected")
    offset, total = _LOAD.unpack_from(payload)
    data = payload[_LOAD.size :]
    _need(offset + len(data) <= total, f"LOAD: bytes {offset} to {offset + len(data)} of {total}")
    return Load(offset=offset, total=total, data=data)


def encode_loaded(received: int) -> bytes:
    """Return LOADED's payload: how many bytes of the package have come."""
    return _WORD.pack(received)


def decode_loaded(payload: bytes) -> int:
    """Return how many bytes of the package have come.

    Raises:
        WireError: BAD_PAYLOAD.
    """
    _need(len(payload) == _WORD.size, f"LOADED of {len(payload)} bytes: {_WORD.size} expected")
    return int(_WORD.unpack(payload)[0])


def encode_error(message: BoardReport) -> bytes:
    """Return ERROR's payload."""
    sample_id = NO_SAMPLE if message.sample_id is None else message.sample_id
    return _ERROR.pack(message.code, sample_id) + message.text.encode()


def decode_error(payload: bytes) -> BoardReport:
    """Decode ERROR; text that is not UTF-8 is shown as well as it can be, because it explains a failure.

    Raises:
        WireError: BAD_PAYLOAD.
    """
    _need(len(payload) >= _ERROR.size, f"ERROR of {len(payload)} bytes: at least {_ERROR.size} expected")
    code, sample_id = _ERROR.unpack_from(payload)
    text = payload[_ERROR.size :].decode(errors="replace")
    return BoardReport(code=code, sample_id=None if sample_id == NO_SAMPLE else sample_id, text=text)


def encode_log(text: str) -> bytes:
    """Return LOG's payload."""
    return text.encode()


def decode_log(payload: bytes) -> str:
    """Decode LOG; bytes that are not UTF-8 are replaced, as a console does."""
    return payload.decode(errors="replace")
