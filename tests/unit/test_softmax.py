"""The C softmax against TensorFlow Lite Micro's own, through one-operator models."""

from __future__ import annotations

import ctypes
import math
import subprocess
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.engines.softmax import quantize_softmax
from tests.unit.tflite_models import softmax_model

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

tflite_micro = pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is published for Linux x86-64 only")

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror", "-ffreestanding")
# The first four are scales of logits in models of the zoo's shapes; the rest reach the ends of the kernel's range.
SCALES = (0.0627, 0.1254, 0.1789, 0.2531, 1e-7, 1e-5, 0.00390625, 0.0078, 0.5, 1.0, 3.7, 15.9, 31.0, 32.0, 100.0)


class _Params(ctypes.Structure):
    """``tml_softmax_s8_params``."""

    _fields_ = (("multiplier", ctypes.c_int32), ("left_shift", ctypes.c_int32), ("diff_min", ctypes.c_int32))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Return the kernel, compiled with every warning an error and with undefined behaviour trapping."""
    folder: Path = assets_dir("firmware") / "engines" / "aot"
    target = tmp_path_factory.mktemp("softmax") / "softmax.so"
    source = folder / "tml_softmax_s8.c"
    flags = ("-O2", "-shared", "-fPIC", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    subprocess.run(["cc", *STRICT, *flags, str(source), "-o", str(target)], check=True, timeout=60)
    return ctypes.CDLL(str(target))


def _ours(library: ctypes.CDLL, rows: npt.NDArray[np.int8], scale: float, beta: float = 1.0) -> npt.NDArray[np.int8]:
    count, depth = rows.shape
    q = quantize_softmax(rows=count, depth=depth, input_scale=float(np.float32(scale)), beta=float(np.float32(beta)))
    params = _Params(q.multiplier, q.left_shift, q.diff_min)
    result = np.empty_like(rows)
    pointer = ctypes.c_void_p
    library.tml_softmax_s8(
        pointer(rows.ctypes.data), ctypes.c_uint32(count), ctypes.c_uint32(depth), ctypes.byref(params),
        pointer(result.ctypes.data),
    )  # fmt: skip
    return result


def _tflm(rows: npt.NDArray[np.int8], scale: float, beta: float = 1.0) -> npt.NDArray[np.int8]:
    runtime: Any = tflite_micro.runtime
    model = softmax_model(rows.shape[0], rows.shape[1], scale, beta=beta)
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=4 * rows.size + 65536)
    interpreter.set_input(rows, 0)
    interpreter.invoke()
    return np.asarray(interpreter.get_output(0))


def _adversarial(depth: int) -> npt.NDArray[np.int8]:
    """Return rows at the corners: all equal, one apart, the two extremes, every single difference."""
    equal = np.repeat(np.asarray([-128, -1, 0, 1, 127], np.int8)[:, None], depth, axis=1)
    extremes = np.full((depth, depth), -128, np.int8)
    np.fill_diagonal(extremes, 127)
    steps = np.full((256, depth), 127, np.int8)
    steps[:, -1] = np.arange(-128, 128)
    low = np.full((256, depth), -128, np.int8)
    low[:, 0] = np.arange(-128, 128)
    return np.concatenate([equal, extremes, steps, low])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("depth", [1, 2, 10, 100])
def test_equals_tflm(library: ctypes.CDLL, scale: float, depth: int) -> None:
    """No byte differs, over 4,000 random rows and the corners of the input space."""
    rng = np.random.default_rng([depth, round(scale * 1e7)])
    uniform = rng.integers(-128, 128, (2000, depth))
    peaked = np.clip(np.round(rng.normal(0, 12, (2000, depth))), -128, 127)
    rows = np.concatenate([uniform.astype(np.int8), peaked.astype(np.int8), _adversarial(depth)])
    expected = _tflm(rows, scale)
    actual = _ours(library, rows, scale)
    assert int(np.count_nonzero(expected != actual)) == 0


def test_equals_tflm_at_random_scales(library: ctypes.CDLL) -> None:
    """No byte differs at 200 scales drawn over nine decades, beta included."""
    rng = np.random.default_rng(7)
    for exponent, beta in zip(rng.uniform(-6.5, 2.5, 200), rng.choice([0.5, 1.0, 1.7], 200), strict=True):
        rows = rng.integers(-128, 128, (200, 10)).astype(np.int8)
        scale = float(10.0**exponent)
        assert int(np.count_nonzero(_tflm(rows, scale, beta) != _ours(library, rows, scale, beta))) == 0, (scale, beta)


def test_wide_rows(library: ctypes.CDLL) -> None:
    """No byte differs for 1,000 classes with few near the maximum, as a classifier of photographs gives them."""
    rng = np.random.default_rng(3)
    rows = np.clip(np.round(rng.normal(-60, 20, (300, 1000))), -128, 127).astype(np.int8)
    assert int(np.count_nonzero(_tflm(rows, 0.15) != _ours(library, rows, 0.15))) == 0


def test_in_place(library: ctypes.CDLL) -> None:
    """Input and output may be the same buffer, as the engine uses it."""
    rows = np.random.default_rng(5).integers(-128, 128, (50, 10)).astype(np.int8)
    expected = _ours(library, rows, 0.1)
    q = quantize_softmax(rows=50, depth=10, input_scale=float(np.float32(0.1)), beta=1.0)
    params = _Params(q.multiplier, q.left_shift, q.diff_min)
    pointer = ctypes.c_void_p(rows.ctypes.data)
    library.tml_softmax_s8(pointer, ctypes.c_uint32(50), ctypes.c_uint32(10), ctypes.byref(params), pointer)
    assert rows.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("depth", "scale"), [(0, 0.1), (4096, 0.1), (10, 2.0**-26), (10, float("nan"))])
def test_refuses_what_the_kernel_cannot_do(depth: int, scale: float) -> None:
    """Depths that overflow the sum and scales that TensorFlow Lite aborts on are refused on the host."""
    with pytest.raises(ValueError, match=r"softmax|classes"):
        quantize_softmax(rows=1, depth=depth, input_scale=scale, beta=1.0)


def _round(value: Fraction) -> int:
    """Round halves away from zero."""
    return int(value + Fraction(1, 2)) if value >= 0 else int(value - Fraction(1, 2))


def _product(a: int, b: int) -> int:
    return _round(Fraction(a * b, 1 << 31))


def _exp_expected(a: int) -> int:
    """Return exp(a / 2^26) for a <= 0 in 31 fraction bits: the published algorithm, in exact fractions."""
    if a == 0:
        return (1 << 31) - 1
    quarters, fraction = divmod(a, 1 << 24)
    x = ((fraction - (1 << 24)) << 5) + (1 << 28)
    x2, x3, x4 = _product(x, x), _product(_product(x, x), x), _product(_product(x, x), _product(x, x))
    third, center = _round(Fraction(1 << 31, 3)), round(math.exp(-0.125) * 2**31)
    tail = _round(Fraction(_product(_round(Fraction(x4, 4)) + x3, third) + x2, 2))
    result = center + _product(center, x + tail)
    for bit in range(7):
        if (-quarters - 1) >> bit & 1:
            result = _product(result, round(math.exp(-(2.0 ** (bit - 2))) * 2**31))
    return result


def test_exponential_in_all_31_bits(tmp_path: Path) -> None:
    """The kernel's exponential has every bit of the algorithm's; an int8 output hides errors of the low 20."""
    source = assets_dir("firmware") / "engines" / "aot" / "tml_softmax_s8.c"
    shim = tmp_path / "shim.c"
    shim.write_text(
        f'#include "{source}"\nint32_t probe(int32_t a);\nint32_t probe(int32_t a) {{ return exp_negative(a); }}\n'
    )
    target = tmp_path / "shim.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", str(shim), "-o", str(target)], check=True, timeout=60)
    library = ctypes.CDLL(str(target))
    rng = np.random.default_rng(9)
    magnitudes = (2.0 ** rng.uniform(0, 31, 3000)).astype(np.int64)
    points = [0, -1, -(1 << 24), -(1 << 31) + 1, *(-int(m) for m in magnitudes)]
    assert [_exp_expected(a) for a in points] == [library.probe(a) for a in points]
