"""The golden vectors of tests/vectors/ through the Python codec: the same that the C codec passes."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml import preprocess, wire
from pytest_tinyml.engines.package import encode_package
from pytest_tinyml.errors import WireError
from pytest_tinyml.records import (
    CanaryResult,
    Clock,
    Encoding,
    Identity,
    Model,
    PreprocessSpec,
    Result,
    Sample,
    TensorSpec,
)
from tests.vectors import generate

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(generate.__file__).parent
OUTPUT_BYTES = 10
Entry = dict[str, Any]


def load(stem: str) -> list[Any]:
    """Return a file's vectors as pytest parameters, named."""
    entries = json.loads((FOLDER / f"{stem}.json").read_text(encoding="utf-8"))
    return [pytest.param(entry, id=entry["name"]) for entry in entries]


def event(found: wire.Frame | WireError) -> Entry:
    """Return what a decoder found as it is written in frames.json."""
    if isinstance(found, WireError):
        return {"error": found.code, "seq": found.seq}
    return {"type": found.type, "seq": found.seq, "payload": found.payload.hex()}


def tensor(fields: Entry) -> TensorSpec:
    """Return a tensor of messages.json."""
    return TensorSpec(
        dtype=fields["dtype"], shape=tuple(fields["dims"]), scale=fields["scale"], zero_point=fields["zero_point"]
    )


def identity(fields: Entry) -> Identity:
    """Return an IDENTITY of messages.json."""
    same = ("tick_hz", "rx_window", "max_frame", "arena_used", "arena_capacity", "firmware_sha256", "model_sha256")
    texts = ("firmware_version", "board", "chip", "engine", "model", "preprocess")
    return Identity(
        **{name: fields[name] for name in (*same, *texts)},
        session=fields["session"],
        loads_models=bool(fields["features"] & 1),
        clock=Clock(fields["clock"]),
        encodings=frozenset(encoding for encoding in Encoding if fields["encodings"] >> encoding & 1),
        flash_bytes=fields["flash"],
        ram_bytes=fields["ram"],
        input=tensor(fields["input"]),
        output=tensor(fields["output"]),
    )


def results(fields: Entry) -> wire.Results:
    """Return a RESULT of messages.json."""
    listed = (Result(id=r["id"], ticks=r["ticks"], scores=bytes.fromhex(r["scores"])) for r in fields["results"])
    return wire.Results(results=tuple(listed), last=fields["last"])


def board_report(fields: Entry) -> wire.BoardReport:
    """Return an ERROR of messages.json."""
    sample_id = None if fields["sample_id"] == wire.NO_SAMPLE else fields["sample_id"]
    return wire.BoardReport(code=fields["code"], sample_id=sample_id, text=fields["text"])


def canary(fields: Entry) -> CanaryResult:
    """Return a CANARY_RESULT of messages.json."""
    return CanaryResult(**fields | {"scores": bytes.fromhex(fields["scores"])})


def infer(fields: Entry) -> wire.Infer:
    """Return an INFER of messages.json."""
    samples = tuple(Sample(id=s["id"], data=bytes.fromhex(s["data"])) for s in fields["samples"])
    return wire.Infer(encoding=fields["encoding"], samples=samples)


def load_piece(fields: Entry) -> wire.Load:
    """Return a LOAD of messages.json."""
    return wire.Load(**fields | {"data": bytes.fromhex(fields["data"])})


def decode_result_records(payload: bytes) -> wire.Results:
    """Decode RESULT and return records instead of arrays."""
    batch = wire.decode_results(payload, OUTPUT_BYTES)
    rows = zip(batch.ids, batch.ticks, batch.scores, strict=True)
    listed = tuple(Result(id=int(i), ticks=int(t), scores=s.tobytes()) for i, t, s in rows)
    return wire.Results(results=listed, last=batch.last)


@dataclass(frozen=True, slots=True)
class Codec:
    """How a type of message is read from the fields of messages.json, encoded and decoded."""

    read: Callable[[Entry], Any]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], object]


CODECS = {
    0x01: Codec(itemgetter("session"), wire.encode_hello, wire.decode_hello),
    0x02: Codec(infer, wire.encode_infer, wire.decode_infer),
    0x03: Codec(infer, wire.encode_infer, lambda payload: wire.decode_infer(payload, wire.MessageType.CANARY)),
    0x05: Codec(itemgetter("reset"), wire.encode_reset, wire.decode_reset),
    0x07: Codec(load_piece, wire.encode_load, wire.decode_load),
    0x81: Codec(identity, wire.encode_identity, wire.decode_identity),
    0x82: Codec(results, wire.encode_result_records, decode_result_records),
    0x83: Codec(canary, wire.encode_canary_result, lambda payload: wire.decode_canary_result(payload, OUTPUT_BYTES)),
    0x84: Codec(lambda fields: dict(fields["stats"]), wire.encode_stats, wire.decode_stats),
    0x85: Codec(itemgetter("reset"), wire.encode_reset, wire.decode_reset),
    0x87: Codec(itemgetter("received"), wire.encode_loaded, wire.decode_loaded),
    0xF0: Codec(itemgetter("text"), wire.encode_log, wire.decode_log),
    0xFF: Codec(board_report, wire.encode_error, wire.decode_error),
}


def test_generated_files_are_current() -> None:
    """The JSON files and the C header are what the generator computes."""
    for path, expected in generate.files().items():
        assert expected == path.read_text(encoding="utf-8"), f"{path}: run python -m tests.vectors.generate"


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("vector", load("frames"))
def test_streams_are_cut_into_frames(vector: Entry, step: int) -> None:
    """A stream gives the same frames and errors, however it is cut into pieces."""
    data = bytes.fromhex(vector["stream"])
    decoder = wire.FrameDecoder(vector["max_frame"])
    found = [event(item) for at in range(0, len(data), step) for item in decoder.feed(data[at : at + step])]
    assert vector["events"] == found


@pytest.mark.parametrize("vector", [p for p in load("frames") if p.values[0]["canonical"]])
def test_frames_are_encoded(vector: Entry) -> None:
    """Encoding a frame gives the vector's bytes, within the size that was promised."""
    expected = bytes.fromhex(vector["stream"])
    (only,) = vector["events"]
    payload = bytes.fromhex(only["payload"])
    assert expected == wire.encode_frame(only["type"], only["seq"], payload)
    assert len(expected) <= wire.max_encoded_size(len(payload))


@pytest.mark.parametrize("vector", load("messages"))
def test_messages(vector: Entry) -> None:
    """A payload gives its fields and the fields give the payload; a malformed one is refused."""
    codec, payload = CODECS[vector["type"]], bytes.fromhex(vector["payload"])
    if "error" in vector:
        with pytest.raises(WireError) as refused:
            codec.decode(payload)
        assert vector["error"] == refused.value.code
        return
    expected = codec.read(vector["fields"])
    assert expected == codec.decode(payload)
    assert payload == codec.encode(expected)


@pytest.mark.parametrize("vector", load("inflate"))
def test_packed_samples(vector: Entry) -> None:
    """A stream unpacks to what zlib says, or is refused."""
    data = bytes.fromhex(vector["data"])
    if vector["crc32"] is None:
        with pytest.raises(WireError) as refused:
            wire.inflate_sample(data, vector["size"])
        assert refused.value.code == wire.ErrorCode.BAD_SAMPLE
        return
    assert vector["crc32"] == zlib.crc32(wire.inflate_sample(data, vector["size"]))


@pytest.mark.parametrize("vector", load("preprocess"))
def test_preprocessing(vector: Entry) -> None:
    """The host's preprocessing gives the exact result, and the tables that it hands to the firmware are exact."""
    spec_tensor = tensor(vector)
    pixels = np.frombuffer(bytes.fromhex(vector["pixels"]), dtype=np.uint8).reshape(vector["dims"])
    if vector["kind"] == "lut":
        spec = PreprocessSpec(kind="scale", scale=1.0 / vector["divisor"], offset=float(vector["offset"]))
        assert vector["table"] == preprocess.lookup_table(spec, spec_tensor).tolist()
    else:
        spec = PreprocessSpec(kind="l2axis1")
        assert vector["thresholds"] == preprocess.l2_thresholds(spec_tensor).tolist()
    assert vector["output"] == preprocess.input_tensors(pixels, spec, spec_tensor).ravel().tolist()


@pytest.mark.parametrize("entry", [param for param in load("package") if "fields" in param.values[0]])
def test_packages(entry: Entry) -> None:
    """A model's package is the vector's, byte for byte; the C side refuses the malformed ones."""
    fields = entry["fields"]
    data = bytes.fromhex(fields["file"])
    specs = {
        "lut": PreprocessSpec(kind="scale", scale=1 / 255),
        "l2axis1": PreprocessSpec(kind="l2axis1"),
        "none": PreprocessSpec(kind="none"),
    }
    scaled = tensor(fields["input"])
    model = Model(
        name=fields["name"],
        path=Path("model.tflite"),
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        # pixel / 255 in steps of 1/255 is the vector's table.
        input=replace(scaled, scale=1 / 255) if fields["kind"] == "lut" else scaled,
        output=tensor(fields["output"]),
        preprocess=specs[fields["kind"]],
    )
    package = bytearray(encode_package(model))
    if fields["kind"] == "lut":
        package[116:120] = struct.pack("<f", scaled.scale)
    assert bytes.fromhex(entry["package"]) == package
