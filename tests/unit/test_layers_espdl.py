"""The integer kernels compute what ESP-DL's rules say, worked out a second time with Python's integers."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.engines.layers.fromespdl import network_of
from pytest_tinyml.engines.layers.generate import with_kernels, write
from pytest_tinyml.engines.layers.macs import macs_of
from pytest_tinyml.engines.modelfile import model_source
from pytest_tinyml.errors import ModelError, UnsupportedOperatorError
from pytest_tinyml.records import Model, PreprocessSpec
from pytest_tinyml.stores.espdlgraph import Constant, EspdlGraph, Family
from tests.unit.enginelib import compile_kernels, engine_of, load_engine, run
from tests.unit.espdlgraphs import averaged, clamped, convolved, one_layer, packed, rounded, windows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Computed: TypeAlias = "Callable[[EspdlGraph, Any], Any]"
FAMILIES: tuple[Family, ...] = ("esp32", "esp32s3", "esp32p4")


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The compiled kernels."""
    return compile_kernels(assets_dir("firmware") / "engines" / "layers" / "pot", tmp_path_factory.mktemp("pot"))


@pytest.fixture
def computed(kernels: tuple[Path, ...], tmp_path: Path) -> Computed:
    """Runs a graph in C, with all warnings of the compiler on: the output's type, [N, elements]."""
    return lambda graph, tensors: _computed(graph, tensors, kernels, tmp_path)


def _computed(graph: EspdlGraph, tensors: Any, kernels: tuple[Path, ...], folder: Path) -> Any:
    model = Model(
        name="graph",
        path=Path("graph.espdl"),
        data=b"",
        sha256=hashlib.sha256().hexdigest(),
        input=graph.input,
        output=graph.output,
        preprocess=PreprocessSpec(),
        format="espdl",
    )
    generated = write(network_of(graph, model.name), model_source(model), folder / "c")
    headers = (*generated.include_dirs, *with_kernels(generated).include_dirs)
    library = load_engine(replace(generated, include_dirs=headers), folder / "o", strict=True, compiled=kernels)
    return run(engine_of(library), model, tensors)


def weighted(
    filters: Any, bias: Any, exponents: Sequence[int], below: int, family: Family, *, depthwise: bool = False
) -> list[Constant]:
    """Return weights and bias as a chip's files have them."""
    bits = filters.dtype.itemsize * 8
    lanes = 128 // bits
    plain = "HWCN" if depthwise else "NHWC"
    left = "_UNALIGNED" if len(filters) % lanes else ""
    layout = plain if family == "esp32" else f"(N/{lanes})HWC{lanes}{left}"
    if depthwise:
        whole = len(filters) // lanes * lanes * (family != "esp32")
        data = packed(filters[:whole], layout, lanes)[0] + filters[whole:, :, :, 0].transpose(1, 2, 0).tobytes()
        dims = (*filters.shape[1:3], len(filters), 1)
    else:
        data, dims = packed(filters, layout, lanes)
    kind: Any = f"int{bits}"
    wide: Any = "int32" if bits == 8 else "int64"
    return [
        Constant(name="w", dtype=kind, dims=dims, exponents=tuple(exponents), data=data, layout=layout),
        Constant(
            name="b",
            dtype=wide,
            dims=(len(filters),),
            exponents=tuple(below + exponent for exponent in exponents),
            data=bias.astype(wide).tobytes(),
            layout="UNK",
        ),
    ]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("depthwise", [False, True], ids=["conv", "depthwise"])
def test_convolution(computed: Computed, bits: int, family: Family, depthwise: bool) -> None:
    """Strides, padding, ReLU, every order of weights and scales per channel give the exact sums, rounded once."""
    random = np.random.default_rng(bits)
    info = np.iinfo(f"int{bits}")
    count, channels = (19, 19) if depthwise else (18, 3)
    x = random.integers(info.min, info.max + 1, (3, 6, 5, channels)).astype(info.dtype)
    filters = random.integers(info.min, info.max + 1, (count, 3, 2, 1 if depthwise else channels)).astype(info.dtype)
    bias = random.integers(-1000, 1000, count)
    per_channel = [-9 - n % 3 for n in range(count)] if family == "esp32p4" else [-9]
    above = -4 if bits == 8 else -5
    graph = one_layer(
        "Conv",
        (1, 6, 5, channels),
        (1, 3, 3, count),
        {
            "activation": "Relu",
            "group": channels if depthwise else 1,
            "strides": (2, 2),
            "pads": (1, 1, 1, 1),
            "dilations": (1, 1),
        },
        weighted(filters, bias, per_channel, -5, family, depthwise=depthwise),
        bits=bits,
        family=family,
        exponents=(-5, above),
    )
    expected = [
        convolved(
            one,
            filters,
            bias,
            stride=2,
            pad=1,
            exponents=(-5, above),
            weights=per_channel,
            family=family,
            bits=bits,
            relu=True,
            depthwise=depthwise,
        ).ravel()
        for one in x
    ]
    assert np.array_equal(expected, computed(graph, x))
    assert 9 * count * 6 * (1 if depthwise else channels) == macs_of(network_of(graph, "graph"))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("family", ["esp32", "esp32p4"])
def test_halves(computed: Computed, bits: int, family: Family) -> None:
    """A fully connected layer whose sums all end in one half rounds them as the chip does."""
    filters = np.array([2], dtype=f"int{bits}").reshape(1, 1, 1, 1)
    x = np.arange(-60, 60).astype(filters.dtype)[:, None]
    graph = one_layer(
        "Gemm",
        (1, 1),
        (1, 1),
        {"activation": "Linear", "transB": 0},
        weighted(filters, np.array([1]), [0], 0, family),
        bits=bits,
        family=family,
        exponents=(0, 1),
    )
    expected = {
        "esp32": [[(2 * int(value) + 2) // 2] for value in x[:, 0]],
        "esp32p4": [[round((2 * int(value) + 1) / 2)] for value in x[:, 0]],
    }
    assert expected[family] == computed(graph, x).tolist()


@pytest.mark.parametrize("family", ["esp32", "esp32p4"])
@pytest.mark.parametrize("shift", [-2, 0, 1])
def test_average(computed: Computed, family: Family, shift: int) -> None:
    """The mean of 3 x 3, which float32 does not hold, is rounded once."""
    x = np.random.default_rng(3).integers(-128, 128, (40, 6, 9, 2)).astype(np.int8)
    graph = one_layer(
        "AveragePool",
        (1, 6, 9, 2),
        (1, 2, 3, 2),
        {"kernel_shape": (3, 3), "strides": (3, 3), "pads": (0, 0, 0, 0)},
        family=family,
        exponents=(-5, -5 + shift),
    )
    expected = [averaged(one, 3, shift=shift, family=family, bits=8).ravel() for one in x]
    assert np.array_equal(expected, computed(graph, x))


@pytest.mark.parametrize("bits", [8, 16])
def test_max_pool_with_a_window_over_the_end(computed: Computed, bits: int) -> None:
    """With ceil_mode a window may end outside of the input; what is there does not count."""
    info = np.iinfo(f"int{bits}")
    x = np.random.default_rng(4).integers(info.min, 0, (20, 5, 4, 3)).astype(info.dtype)
    graph = one_layer(
        "MaxPool",
        (1, 5, 4, 3),
        (1, 3, 2, 3),
        {"kernel_shape": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0), "ceil_mode": 1},
        bits=bits,
        exponents=(-5, -5),
    )
    rows, columns = windows(5, 2, 2, (0, 0), ceil=True), windows(4, 2, 2, (0, 0))
    expected = [
        [one[min(ys) : max(ys) + 1, min(xs) : max(xs) + 1, n].max() for ys in rows for xs in columns for n in range(3)]
        for one in x
    ]
    assert np.array_equal(expected, computed(graph, x))


def test_table_of_8_bits(computed: Computed) -> None:
    """Whatever the operator is, its table says the result for every input."""
    table = np.random.default_rng(5).integers(-128, 128, 256).astype(np.int8)
    constant = Constant(name="table", dtype="int8", dims=(256,), exponents=(-4,), data=table.tobytes())
    graph = one_layer("Mish", (1, 256), (1, 256), {"lut": "table"}, [constant])
    x = np.arange(-128, 128).astype(np.int8)[None]
    assert np.array_equal(table[None], computed(graph, x))


@pytest.mark.parametrize("family", ["esp32", "esp32p4"])
@pytest.mark.parametrize("step", [1, 32])
def test_table_of_16_bits(computed: Computed, family: Family, step: int) -> None:
    """Of a table with an entry for every 32nd input, the nearest is taken; halves as the chip rounds."""
    table = np.random.default_rng(6).integers(-32768, 32768, 65536 // step + 1).astype(np.int16)
    constant = Constant(name="table", dtype="int16", dims=table.shape, exponents=(-4,), data=table.tobytes())
    graph = one_layer("LUT", (1, 4096), (1, 4096), {"lut": "table"}, [constant], bits=16, family=family)
    x = np.arange(-32768, 32768).astype(np.int16).reshape(16, 4096)
    places = [rounded(Fraction(int(value) + 32768, step), family) for value in x.ravel()]
    assert np.array_equal(table[places].reshape(x.shape), computed(graph, x))


@pytest.mark.parametrize("kind", ["Relu", "RequantizeLinear"])
@pytest.mark.parametrize("shift", [-3, 0, 2])
def test_another_scale(computed: Computed, kind: str, shift: int) -> None:
    """Another exponent is a shift with the chip's rounding, and a ReLU a limit."""
    x = np.arange(-128, 128).astype(np.int8)[None]
    graph = one_layer(kind, (1, 256), (1, 256), {}, exponents=(-5, -5 + shift))
    low = 0 if kind == "Relu" else None
    expected = [clamped(rounded(Fraction(int(value)) / Fraction(2) ** shift, "esp32"), 8, low) for value in x[0]]
    assert [expected] == computed(graph, x).tolist()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", [(0, 3, 1, 2), (0, 2, 1, 3)])
def test_transpose(computed: Computed, bits: int, order: tuple[int, ...]) -> None:
    """Dimensions change places."""
    shape = (1, 3, 4, 5)
    x = np.random.default_rng(7).integers(-128, 128, (5, *shape[1:])).astype(f"int{bits}")
    out = tuple(shape[axis] for axis in order)
    graph = one_layer("Transpose", shape, out, {"perm": order}, bits=bits, exponents=(-5, -5))
    assert np.array_equal(x.transpose(order).reshape(5, -1), computed(graph, x))


@pytest.mark.parametrize(("bits", "exponent"), [(8, -4), (8, 0), (8, 5), (16, -10), (16, -15), (16, -3), (16, 3)])
def test_softmax_is_the_nearest_float32(computed: Computed, bits: int, exponent: int) -> None:
    """Each probability is the float32 nearest to the true value, down to the smallest that there are."""
    info = np.iinfo(f"int{bits}")
    random = np.random.default_rng(8)
    x = random.integers(info.min, info.max + 1, (300, 7)).astype(info.dtype)
    x[100:200] = random.integers(-9, 10, (100, 7))
    x[0] = 5
    graph = one_layer("Softmax", (1, 7), (1, 7), {"axis": -1}, bits=bits, exponents=(exponent, 0), result="float32")
    values = x.astype(np.float64) * 2.0**exponent
    with np.errstate(under="ignore"):
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        expected = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    assert np.array_equal(expected, computed(graph, x))


def test_sums_that_overflow_are_refused() -> None:
    """Weights whose sums can exceed ESP-DL's 32 bits are refused, with the operator."""
    filters = np.full((1, 1, 1, 1 << 17), -128, dtype=np.int8)
    constants = weighted(filters, np.array([0]), [-3], -5, "esp32")
    graph = one_layer("Gemm", (1, 1 << 17), (1, 1), {}, constants, exponents=(-5, 8))
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 Gemm .*can exceed the accumulator"):
        network_of(graph, "graph")


@pytest.mark.parametrize(
    ("kind", "attributes", "said"),
    [
        ("Gru", {}, "no such operator"),
        ("Relu", {"lut": "missing"}, "missing"),
        ("MaxPool", {"kernel_shape": (9, 9), "strides": (1, 1)}, "a window of 9 does not fit 6"),
        ("MaxPool", {"kernel_shape": (2, 2), "auto_pad": "SAME_UPPER"}, "auto_pad"),
        ("MaxPool", {"kernel_shape": (2, 2), "pads": (2, 2, 2, 2)}, "lie in the padding"),
        ("MaxPool", {"kernel_shape": (2, 2)}, "is not what its operators compute"),
        ("Transpose", {"perm": (0, 1, 1, 2)}, "the order"),
        ("Conv", {}, "KeyError|IndexError"),
    ],
)
def test_refusals(kind: str, attributes: dict[str, Any], said: str) -> None:
    """What cannot be computed is refused with the model and the reason."""
    graph = one_layer(kind, (1, 6, 6, 2), (1, 6, 6, 2), attributes, exponents=(-5, -5))
    with pytest.raises(ModelError, match=said) as caught:
        network_of(graph, "graph")
    assert str(caught.value).startswith("graph: ")
