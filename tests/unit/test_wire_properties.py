"""Properties of the Python codec over any bytes."""

from __future__ import annotations

import contextlib
import zlib

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from pytest_tinyml import wire
from pytest_tinyml.errors import WireError
from pytest_tinyml.records import Encoding

# Bytes with few, many or no zeros, in runs as long as COBS's groups.
CHUNKS = st.one_of(
    st.binary(max_size=40),
    st.builds(bytes, st.integers(0, 600)),
    st.builds(lambda n, b: bytes((b,)) * n, st.integers(0, 800), st.integers(1, 255)),
)
DATA = st.lists(CHUNKS, max_size=6).map(b"".join)
TYPES = st.sampled_from(list(wire.MessageType))


@given(DATA)
def test_cobs_is_what_the_cobs_package_says(data: bytes) -> None:
    """Encoding equals an independent implementation, holds no zero, and is undone."""
    encoded = wire.cobs_encode(data)
    assert cobs.encode(data) == encoded
    assert 0 not in encoded
    assert data == wire.cobs_decode(encoded)


@given(st.lists(st.tuples(TYPES, st.integers(0, 0xFFFF), DATA), max_size=4), st.integers(1, 700))
def test_frames_come_back(frames: list[tuple[wire.MessageType, int, bytes]], step: int) -> None:
    """What was encoded is decoded, however the bytes are cut."""
    stream = b"".join(wire.encode_frame(kind, seq, payload) for kind, seq, payload in frames)
    decoder = wire.FrameDecoder()
    found = [item for at in range(0, len(stream), step) for item in decoder.feed(stream[at : at + step])]
    expected = [wire.Frame(type=kind, seq=seq, payload=payload) for kind, seq, payload in frames]
    assert expected == found


@given(st.binary(max_size=3000), st.integers(8, 400))
def test_decoder_survives_anything(data: bytes, max_frame: int) -> None:
    """Any bytes give frames or errors, never an exception, and the next good frame is found."""
    decoder = wire.FrameDecoder(max_frame)
    for item in decoder.feed(data):
        assert isinstance(item, wire.Frame | WireError)
    good = wire.encode_frame(wire.MessageType.ECHO, 7, b"")
    assert len(good) == 10
    found = [item for item in wire.FrameDecoder(max_frame=10).feed(data + b"\0" + good) if isinstance(item, wire.Frame)]
    assert found[-1] == wire.Frame(type=wire.MessageType.ECHO, seq=7, payload=b"")


@given(DATA.filter(bool), st.data())
def test_a_flipped_bit_is_noticed(payload: bytes, data: st.DataObject) -> None:
    """No frame with one wrong bit is taken for a good one."""
    frame = bytearray(wire.encode_frame(wire.MessageType.ECHO, 1, payload))
    frame[data.draw(st.integers(0, len(frame) - 2))] ^= 1 << data.draw(st.integers(0, 7))
    assert not [item for item in wire.FrameDecoder().feed(bytes(frame)) if isinstance(item, wire.Frame)]


@pytest.mark.parametrize(
    "decode",
    [
        wire.decode_hello,
        wire.decode_identity,
        wire.decode_infer,
        wire.decode_reset,
        wire.decode_stats,
        wire.decode_error,
        wire.decode_log,
        lambda payload: wire.decode_infer(payload, wire.MessageType.CANARY),
        lambda payload: wire.decode_results(payload, 3),
        lambda payload: wire.decode_canary_result(payload, 3),
        lambda payload: wire.inflate_sample(payload, 20),
    ],
)
@given(payload=st.binary(max_size=300))
def test_payload_decoders_raise_nothing_but_wire_errors(decode: object, payload: bytes) -> None:
    """Any payload is decoded or refused with WireError."""
    assert callable(decode)
    with contextlib.suppress(WireError):
        decode(payload)


@given(DATA.filter(lambda data: len(data) <= 3000))
def test_packing_is_undone_by_us_and_by_zlib(data: bytes) -> None:
    """A packed sample unpacks with our strict decoder and with zlib's."""
    packed = wire.deflate_sample(data)
    assert data == wire.inflate_sample(packed, len(data))
    assert data == zlib.decompress(packed, wbits=-15)


@given(st.binary(max_size=80), st.integers(0, 300))
def test_unpacking_agrees_with_zlib(data: bytes, size: int) -> None:
    """Whatever our decoder accepts, zlib unpacks to the same."""
    try:
        out = wire.inflate_sample(data, size)
    except WireError:
        return
    stream = zlib.decompressobj(-15)
    assert out == stream.decompress(data) + stream.flush()
    assert stream.eof
    assert not stream.unused_data


@given(st.integers(0, 5000))
def test_max_payload_size_is_the_largest_that_fits(max_frame: int) -> None:
    """The largest payload that always fits is found, and one byte more does not always."""
    size = wire.max_payload_size(max_frame)
    assert size == 0 or wire.max_encoded_size(size) <= max_frame
    assert wire.max_encoded_size(size + 1) > max_frame


@given(st.integers(1, 20), st.integers(0, 40), st.integers(0, 2**32 - 21))
def test_rows_and_packed_samples_are_the_same_message(count: int, nbytes: int, first: int) -> None:
    """A batch as an array is the same bytes as a batch of single samples."""
    rows = np.arange(count * nbytes, dtype=np.uint8).reshape(count, nbytes)
    ids = np.arange(first, first + count)
    listed = [row.tobytes() for row in rows]
    as_rows = wire.encode_infer_rows(Encoding.TENSOR, ids, rows)
    assert wire.encode_infer_packed(Encoding.TENSOR, ids.tolist(), listed) == as_rows
    decoded = wire.decode_infer(as_rows)
    assert [(int(i), data) for i, data in zip(ids, listed, strict=True)] == [(s.id, s.data) for s in decoded.samples]


@given(st.integers(0, 30), st.integers(1, 20), st.booleans())
def test_results_come_back(count: int, nbytes: int, last: bool) -> None:
    """Results as arrays come back as they were, at the limits of their ranges too."""
    batch = wire.ResultBatch(
        ids=np.linspace(0, 2**32 - 1, count).astype(np.uint32),
        ticks=np.linspace(2**32 - 1, 0, count).astype(np.uint32),
        scores=np.arange(count * nbytes).astype(np.uint8).reshape(count, nbytes),
        last=last,
    )
    decoded = wire.decode_results(wire.encode_results(batch), nbytes)
    assert batch.last == decoded.last
    for expected, got in ((batch.ids, decoded.ids), (batch.ticks, decoded.ticks), (batch.scores, decoded.scores)):
        np.testing.assert_array_equal(expected, got)
        assert expected.dtype == got.dtype


@pytest.mark.parametrize(("count", "nbytes"), [(0, 4), (65_536, 1), (1, 65_536)])
def test_batches_that_the_message_cannot_hold_are_refused(count: int, nbytes: int) -> None:
    """Counts and lengths beyond 16 bits raise ValueError instead of being cut off."""
    rows = np.zeros((count, nbytes), dtype=np.uint8)
    with pytest.raises(ValueError, match="holds"):
        wire.encode_infer_rows(Encoding.PIXELS, np.arange(count), rows)
    with pytest.raises(ValueError, match="holds"):
        wire.encode_infer_packed(Encoding.PIXELS, range(count), [row.tobytes() for row in rows])


def test_ids_and_samples_must_match() -> None:
    """A batch with more ids than samples is refused."""
    with pytest.raises(ValueError, match="3 ids for 2 samples"):
        wire.encode_infer_rows(Encoding.PIXELS, np.arange(3), np.zeros((2, 4), dtype=np.uint8))
