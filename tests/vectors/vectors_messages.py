"""Payloads of PROTOCOL.md section 3, with the fields that they carry or the error that they are."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

HELLO, INFER, CANARY, STATS, RESET, ECHO, LOAD = 1, 2, 3, 4, 5, 6, 7
IDENTITY, RESULT, CANARY_RESULT, STATS_RESULT, RESET_DONE, LOADED = 0x81, 0x82, 0x83, 0x84, 0x85, 0x87
LOG, ERROR = 0xF0, 0xFF
BAD_PAYLOAD = 4
OUTPUT_BYTES = 10


def text(value: str) -> bytes:
    """Return a str8."""
    return struct.pack("<B", len(value.encode())) + value.encode()


def tensor(fields: dict[str, Any]) -> bytes:
    """Return a tensor."""
    code = {"int8": 1, "uint8": 2, "int16": 3, "float32": 4}[fields["dtype"]]
    dims = fields["dims"]
    head = struct.pack("<BBHfi", code, len(dims), 0, fields["scale"], fields["zero_point"])
    return head + b"".join(struct.pack("<I", dim) for dim in dims)


def identity(fields: dict[str, Any]) -> bytes:
    """Return IDENTITY's payload."""
    numbers = ("session", "clock", "encodings", "features", "tick_hz", "rx_window", "max_frame")
    sizes = ("arena_used", "arena_capacity", "flash", "ram")
    payload = struct.pack("<IBBHIII", *(fields[name] for name in numbers))
    payload += struct.pack("<IIII", *(fields[name] for name in sizes))
    payload += bytes.fromhex(fields["firmware_sha256"]) + bytes.fromhex(fields["model_sha256"])
    payload += tensor(fields["input"]) + tensor(fields["output"])
    names = ("firmware_version", "board", "chip", "engine", "model", "preprocess")
    return payload + b"".join(text(fields[name]) for name in names)


def typical() -> dict[str, Any]:
    """Return the fields of an ESP32's IDENTITY."""
    return {
        "session": 0xDEADBEEF,
        "clock": 2,
        "encodings": 0b1111,
        "features": 1,
        "tick_hz": 240_000_000,
        "rx_window": 8192,
        "max_frame": 4096,
        "arena_used": 31_744,
        "arena_capacity": 65_536,
        "flash": 312_345,
        "ram": 98_304,
        "firmware_sha256": hashlib.sha256(b"firmware").hexdigest(),
        "model_sha256": hashlib.sha256(b"model").hexdigest(),
        "input": {"dtype": "int8", "dims": [1, 28, 28, 1], "scale": 0.00390625, "zero_point": -128},
        "output": {"dtype": "int8", "dims": [1, 10], "scale": 0.125, "zero_point": 3},
        "firmware_version": "0.1.0",
        "board": "esp32cam",
        "chip": "ESP32-D0WDQ6 (revision v1.1)",
        "engine": "tflm",
        "model": "s0-ptq",
        "preprocess": "lut",
    }


def smallest() -> dict[str, Any]:
    """Return the fields of an IDENTITY with empty names, rank 1 and 6, and types other than int8."""
    fields = {key: 0 if isinstance(value, int) else value for key, value in typical().items()}
    return fields | {
        "clock": 3,
        "encodings": 0b0100,
        "input": {"dtype": "float32", "dims": [1, 2, 3, 4, 5, 6], "scale": 0.0, "zero_point": 0},
        "output": {"dtype": "int16", "dims": [1], "scale": 2.0**-15, "zero_point": 0},
        "firmware_version": "",
        "board": "",
        "chip": "µC",
        "engine": "",
        "model": "x" * 63,
        "preprocess": "none",
    }


def samples(encoding: int, entries: list[tuple[int, bytes]], count: int | None = None, reserved: int = 0) -> bytes:
    """Return the payload of INFER or CANARY."""
    head = struct.pack("<BBH", encoding, reserved, len(entries) if count is None else count)
    return head + b"".join(struct.pack("<IH", number, len(data)) + data for number, data in entries)


def results(entries: list[tuple[int, int, bytes]], flags: int, count: int | None = None, reserved: int = 0) -> bytes:
    """Return RESULT's payload."""
    head = struct.pack("<HBB", len(entries) if count is None else count, flags, reserved)
    return head + b"".join(struct.pack("<II", number, ticks) + scores for number, ticks, scores in entries)


def good(name: str, kind: int, payload: bytes, **fields: Any) -> dict[str, Any]:
    """Return a well-formed message."""
    return {"name": name, "type": kind, "payload": payload.hex(), "fields": fields}


def bad(name: str, kind: int, payload: bytes) -> dict[str, Any]:
    """Return a malformed message."""
    return {"name": name, "type": kind, "payload": payload.hex(), "error": BAD_PAYLOAD}


def to_board() -> list[dict[str, Any]]:
    """Return the host's requests."""
    digits = [(0, b"\x01\x02\x03"), (0xFFFFFFFE, b""), (27_999, bytes(range(200)))]
    listed = [{"id": number, "data": data.hex()} for number, data in digits]
    infer = samples(1, digits)
    piece = bytes(range(200))
    return [
        good("hello", HELLO, struct.pack("<I", 0x01020304), session=0x01020304),
        bad("hello_short", HELLO, b"\1\2\3"),
        bad("hello_long", HELLO, b"\1\2\3\4\5"),
        good("infer", INFER, infer, encoding=1, samples=listed),
        good("infer_one", INFER, samples(0, digits[:1]), encoding=0, samples=listed[:1]),
        # An encoding that a board does not know is BAD_ENCODING, not a matter of the layout.
        good("infer_encoding_200", INFER, samples(200, digits[:1]), encoding=200, samples=listed[:1]),
        bad("infer_empty", INFER, b""),
        bad("infer_short_header", INFER, b"\0\0\1"),
        bad("infer_count_0", INFER, samples(0, [])),
        bad("infer_reserved", INFER, samples(0, digits, reserved=1)),
        bad("infer_count_too_large", INFER, samples(0, digits, count=4)),
        bad("infer_count_too_small", INFER, samples(0, digits, count=2)),
        bad("infer_left_over", INFER, infer + b"\0"),
        bad("infer_cut_in_data", INFER, infer[:-1]),
        bad("infer_cut_in_header", INFER, infer[:7]),
        bad("infer_length_beyond_end", INFER, struct.pack("<BBHIH", 0, 0, 1, 5, 0xFFFF) + b"abc"),
        # A reader that went on behind this length would look for the second sample outside.
        bad("infer_length_one_too_far", INFER, struct.pack("<BBHIH", 0, 0, 2, 5, 4) + b"abc"),
        good("canary", CANARY, samples(2, digits[:1]), encoding=2, samples=listed[:1]),
        bad("canary_with_two", CANARY, samples(2, digits[:2])),
        bad("canary_with_none", CANARY, samples(2, [])),
        good("reset_engine", RESET, b"\0", reset=0),
        good("reset_board", RESET, b"\1", reset=1),
        bad("reset_kind_2", RESET, b"\2"),
        bad("reset_empty", RESET, b""),
        bad("reset_long", RESET, b"\0\0"),
        good("load", LOAD, struct.pack("<II", 4096, 5000) + piece, offset=4096, total=5000, data=piece.hex()),
        good("load_to_the_end", LOAD, struct.pack("<II", 7, 207) + piece, offset=7, total=207, data=piece.hex()),
        good("load_one", LOAD, struct.pack("<II", 0, 1) + b"x", offset=0, total=1, data="78"),
        bad("load_empty", LOAD, b""),
        bad("load_without_data", LOAD, struct.pack("<II", 0, 200)),
        bad("load_beyond_total", LOAD, struct.pack("<II", 8, 207) + piece),
        bad("load_offset_beyond_total", LOAD, struct.pack("<II", 0xFFFFFFFF, 207) + piece),
    ]


def identities() -> list[dict[str, Any]]:
    """Return IDENTITY, well-formed and not."""
    fields, whole = typical(), identity(typical())
    other = {
        "clock_0": fields | {"clock": 0},
        "clock_4": fields | {"clock": 4},
        "no_dims": fields | {"input": fields["input"] | {"dims": []}},
        "seven_dims": fields | {"input": fields["input"] | {"dims": [1] * 7}},
        "batch_2": fields | {"output": fields["output"] | {"dims": [2, 10]}},
        "dim_0": fields | {"output": fields["output"] | {"dims": [1, 0]}},
    }
    at_dtype = 4 + 8 + 8 + 16 + 64
    return [
        good("identity", IDENTITY, whole, **fields),
        good("identity_smallest", IDENTITY, identity(smallest()), **smallest()),
        *(bad(f"identity_{name}", IDENTITY, identity(changed)) for name, changed in other.items()),
        bad("identity_dtype_5", IDENTITY, whole[:at_dtype] + b"\5" + whole[at_dtype + 1 :]),
        bad("identity_tensor_reserved", IDENTITY, whole[: at_dtype + 2] + b"\1" + whole[at_dtype + 3 :]),
        bad("identity_cut", IDENTITY, whole[:-1]),
        bad("identity_left_over", IDENTITY, whole + b"\0"),
        bad("identity_not_utf8", IDENTITY, whole[:-3] + b"\xff\xfe\xfd"),
        bad("identity_empty", IDENTITY, b""),
    ]


def from_board() -> list[dict[str, Any]]:
    """Return the board's other messages."""
    scores = [bytes(range(i, i + OUTPUT_BYTES)) for i in (0, 100, 240)]
    entries = [(5, 1, scores[0]), (0, 0xFFFFFFFF, scores[1]), (27_999, 123_456, scores[2])]
    listed = [{"id": number, "ticks": ticks, "scores": data.hex()} for number, ticks, data in entries]
    stats = [(1, 123_456), (2, 28_000), (6, 2**63 + 5), (200, 7)]
    packed = b"".join(struct.pack("<BQ", *stat) for stat in stats)
    canary = struct.pack("<III", 7, 99, 0xCAFEBABE) + scores[0]
    error = struct.pack("<HI", 7, 12)
    return [
        good("result", RESULT, results(entries, 0), results=listed, last=False),
        good("result_last", RESULT, results(entries[:1], 1), results=listed[:1], last=True),
        good("result_none_last", RESULT, results([], 1), results=[], last=True),
        bad("result_flag_2", RESULT, results(entries, 2)),
        bad("result_reserved", RESULT, results(entries, 1, reserved=1)),
        bad("result_count_too_large", RESULT, results(entries, 1, count=4)),
        bad("result_count_too_small", RESULT, results(entries, 1, count=2)),
        bad("result_cut", RESULT, results(entries, 1)[:-1]),
        bad("result_header_cut", RESULT, b"\0\0\0"),
        good("canary_result", CANARY_RESULT, canary, id=7, ticks=99, input_crc=0xCAFEBABE, scores=scores[0].hex()),
        bad("canary_result_cut", CANARY_RESULT, canary[:-1]),
        bad("canary_result_left_over", CANARY_RESULT, canary + b"\0"),
        good("stats_result", STATS_RESULT, b"\4" + packed, stats=stats),
        good("stats_result_none", STATS_RESULT, b"\0", stats=[]),
        bad("stats_result_empty", STATS_RESULT, b""),
        bad("stats_result_cut", STATS_RESULT, b"\4" + packed[:-1]),
        bad("stats_result_left_over", STATS_RESULT, b"\3" + packed),
        good("reset_done", RESET_DONE, b"\1", reset=1),
        good("loaded", LOADED, struct.pack("<I", 5000), received=5000),
        bad("loaded_short", LOADED, b"\0\0\0"),
        good("error", ERROR, error + "größer".encode(), code=7, sample_id=12, text="größer"),
        good("error_no_text", ERROR, struct.pack("<HI", 1, 0xFFFFFFFF), code=1, sample_id=0xFFFFFFFF, text=""),
        bad("error_cut", ERROR, error[:-1]),
        good("log", LOG, "I (25) boot: µ".encode(), text="I (25) boot: µ"),
    ]


def vectors() -> list[dict[str, Any]]:
    """Return all of them."""
    return to_board() + identities() + from_board()
