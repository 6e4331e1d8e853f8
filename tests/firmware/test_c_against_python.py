"""The C core and the Python codec side by side, on any input."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tinyml import preprocess, wire
from pytest_tinyml.errors import WireError
from pytest_tinyml.records import PreprocessSpec, TensorSpec
from tests.firmware.tools import CORE, INCLUDE, need, run

if TYPE_CHECKING:
    import numpy.typing as npt

BAD_SAMPLE = -7
DTYPE_CODES = {"int8": 1, "uint8": 2}


class Tensor(ctypes.Structure):
    """tml_tensor."""

    _fields_ = (
        ("dtype", ctypes.c_int),
        ("rank", ctypes.c_uint8),
        ("dims", ctypes.c_uint32 * 6),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
    )


class Preprocess(ctypes.Structure):
    """tml_preprocess."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("lut", ctypes.c_void_p),
        ("thresholds", ctypes.c_void_p),
        ("threshold_count", ctypes.c_uint16),
        ("row", ctypes.c_uint32),
    )


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Return the core as a shared library."""
    target = tmp_path_factory.mktemp("core") / "core.so"
    run([need("gcc"), "-std=c11", "-O1", "-shared", "-fPIC", INCLUDE, *CORE, "-o", target])
    library = ctypes.CDLL(str(target))
    for name in ("tml_payload_offset", "tml_payload_capacity", "tml_frame_encode"):
        getattr(library, name).restype = ctypes.c_size_t
    return library


@given(st.integers(0, 0xFFFF), st.lists(st.one_of(st.binary(max_size=300), st.builds(bytes, st.integers(0, 300)))))
def test_frames_are_the_same(core: ctypes.CDLL, seq: int, parts: list[bytes]) -> None:
    """Both encoders write the same bytes."""
    payload = b"".join(parts)
    capacity = ctypes.c_size_t(len(payload) + len(payload) // 100 + 64)
    buffer = ctypes.create_string_buffer(capacity.value)
    ctypes.memmove(ctypes.addressof(buffer) + core.tml_payload_offset(capacity), payload, len(payload))
    size = core.tml_frame_encode(buffer, capacity, 6, ctypes.c_uint16(seq), ctypes.c_size_t(len(payload)))
    assert wire.encode_frame(6, seq, payload) == buffer.raw[:size]


def damaged(data: st.DataObject, sample: bytes) -> bytes:
    """Return a packed sample, perhaps with a few bytes changed or cut."""
    packed = bytearray(wire.deflate_sample(sample))
    for _ in range(data.draw(st.integers(0, 2))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    return bytes(packed[: data.draw(st.integers(len(packed) - 2, len(packed)))])


@given(st.data())
def test_unpacking_is_the_same(core: ctypes.CDLL, data: st.DataObject) -> None:
    """Both decoders accept and refuse the same streams, and give the same bytes."""
    sample = b"".join(data.draw(st.lists(st.one_of(st.binary(max_size=40), st.builds(bytes, st.integers(0, 90))))))
    packed = data.draw(st.one_of(st.binary(max_size=60), st.just(damaged(data, sample))))
    size = data.draw(st.one_of(st.just(len(sample)), st.integers(0, 300)))
    out = ctypes.create_string_buffer(max(size, 1))
    status = core.tml_inflate(packed, ctypes.c_size_t(len(packed)), out, ctypes.c_size_t(size))
    try:
        expected = wire.inflate_sample(packed, size)
    except WireError:
        assert status == BAD_SAMPLE
    else:
        assert status == 0
        assert expected == out.raw[:size]


def run_c(
    core: ctypes.CDLL, how: Preprocess, spec: TensorSpec, image: npt.NDArray[np.uint8]
) -> npt.NDArray[np.generic]:
    """Preprocess one image in C: uint8 [1, ...] to the tensor's dtype, same shape."""
    dims = (ctypes.c_uint32 * 6)(*spec.shape)
    tensor = Tensor(DTYPE_CODES[spec.dtype], len(spec.shape), dims, spec.scale, spec.zero_point)
    assert core.tml_preprocess_check(ctypes.byref(how), ctypes.byref(tensor)) == 0
    out = np.empty(image.shape, dtype=spec.dtype)
    pointers = (ctypes.c_void_p(array.ctypes.data) for array in (image, out))
    core.tml_preprocess_run(ctypes.byref(how), ctypes.byref(tensor), *pointers)
    return out


IMAGES = st.tuples(st.integers(1, 30), st.integers(1, 6), st.integers(1, 3), st.integers(0, 2**32 - 1))


def picture(shape: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    """Return an image of height, width, channels from a seed; half of it black."""
    noise = np.random.default_rng(shape[3])
    pixels = noise.integers(0, 256, (1, *shape[:3])) * noise.integers(0, 2, (1, *shape[:3]))
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def quantised(dtype: Any, scale: float, shape: tuple[int, ...]) -> TensorSpec:
    """Return a tensor with a binary32 scale and the zero point at the type's least value."""
    return TensorSpec(
        dtype=dtype, shape=shape, scale=float(np.float32(scale)), zero_point=-128 if dtype == "int8" else 0
    )


@given(IMAGES, st.sampled_from(["int8", "uint8"]), st.floats(1 / 300, 1 / 60))
def test_l2axis1_is_the_same(core: ctypes.CDLL, shape: tuple[int, int, int, int], dtype: str, scale: float) -> None:
    """The integer rule in C gives what dividing and quantising in float64 gives on the host."""
    image = picture(shape)
    spec = quantised(dtype, scale, image.shape)
    thresholds = preprocess.l2_thresholds(spec)
    how = Preprocess(2, None, thresholds.ctypes.data, len(thresholds), shape[1] * shape[2])
    expected = preprocess.input_tensors(image, PreprocessSpec(kind="l2axis1"), spec)
    np.testing.assert_array_equal(expected, run_c(core, how, spec, image))


@given(IMAGES, st.sampled_from(["int8", "uint8"]), st.sampled_from([1.0, 1 / 255, 1 / 127.5, 0.31]))
def test_lut_is_the_same(core: ctypes.CDLL, shape: tuple[int, int, int, int], dtype: str, factor: float) -> None:
    """The table in C gives what the host computes."""
    image = picture(shape)
    spec = quantised(dtype, factor, image.shape)
    pixels = PreprocessSpec(kind="scale", scale=factor)
    table = np.ascontiguousarray(preprocess.lookup_table(pixels, spec))
    how = Preprocess(1, table.ctypes.data, None, 0, 0)
    expected = preprocess.quantize(preprocess.real_values(image, pixels), spec)
    np.testing.assert_array_equal(expected, run_c(core, how, spec, image))
