"""Reading .espdl files: what is in them, and that nothing in a damaged one leads anywhere."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tinyml.boards import esp32, esp32cam, tflm
from pytest_tinyml.engines import aot
from pytest_tinyml.engines.espdlbuild import EspdlBuilder
from pytest_tinyml.engines.layers.fromespdl import network_of
from pytest_tinyml.engines.layers.potexp import FRACTION_BITS, of_bits
from pytest_tinyml.engines.select import FLOAT_TOLERANCE, absolute_tolerance, engine_of
from pytest_tinyml.errors import ModelError
from pytest_tinyml.records import TensorSpec
from pytest_tinyml.stores.espdl import read_espdl, require_family
from pytest_tinyml.stores.models import load_model

if TYPE_CHECKING:
    from pathlib import Path


def built() -> bytes:
    """Return a small network of 16 bits: a convolution, a pooling, a dense layer."""
    builder = EspdlBuilder((1, 6, 6, 1))
    builder.convolution(2, seed=1)
    builder.pool()
    builder.flatten()
    builder.dense(3, seed=2, relu=False)
    return builder.finish()


DATA = built()


def test_content() -> None:
    """Tensors, operators, bits and the chip are read."""
    graph = read_espdl(DATA, "x.espdl")
    assert TensorSpec(dtype="int16", shape=(1, 6, 6, 1), scale=2.0**-14) == graph.input
    assert TensorSpec(dtype="int16", shape=(1, 3), scale=2.0**-14) == graph.output
    assert ("Conv", "MaxPool", "Transpose", "Flatten", "Gemm") == graph.operators
    assert (16, "esp32", True) == (graph.bits, graph.family, graph.family_known)
    assert (3, 3, 1, 2) == graph.constants["0.weight"].dims
    assert (1, 1) == graph.nodes[0].attributes["strides"]


def test_tolerance_of_the_part() -> None:
    """ESP-DL's softmax on a part may differ from the reference in the last places; our C may not."""
    model = load_model("s3-int8")
    assert (FLOAT_TOLERANCE, 0.0) == (absolute_tolerance("espdl", model), absolute_tolerance("espdl-c", model))


def test_model(tmp_path: Path) -> None:
    """A file is told by its first bytes, whatever its name is, and goes to its engine."""
    for name in ("own.espdl", "own.bin"):
        (tmp_path / name).write_bytes(DATA)
        model = load_model(str(tmp_path / name))
        assert ("own", "espdl", "espdl-c") == (model.name, model.format, engine_of(model))
    with pytest.raises(ModelError, match=r"own: is an \.espdl file, which only engines 'espdl-c'"):
        aot.generated(model)
    for kind in (tflm.KIND, esp32.KIND, esp32cam.KIND):
        with pytest.raises(ModelError, match=r"own: is an \.espdl file, which only engines 'espdl-c'"):
            kind.check(model)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", r"not an \.espdl file: expected the identifier b'EDL2' at offset 0, got b'' in 0 bytes"),
        (b"TFL3" + DATA[4:], "not an .espdl file"),
        (b"PDL2" + DATA[4:], r"is a package of \.espdl files \(PDL2\)"),
        (DATA[:4] + struct.pack("<I", 1) + DATA[8:], "is encrypted"),
        (DATA[:-40], r"truncated \.espdl file: \d+ bytes of \d+"),
        (DATA[:8] + struct.pack("<I", 4) + DATA[12:], "damaged"),
        (DATA[:16] + b"\xff" * 4 + DATA[20:], "damaged"),
        (DATA.replace(b"quant_type", b"quant_typo"), "is not quantised"),
        (DATA.replace(b"S16", b"S17"), "is quantised as S17"),
        (DATA.replace(b"\5\0\0\0esp32", b"\5\0\0\0esp99"), "was made for the chip 'esp99'"),
        (DATA.replace(b"layout ==> NHWC", b"layout ==> (N/8"), "made for esp32, with weights ordered"),
    ],
    ids=["empty", "other", "package", "encrypted", "truncated", "short", "root", "float", "bits", "chip", "order"],
)
def test_bad_files(data: bytes, said: str) -> None:
    """Each kind of wrong file is told from the others, with its name."""
    with pytest.raises(ModelError, match=said) as caught:
        read_espdl(data, "x.espdl")
    assert str(caught.value).startswith("x.espdl: ")


def test_every_truncation() -> None:
    """A file that ends too early is refused, wherever it ends, also if its header knows."""
    for size in range(16, len(DATA), 7):
        cut = DATA[:8] + struct.pack("<I", size - 16) + DATA[12:size]
        with pytest.raises(ModelError):
            network_of(read_espdl(cut, "x"), "x")


@settings(max_examples=300)
@given(place=st.integers(16, len(DATA) - 1), value=st.integers(0, 255))
def test_every_damage(place: int, value: int) -> None:
    """One wrong byte gives a network or a ModelError, never anything else."""
    damaged = DATA[:place] + bytes([value]) + DATA[place + 1 :]
    with contextlib.suppress(ModelError):
        network_of(read_espdl(damaged, "x"), "x")


def test_other_chip() -> None:
    """A file for one family of chips is refused for another, with the command that helps."""
    graph = read_espdl(DATA, "x")
    require_family(graph, "esp32c3", "x")
    with pytest.raises(ModelError, match=r"was made for esp32, .*those of esp32s3: .*--bits 16 --target esp32s3"):
        require_family(graph, "esp32s3", "x")


@pytest.mark.parametrize("exponent", [-20, -7, 0, 4, 30])
def test_exponentials(exponent: int) -> None:
    """The factors of the softmax are normalised, and exp of what they stand for."""
    for bit, (mantissa, power) in enumerate(zip(*of_bits(16, exponent), strict=True)):
        assert 1 << FRACTION_BITS <= mantissa < 1 << (FRACTION_BITS + 1)
        argument = 2.0 ** (bit + exponent)
        if argument < 700:
            assert np.exp(-argument) == pytest.approx(mantissa * 2.0**-FRACTION_BITS * 2.0**-power, rel=1e-13)
        else:
            assert power >= 1000
