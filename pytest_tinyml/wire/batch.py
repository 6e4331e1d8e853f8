"""Batches as arrays: INFER payloads out of arrays, RESULT payloads into arrays, without a Python step per sample."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.errors import WireError
from pytest_tinyml.wire.codes import MAX_COUNT, MAX_SAMPLE_BYTES, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_HEAD: Final = struct.Struct("<BBH")
_SAMPLE: Final = struct.Struct("<IH")
_RESULT_HEAD: Final = struct.Struct("<HBB")
_LAST: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResultBatch:
    """One RESULT message.

    Attributes:
        ids: uint32 [N], the samples' ids in the order of the answers.
        ticks: uint32 [N], time of each inference in the board's ticks, saturating.
        scores: uint8 [N, output_nbytes], each row an output tensor's bytes as the engine left them.
        last: the request is complete.
    """

    ids: npt.NDArray[np.uint32]
    ticks: npt.NDArray[np.uint32]
    scores: npt.NDArray[np.uint8]
    last: bool


@lru_cache(maxsize=64)
def _result_dtype(output_nbytes: int) -> np.dtype[np.void]:
    return np.dtype([("id", "<u4"), ("ticks", "<u4"), ("scores", "u1", (output_nbytes,))])


@lru_cache(maxsize=64)
def _sample_dtype(nbytes: int) -> np.dtype[np.void]:
    return np.dtype([("id", "<u4"), ("length", "<u2"), ("data", "u1", (nbytes,))])


def _check_batch(count: int, longest: int) -> None:
    if not 0 < count <= MAX_COUNT:
        msg = f"a batch holds 1 to {MAX_COUNT} samples, not {count}"
        raise ValueError(msg)
    if longest > MAX_SAMPLE_BYTES:
        msg = f"an encoded sample holds at most {MAX_SAMPLE_BYTES} bytes, not {longest}"
        raise ValueError(msg)


def encode_infer_rows(encoding: int, ids: npt.NDArray[np.integer], rows: npt.NDArray[np.uint8]) -> bytes:
    """Return the INFER payload of samples of equal length (PIXELS, TENSOR).

    Args:
        encoding: of all samples, an Encoding.
        ids: integers [N], 0 to 2^32 - 1, N 1 to 65535.
        rows: uint8 [N, bytes of one sample, at most 65535].

    Raises:
        ValueError: N or the samples' length is out of range, or ids and rows differ in N.
    """
    count, nbytes = rows.shape
    _check_batch(count, nbytes)
    if len(ids) != count:
        msg = f"{len(ids)} ids for {count} samples"
        raise ValueError(msg)
    packed = np.empty(count, dtype=_sample_dtype(nbytes))
    packed["id"] = ids
    packed["length"] = nbytes
    packed["data"] = rows
    return _HEAD.pack(encoding, 0, count) + packed.tobytes()


def encode_infer_packed(encoding: int, ids: Sequence[int], samples: Sequence[bytes]) -> bytes:
    """Return the INFER (or, with one sample, CANARY) payload of samples of any lengths.

    Args:
        encoding: of all samples, an Encoding.
        ids: 0 to 2^32 - 1; 1 to 65535 of them.
        samples: encoded, at most 65535 bytes each.

    Raises:
        ValueError: a count or a length is out of range, or the counts differ.
    """
    _check_batch(len(samples), max(map(len, samples), default=0))
    pack = _SAMPLE.pack
    parts = [_HEAD.pack(encoding, 0, len(samples))]
    for number, data in zip(ids, samples, strict=True):
        parts += (pack(number, len(data)), data)
    return b"".join(parts)


def encode_results(batch: ResultBatch) -> bytes:
    """Return the RESULT payload of a batch: what a board that is written in Python sends."""
    count, nbytes = batch.scores.shape
    packed = np.empty(count, dtype=_result_dtype(nbytes))
    packed["id"], packed["ticks"], packed["scores"] = batch.ids, batch.ticks, batch.scores
    return _RESULT_HEAD.pack(count, _LAST if batch.last else 0, 0) + packed.tobytes()


def decode_results(payload: bytes, output_nbytes: int) -> ResultBatch:
    """Decode a RESULT payload.

    Args:
        payload: of one frame.
        output_nbytes: bytes of the output tensor, from IDENTITY.

    Raises:
        WireError: BAD_PAYLOAD; not exactly ``count`` results, or reserved bits set.
    """
    if len(payload) < _RESULT_HEAD.size:
        raise WireError(ErrorCode.BAD_PAYLOAD, f"RESULT of {len(payload)} bytes")
    count, flags, reserved = _RESULT_HEAD.unpack_from(payload)
    dtype = _result_dtype(output_nbytes)
    expected = _RESULT_HEAD.size + count * dtype.itemsize
    if flags & ~_LAST or reserved or len(payload) != expected:
        raise WireError(
            ErrorCode.BAD_PAYLOAD,
            f"RESULT of {count} samples: expected {expected} bytes, got {len(payload)}; flags {flags}, "
            f"reserved {reserved}",
        )
    table = np.frombuffer(payload, dtype=dtype, count=count, offset=_RESULT_HEAD.size)
    return ResultBatch(
        ids=np.ascontiguousarray(table["id"], dtype=np.uint32),
        ticks=np.ascontiguousarray(table["ticks"], dtype=np.uint32),
        scores=np.ascontiguousarray(table["scores"]),
        last=bool(flags & _LAST),
    )
