"""Packed samples: raw DEFLATE (RFC 1951) of stored and fixed-Huffman blocks only (PROTOCOL.md section 4)."""

from __future__ import annotations

import zlib
from typing import Final, NoReturn

from pytest_tinyml.errors import WireError
from pytest_tinyml.wire.codes import ErrorCode

_LEVEL: Final = 9
_WINDOW_BITS: Final = 15
# 4 instead of zlib's 8 keeps MNIST's 185 B per image and halves the time, most of which goes into clearing tables.
_MEM_LEVEL: Final = 4
_END_OF_BLOCK: Final = 256
_LAST_LENGTH: Final = 285
# The last code of each length (RFC 1951, 3.2.6).
_LAST_OF_7_BITS: Final = 0b0010111
_LAST_LITERAL_OF_8_BITS: Final = 0b10111111
_LAST_OF_8_BITS: Final = 0b11000111
_LAST_DISTANCE: Final = 29


def deflate_sample(data: bytes) -> bytes:
    """Pack one sample into one raw DEFLATE stream without dynamic blocks."""
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW_BITS, _MEM_LEVEL, zlib.Z_FIXED)
    return stream.compress(data) + stream.flush()


def inflate_sample(data: bytes, size: int) -> bytes:
    """Unpack one sample, as strictly as a board does; slow, for checks and for boards written in Python.

    Args:
        data: one packed sample.
        size: bytes of the sample.

    Raises:
        WireError: BAD_SAMPLE; a dynamic block, a distance before the start, bytes behind the last block, another size.
    """
    return _Inflater(data, size).run()


def _refuse(text: str) -> NoReturn:
    raise WireError(ErrorCode.BAD_SAMPLE, f"packed sample: {text}")


class _Inflater:
    """Decodes one stream, bit by bit."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size
        self._at = 0  # in bits
        self._out = bytearray()

    def run(self) -> bytes:
        """Return the whole output."""
        last = 0
        while not last:
            last = self._bits(1)
            kind = self._bits(2)
            if kind == 0:
                self._stored()
            elif kind == 1:
                self._fixed()
            else:
                _refuse(f"block of type {kind}")
        if (self._at + 7) // 8 != len(self._data):
            _refuse("bytes behind the last block")
        if len(self._out) != self._size:
            _refuse(f"expected {self._size} bytes, got {len(self._out)}")
        return bytes(self._out)

    def _bits(self, count: int) -> int:
        """Return a number of so many bits, least significant first."""
        if self._at + count > 8 * len(self._data):
            _refuse("ends too early")
        value = 0
        for index in range(count):
            at = self._at + index
            value |= (self._data[at >> 3] >> (at & 7) & 1) << index
        self._at += count
        return value

    def _code(self, count: int) -> int:
        """Return a Huffman code's next bits, most significant first."""
        value = 0
        for _ in range(count):
            value = value << 1 | self._bits(1)
        return value

    def _emit(self, data: bytes) -> None:
        if len(self._out) + len(data) > self._size:
            _refuse(f"more than {self._size} bytes")
        self._out += data

    def _stored(self) -> None:
        """RFC 1951, 3.2.4."""
        self._at = (self._at + 7) & ~7
        length = self._bits(16)
        if self._bits(16) != length ^ 0xFFFF:
            _refuse("stored block with a wrong NLEN")
        start = self._at >> 3
        if start + length > len(self._data):
            _refuse("ends too early")
        self._emit(self._data[start : start + length])
        self._at += 8 * length

    def _symbol(self) -> int:
        """RFC 1951, 3.2.6: 7 bits 256-279, 8 bits 0-143 and 280-287, 9 bits 144-255."""
        code = self._code(7)
        if code <= _LAST_OF_7_BITS:
            return 256 + code
        code = code << 1 | self._bits(1)
        if code <= _LAST_LITERAL_OF_8_BITS:
            return code - 0b00110000
        if code <= _LAST_OF_8_BITS:
            return code - 0b11000000 + 280
        return (code << 1 | self._bits(1)) - 0b110010000 + 144

    def _fixed(self) -> None:
        """RFC 1951, 3.2.5 and 3.2.6."""
        while (symbol := self._symbol()) != _END_OF_BLOCK:
            if symbol < _END_OF_BLOCK:
                self._emit(bytes((symbol,)))
                continue
            length = self._length(symbol)
            distance = self._distance()
            if distance > len(self._out):
                _refuse("distance before the start")
            if len(self._out) + length > self._size:
                _refuse(f"more than {self._size} bytes")
            for _ in range(length):
                self._out.append(self._out[-distance])

    def _length(self, symbol: int) -> int:
        if symbol > _LAST_LENGTH:
            _refuse(f"length symbol {symbol}")
        if symbol == _LAST_LENGTH:
            return 258
        if symbol < 265:  # noqa: PLR2004 - RFC 1951's table: the first eight have no extra bits
            return symbol - 254
        extra = (symbol - 261) >> 2
        return 3 + ((4 + (symbol - 265 & 3)) << extra) + self._bits(extra)

    def _distance(self) -> int:
        symbol = self._code(5)
        if symbol > _LAST_DISTANCE:
            _refuse(f"distance symbol {symbol}")
        if symbol < 4:  # noqa: PLR2004 - RFC 1951's table: the first four have no extra bits
            return symbol + 1
        extra = (symbol >> 1) - 1
        return 1 + ((2 + (symbol & 1)) << extra) + self._bits(extra)
