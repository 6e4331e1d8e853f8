"""Streams of bytes and what a receiver makes of them (PROTOCOL.md section 1)."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from cobs import cobs

BAD_FRAME, BAD_VERSION, UNKNOWN_TYPE, TOO_LARGE = 1, 2, 3, 5
ECHO, HELLO = 6, 1


def body(kind: int, seq: int, payload: bytes, version: int = 1) -> bytes:
    """Return a frame's body with its CRC."""
    covered = struct.pack("<BBH", version, kind, seq) + payload
    return covered + struct.pack("<I", zlib.crc32(covered))


def frame(kind: int, seq: int, payload: bytes, version: int = 1) -> bytes:
    """Return an encoded frame, delimiter included."""
    return bytes(cobs.encode(body(kind, seq, payload, version))) + b"\0"


def without_zeros(size: int) -> bytes:
    """Return the payload of an ECHO whose whole body, CRC included, has `size` bytes and no zero."""
    for first in range(1, 256):
        payload = bytes((first,)) + bytes(1 + i % 255 for i in range(size - 9))
        if 0 not in body(ECHO, 0x0101, payload):
            return payload
    raise AssertionError(size)


def good(kind: int, seq: int, payload: bytes) -> dict[str, Any]:
    """Return the event of a well-formed frame."""
    return {"type": kind, "seq": seq, "payload": payload.hex()}


def bad(error: int, seq: int = 0) -> dict[str, Any]:
    """Return the event of a dropped frame."""
    return {"error": error, "seq": seq}


def stream(
    name: str, data: bytes, *events: dict[str, Any], max_frame: int = 4096, canonical: bool = False
) -> dict[str, Any]:
    """Return one vector; canonical: encoding the single event's frame gives exactly these bytes."""
    return {
        "name": name,
        "max_frame": max_frame,
        "canonical": canonical,
        "stream": data.hex(),
        "events": list(events),
    }


def well_formed() -> list[dict[str, Any]]:
    """Return frames that any encoder must produce exactly so."""
    payloads = {
        "empty": (0, b""),
        "one_zero": (1, b"\0"),
        "zeros": (0xFFFF, bytes(40)),
        "zeros_inside": (258, b"\x01\0\0\x02\0\xff"),
        "every_byte": (7, bytes(range(256)) * 2),
        "run_then_zero": (9, b"\x01" * 300 + b"\0" + b"\x02" * 600 + b"\0\0"),
    }
    vectors = [
        stream(name, frame(ECHO, seq, payload), good(ECHO, seq, payload), canonical=True)
        for name, (seq, payload) in payloads.items()
    ]
    # Around the largest group of COBS, the body ending with it or just before or behind it.
    for size in (252, 253, 254, 255, 256, 507, 508, 509, 762, 763):
        payload = without_zeros(size)
        encoded = frame(ECHO, 0x0101, payload)
        vectors.append(stream(f"body_of_{size}_without_zero", encoded, good(ECHO, 0x0101, payload), canonical=True))
    return vectors


def damaged() -> list[dict[str, Any]]:
    """Return streams with frames that must be dropped."""
    hello = frame(HELLO, 3, b"\x01\x02\x03\x04")
    ok = good(HELLO, 3, b"\x01\x02\x03\x04")
    flipped = bytearray(body(ECHO, 5, b"abcdef"))
    flipped[6] ^= 0x01
    short = struct.pack("<BBB", 1, ECHO, 5)
    short += struct.pack("<I", zlib.crc32(short))
    both = bytearray(body(0x7F, 5, b"abc", version=2))
    both[4] ^= 0x80
    full = without_zeros(254)
    return [
        stream("crc_wrong", cobs.encode(bytes(flipped)) + b"\0" + hello, bad(BAD_FRAME), ok),
        stream("last_group_too_long", b"\x09\x01\x06\0" + hello, bad(BAD_FRAME), ok),
        stream("cut_in_the_middle", hello[: len(hello) // 2] + b"\0" + hello, bad(BAD_FRAME), ok),
        stream("seven_bytes_with_a_good_crc", cobs.encode(short) + b"\0" + hello, bad(BAD_FRAME), ok),
        stream("only_a_code_byte", b"\x01\0" + hello, bad(BAD_FRAME), ok),
        stream("noise", b"\x55\xaa\x0d\x0aets Jun  8 2016\0" + hello, bad(BAD_FRAME), ok),
        stream("version_2", frame(ECHO, 0x1234, b"x", version=2) + hello, bad(BAD_VERSION, 0x1234), ok),
        stream("unknown_type", frame(0x7F, 0x4321, b"x") + hello, bad(UNKNOWN_TYPE, 0x4321), ok),
        stream("version_before_type", frame(0x7F, 9, b"x", version=0) + hello, bad(BAD_VERSION, 9), ok),
        stream("crc_before_version", cobs.encode(bytes(both)) + b"\0" + hello, bad(BAD_FRAME), ok),
        stream("zeros_before_and_between", b"\0\0\0" + hello + b"\0\0" + hello, ok, ok),
        stream("nothing_but_zeros", bytes(9)),
        stream("not_finished", hello[:-1]),
        # A decoder accepts a needless empty group behind a full one, though no encoder here writes it.
        stream("needless_last_group", frame(ECHO, 0x0101, full)[:-1] + b"\x01\0", good(ECHO, 0x0101, full)),
    ]


def sizes() -> list[dict[str, Any]]:
    """Return streams around the longest frame that a receiver takes."""
    fits = frame(ECHO, 1, b"\x07" * 54)
    longer = frame(ECHO, 1, b"\x07" * 55)
    ok = good(ECHO, 1, b"\x07" * 54)
    limit = len(fits)
    return [
        stream("exactly_max_frame", fits, ok, max_frame=limit),
        stream("one_byte_too_long", longer + fits, bad(TOO_LARGE), ok, max_frame=limit),
        stream("far_too_long_reported_once", b"\x11" * 500 + b"\0" + fits, bad(TOO_LARGE), ok, max_frame=limit),
        stream("too_long_and_no_end", b"\x01" * 500, bad(TOO_LARGE), max_frame=limit),
        stream("two_too_long", longer + longer + fits, bad(TOO_LARGE), bad(TOO_LARGE), ok, max_frame=limit),
    ]


def vectors() -> list[dict[str, Any]]:
    """Return all of them."""
    return well_formed() + damaged() + sizes()
