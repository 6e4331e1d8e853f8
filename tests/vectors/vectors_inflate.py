"""Packed samples (PROTOCOL.md section 4): streams by zlib, and others written bit by bit that zlib would not write.

What a good stream unpacks to is zlib's word, kept as size and CRC-32.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

# RFC 1951, 3.2.5: first value and extra bits of each length and distance code.
LENGTHS = [(257 + i, 3 + i, 0) for i in range(8)]
for _code in range(265, 285):
    _extra = (_code - 261) // 4
    LENGTHS.append((_code, LENGTHS[-1][1] + (1 << LENGTHS[-1][2]), _extra))
LENGTHS.append((285, 258, 0))
DISTANCES = [(0, 1, 0), (1, 2, 0)]
for _code in range(2, 30):
    DISTANCES.append((_code, DISTANCES[-1][1] + (1 << DISTANCES[-1][2]), _code // 2 - 1))


class Bits:
    """Writes a DEFLATE stream."""

    def __init__(self) -> None:
        """Start empty."""
        self.bits: list[int] = []

    def number(self, value: int, count: int) -> Bits:
        """Append a number, least significant bit first."""
        self.bits += [value >> i & 1 for i in range(count)]
        return self

    def symbol(self, value: int) -> Bits:
        """Append a literal or length symbol in the fixed code of RFC 1951, 3.2.6."""
        ranges = ((143, 8, 0x30), (255, 9, 0x190 - 144), (279, 7, -256), (287, 8, 0xC0 - 280))
        count, base = next((count, base) for last, count, base in ranges if value <= last)
        self.bits += [value + base >> i & 1 for i in reversed(range(count))]
        return self

    def distance(self, code: int, extra: int = 0, count: int = 0) -> Bits:
        """Append a distance."""
        self.bits += [code >> i & 1 for i in reversed(range(5))]
        return self.number(extra, count)

    def fixed(self, last: int = 1) -> Bits:
        """Append the head of a fixed block."""
        return self.number(last, 1).number(1, 2)

    def stored(self, data: bytes, *, last: int = 1, complement: int | None = None, length: int | None = None) -> Bits:
        """Append a stored block."""
        self.number(last, 1).number(0, 2).number(0, -len(self.bits) % 8)
        size = len(data) if length is None else length
        self.number(size, 16).number(size ^ 0xFFFF if complement is None else complement, 16)
        for byte in data:
            self.number(byte, 8)
        return self

    def done(self) -> bytes:
        """Return the stream."""
        padded = self.bits + [0] * (-len(self.bits) % 8)
        return bytes(sum(bit << i for i, bit in enumerate(padded[at : at + 8])) for at in range(0, len(padded), 8))


def fixed(data: bytes) -> bytes:
    """Return zlib's stream with fixed codes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 8, zlib.Z_FIXED)
    return packer.compress(data) + packer.flush()


def good(name: str, data: bytes) -> dict[str, Any]:
    """Return a stream that must unpack, on zlib's word."""
    unpacker = zlib.decompressobj(-15)
    out = unpacker.decompress(data) + unpacker.flush()
    if not unpacker.eof or unpacker.unused_data:
        raise AssertionError(name)
    return {"name": name, "data": data.hex(), "size": len(out), "crc32": zlib.crc32(out)}


def bad(name: str, data: bytes, size: int) -> dict[str, Any]:
    """Return a stream that must be refused."""
    return {"name": name, "data": data.hex(), "size": size, "crc32": None}


def picture(noise: Random) -> bytes:
    """Return 28 x 28 pixels, most of them black, with strokes."""
    pixels = bytearray(784)
    for row in range(5, 23):
        start, width = noise.randrange(6, 16), noise.randrange(2, 7)
        for column in range(start, start + width):
            pixels[28 * row + column] = noise.choice((253, 254, 255, noise.randrange(1, 253)))
    return bytes(pixels)


def every_code() -> bytes:
    """Return a stream with every length and distance code, each with the least and the largest extra bits."""
    bits = Bits().fixed()
    for value in range(256):
        bits.symbol(value)
    for code, _, count in LENGTHS:
        for extra in {0, (1 << count) - 1}:
            bits.symbol(code).number(extra, count).distance(7, 1, 2)
    # Now far enough from the start for the longest distance.
    for _ in range(120):
        bits.symbol(285).distance(14, 3, 6)
    for code, _, count in DISTANCES:
        for extra in {0, (1 << count) - 1}:
            bits.symbol(258).distance(code, extra, count)
    return bits.symbol(256).done()


def vectors(noise: Random) -> list[dict[str, Any]]:
    """Return all of them."""
    image, random_bytes = picture(noise), noise.randbytes(300)
    packed = fixed(image)
    dynamic = zlib.compressobj(9, zlib.DEFLATED, -15).compress(b"") + zlib.compress(image * 4, 9)[2:-4]
    if dynamic[0] >> 1 & 3 != 2:
        raise AssertionError
    stored = Bits().stored(random_bytes).done()
    early = Bits().fixed().symbol(65).symbol(257).distance(1).symbol(256).done()
    return [
        good("picture", packed),
        good("black", fixed(bytes(784))),
        good("noise", fixed(random_bytes)),
        good("nothing", fixed(b"")),
        good("one_byte", fixed(b"\xff")),
        good("every_code", every_code()),
        good("overlap", Bits().fixed().symbol(7).symbol(285).distance(0).symbol(256).done()),
        good("length_284_with_31", Bits().fixed().symbol(1).symbol(284).number(31, 5).distance(0).symbol(256).done()),
        good("stored", stored),
        good("stored_empty", Bits().stored(b"").done()),
        good("stored_then_fixed", Bits().stored(b"abc", last=0).fixed().symbol(258).distance(2).symbol(256).done()),
        good("fixed_then_stored", Bits().fixed(0).symbol(3).symbol(256).stored(b"xyz").done()),
        good("two_fixed", Bits().fixed(0).symbol(200).symbol(256).fixed().symbol(257).distance(0).symbol(256).done()),
        bad("dynamic_block", dynamic, 4 * 784),
        bad("type_3", Bits().number(1, 1).number(3, 2).done(), 0),
        bad("distance_before_start", early, 4),
        bad("distance_at_the_very_start", Bits().fixed().symbol(257).distance(0).symbol(256).done(), 3),
        bad("distance_one_too_far", Bits().stored(b"ab", last=0).fixed().symbol(257).distance(2).symbol(256).done(), 5),
        bad("distance_symbol_30", Bits().fixed().symbol(1).symbol(257).distance(30).symbol(256).done(), 4),
        bad("distance_symbol_31", Bits().fixed().symbol(1).symbol(257).distance(31).symbol(256).done(), 4),
        bad("length_symbol_286", Bits().fixed().symbol(1).symbol(286).distance(0).symbol(256).done(), 4),
        bad("length_symbol_287", Bits().fixed().symbol(1).symbol(287).distance(0).symbol(256).done(), 4),
        bad("byte_behind_the_end", packed + b"\0", 784),
        bad("no_data", b"", 0),
        bad("no_last_block", Bits().fixed(0).symbol(1).symbol(256).done(), 1),
        bad("output_too_short", packed, 785),
        bad("output_too_long", packed, 783),
        bad("match_over_the_end", Bits().fixed().symbol(1).symbol(285).distance(0).symbol(256).done(), 258),
        bad("literal_over_the_end", Bits().fixed().symbol(1).symbol(2).symbol(256).done(), 1),
        bad("stored_over_the_end", stored, 299),
        bad("stored_wrong_complement", Bits().stored(b"abc", complement=0xFFFF).done(), 3),
        bad("stored_longer_than_data", Bits().stored(b"abc", length=4).done(), 4),
        bad("stored_header_cut", Bits().stored(b"").done()[:-1], 0),
        *(bad(f"cut_after_{size}", packed[:size], 784) for size in (1, 2, len(packed) // 2, len(packed) - 1)),
    ]
