"""Packages of PROTOCOL.md section 6: a model's description and its file, well-formed and not."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

INPUT = {"dtype": "int8", "dims": [1, 4, 3, 2], "scale": 0.00390625, "zero_point": -128}
OUTPUT = {"dtype": "int8", "dims": [1, 5], "scale": 0.125, "zero_point": 3}
PLAIN = {"dtype": "float32", "dims": [1, 2, 3, 4, 5, 6], "scale": 0.0, "zero_point": 0}
# Around the places where SHA-256's padding takes another block.
SIZES = (1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000)
LUT = bytes((x - 128) & 0xFF for x in range(256))
THRESHOLDS = [4_194_304 * (2 * k - 1) ** 2 for k in range(1, 256) if 4_194_304 * (2 * k - 1) ** 2 <= 2**40]


def tensor(fields: dict[str, Any]) -> bytes:
    """Return a tensor, its dims padded to six."""
    code = {"int8": 1, "uint8": 2, "int16": 3, "float32": 4}[fields["dtype"]]
    dims = fields["dims"] + [0] * (6 - len(fields["dims"]))
    return struct.pack("<BBHfi6I", code, len(fields["dims"]), 0, fields["scale"], fields["zero_point"], *dims)


def package(fields: dict[str, Any], **changed: Any) -> bytes:
    """Return the bytes of a package; `changed` are fields that lie."""
    file = bytes.fromhex(fields["file"])
    kind = {"none": 0, "lut": 1, "l2axis1": 2}[fields["kind"]]
    thresholds = THRESHOLDS if fields["kind"] == "l2axis1" else []
    table = LUT if fields["kind"] == "lut" else struct.pack(f"<{len(thresholds)}Q", *thresholds)
    digest = changed.get("sha256", hashlib.sha256(file).digest())
    head: bytes = changed.get("magic", b"TML1") + struct.pack("<I", changed.get("size", len(file)))
    head += struct.pack("<BBHI", changed.get("kind", kind), changed.get("reserved", 0), len(thresholds), fields["row"])
    head += digest + changed.get("name", fields["name"].encode().ljust(64, b"\0"))
    head += tensor(fields["input"]) + tensor(fields["output"]) + table
    return head + bytes(-len(head) % 16) + file


def fields_of(name: str, kind: str, size: int) -> dict[str, Any]:
    """Return the fields of a package."""
    return {
        "name": name,
        "kind": kind,
        "row": 6 if kind == "l2axis1" else 0,
        "input": PLAIN if kind == "none" else INPUT,
        "output": OUTPUT,
        "file": bytes((7 * k + size) & 0xFF for k in range(size)).hex(),
    }


def vectors() -> list[dict[str, Any]]:
    """Return all of them."""
    good = [fields_of("digits", "lut", size) for size in SIZES]
    good += [fields_of("x" * 63, "l2axis1", 33), fields_of("größer", "none", 100)]
    entries = [
        {"name": f"{fields['kind']}_{len(fields['file']) // 2}", "package": package(fields).hex(), "fields": fields}
        for fields in good
    ]
    one = good[0]
    whole = package(one)
    bad = {
        "magic": package(one, magic=b"TML2"),
        "size_too_small": package(one, size=0),
        "size_too_large": package(one, size=0xFFFFFFFF),
        "kind_3": package(one, kind=3),
        "kind_without_its_table": package(fields_of("n", "none", 1), kind=1),
        "reserved": package(one, reserved=1),
        "sha256": package(one, sha256=bytes(32)),
        "name_without_end": package(one, name=b"x" * 64),
        "cut": whole[:-1],
        "header_cut": whole[:183],
        "empty": b"",
    }
    return entries + [{"name": f"bad_{name}", "package": data.hex()} for name, data in bad.items()]
