"""IDENTITY: what a board says it is (PROTOCOL.md section 3)."""

from __future__ import annotations

import math
import struct
from typing import Final, NoReturn

from pytest_tinyml.errors import WireError
from pytest_tinyml.records import Clock, DType, Encoding, Identity, TensorSpec
from pytest_tinyml.wire.codes import ErrorCode

_FIXED: Final = struct.Struct("<IBBHI II IIII 32s32s")
_TENSOR: Final = struct.Struct("<BBHfi")
MAX_RANK: Final = 6
"""Most dimensions of a tensor."""
_LOADS: Final = 1
"""Bit of ``features``."""
_MAX_TEXT: Final = 255
_DTYPES: Final[dict[int, DType]] = {1: "int8", 2: "uint8", 3: "int16", 4: "float32"}
DTYPE_CODES: Final = {name: code for code, name in _DTYPES.items()}


def _refuse(text: str) -> NoReturn:
    raise WireError(ErrorCode.BAD_PAYLOAD, f"IDENTITY: {text}")


def _encode_tensor(tensor: TensorSpec) -> bytes:
    rank = len(tensor.shape)
    head = _TENSOR.pack(DTYPE_CODES[tensor.dtype], rank, 0, tensor.scale, tensor.zero_point)
    return head + struct.pack(f"<{rank}I", *tensor.shape)


def _encode_text(text: str) -> bytes:
    data = text.encode()
    if len(data) > _MAX_TEXT:
        msg = f"{text!r} is longer than {_MAX_TEXT} bytes"
        raise ValueError(msg)
    return bytes((len(data),)) + data


def encode_identity(identity: Identity) -> bytes:
    """Return IDENTITY's payload.

    Raises:
        ValueError: a text is longer than 255 bytes, or a hash is not 64 hex digits.
    """
    hashes = bytes.fromhex(identity.firmware_sha256), bytes.fromhex(identity.model_sha256)
    if {len(digest) for digest in hashes} != {32}:
        msg = "a SHA-256 has 64 hex digits"
        raise ValueError(msg)
    fixed = _FIXED.pack(
        identity.session,
        identity.clock,
        sum(1 << encoding for encoding in identity.encodings),
        _LOADS if identity.loads_models else 0,
        identity.tick_hz,
        identity.rx_window,
        identity.max_frame,
        identity.arena_used,
        identity.arena_capacity,
        identity.flash_bytes,
        identity.ram_bytes,
        *hashes,
    )
    texts = (
        identity.firmware_version,
        identity.board,
        identity.chip,
        identity.engine,
        identity.model,
        identity.preprocess,
    )
    return b"".join(
        (fixed, _encode_tensor(identity.input), _encode_tensor(identity.output), *map(_encode_text, texts)),
    )


class _Reader:
    """Takes fields off a payload; what is missing is malformed."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self._at = payload, 0

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        data = self._payload[self._at : self._at + size]
        if len(data) != size:
            _refuse(f"ends after {len(self._payload)} bytes")
        self._at += size
        return data

    def text(self) -> str:
        """Return the next str8."""
        data = self.take(self.take(1)[0])
        try:
            return data.decode()
        except UnicodeDecodeError:
            _refuse(f"{data!r} is not UTF-8")

    def tensor(self) -> TensorSpec:
        """Return the next tensor."""
        code, rank, reserved, scale, zero_point = _TENSOR.unpack(self.take(_TENSOR.size))
        if code not in _DTYPES or not 1 <= rank <= MAX_RANK or reserved or not math.isfinite(scale):
            _refuse(f"tensor of dtype {code}, rank {rank}, reserved {reserved}, scale {scale}")
        shape = struct.unpack(f"<{rank}I", self.take(4 * rank))
        if shape[0] != 1 or 0 in shape:
            _refuse(f"tensor of shape {shape}: one non-empty sample expected")
        return TensorSpec(dtype=_DTYPES[code], shape=shape, scale=scale, zero_point=zero_point)

    def end(self) -> None:
        """Refuse bytes left over."""
        if self._at != len(self._payload):
            _refuse(f"{len(self._payload) - self._at} bytes left over")


def decode_identity(payload: bytes) -> Identity:
    """Decode IDENTITY; encodings and features that this version does not know are left out.

    Raises:
        WireError: BAD_PAYLOAD.
    """
    reader = _Reader(payload)
    (
        session,
        clock,
        encodings,
        features,
        tick_hz,
        rx_window,
        max_frame,
        arena_used,
        arena_capacity,
        flash,
        ram,
        firmware_sha256,
        model_sha256,
    ) = _FIXED.unpack(reader.take(_FIXED.size))
    if clock not in set(Clock):
        _refuse(f"clock {clock}")
    identity = Identity(
        session=session,
        clock=Clock(clock),
        tick_hz=tick_hz,
        encodings=frozenset(encoding for encoding in Encoding if encodings >> encoding & 1),
        rx_window=rx_window,
        max_frame=max_frame,
        arena_used=arena_used,
        arena_capacity=arena_capacity,
        flash_bytes=flash,
        ram_bytes=ram,
        firmware_sha256=firmware_sha256.hex(),
        model_sha256=model_sha256.hex(),
        input=reader.tensor(),
        output=reader.tensor(),
        firmware_version=reader.text(),
        board=reader.text(),
        chip=reader.text(),
        engine=reader.text(),
        model=reader.text(),
        preprocess=reader.text(),
        loads_models=bool(features & _LOADS),
    )
    reader.end()
    return identity
