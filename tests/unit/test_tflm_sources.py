"""What firmware with TensorFlow Lite Micro links: the file as an array, the operators, the arena."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.engines import tflm, tflmops
from pytest_tinyml.engines.carray import array_body
from pytest_tinyml.engines.component import DESCRIPTION
from pytest_tinyml.errors import BuildError, UnsupportedOperatorError
from pytest_tinyml.references.arena import probe_arena
from pytest_tinyml.stores.models import load_model
from tests.campaigns import zoo_on
from tests.firmware.tools import FIRMWARE, INCLUDE, need, run
from tests.unit.tflite_models import Builder, keras_mlp, record

if TYPE_CHECKING:
    from pathlib import Path

RESOLVER = """
#include <stdio.h>
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
namespace tflite {
struct MicroOpResolver { unsigned calls = 0; };
template <unsigned N> struct MicroMutableOpResolver : MicroOpResolver {
  TfLiteStatus add(const char *name) { puts(name); return calls++ < N ? kTfLiteOk : kTfLiteError; }
  TfLiteStatus AddFullyConnected() { return add("AddFullyConnected"); }
  TfLiteStatus AddSoftmax() { return add("AddSoftmax"); }
  TfLiteStatus AddReshape() { return add("AddReshape"); }
  TfLiteStatus AddShape() { return add("AddShape"); }
  TfLiteStatus AddStridedSlice() { return add("AddStridedSlice"); }
  TfLiteStatus AddPack() { return add("AddPack"); }
};
}
"""
"""Stands for TensorFlow Lite Micro's own header, which no package of this project's brings."""

PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#include "model.h"
#include "tflm_engine_config.h"
#include "tml_model.h"
#include "tml_ops.h"
int main() {
  const tflite::MicroOpResolver *ops = tml_ops();
  FILE *file = fopen("copy.tflite", "wb");
  fwrite(g_model, 1, (size_t)g_model_len, file);
  fclose(file);
  unsigned off = (unsigned)((uintptr_t)g_model % 16);
  printf("%d %u %d %s\\n", ops != nullptr, off, TML_TFLM_ARENA_BYTES, tml_the_model.name);
}
"""


def test_the_sources_compile_to_the_model(tmp_path: Path) -> None:
    """A C++ compiler makes the very bytes of them, aligned, and registers exactly the model's operators."""
    compiler = need("c++")
    model = record(keras_mlp())
    made = tflm.generate(model, tmp_path / "out", 5000)
    header = tmp_path / "tensorflow" / "lite" / "micro" / "micro_mutable_op_resolver.h"
    header.parent.mkdir(parents=True)
    header.write_text(RESOLVER)
    (tmp_path / "main.cc").write_text(PROGRAM)
    flags = ["-Wall", "-Wextra", "-Werror", INCLUDE, f"-I{made.folder}", f"-I{tmp_path}"]
    run([need("cc"), "-std=c11", *flags, "-c", made.folder / "tml_model.c", "-o", tmp_path / "tml_model.o"])
    cpp = [path for path in made.sources if path.suffix == ".cc"]
    program = tmp_path / "program"
    run([compiler, "-std=c++17", *flags, *cpp, tmp_path / "main.cc", tmp_path / "tml_model.o", "-o", program])
    lines = run([program], cwd=tmp_path).splitlines()
    assert model.data == (tmp_path / "copy.tflite").read_bytes()
    assert [tflmops.method(name) for name in made.operators] == lines[:-1]
    assert f"1 0 5000 {model.name}" == lines[-1]


@pytest.mark.parametrize("size", [1, 11, 12, 13, 24, 1000])
def test_the_array_is_that_of_xxd(size: int, tmp_path: Path) -> None:
    """Line for line, whatever the length of the last line."""
    need("xxd")
    data = bytes(index * 37 % 256 for index in range(size))
    (tmp_path / "data").write_bytes(data)
    (body,) = re.findall(r"\{\n(.*?)\};", run(["xxd", "-i", "data"], cwd=tmp_path), re.DOTALL)
    assert body == array_body(data)


def test_the_array_without_xxd() -> None:
    """The same, where xxd is not there to be asked."""
    assert "  0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,\n  0xff\n" == array_body(
        bytes([*range(12), 255])
    )


@pytest.mark.parametrize("name", zoo_on("tflm"))
def test_every_model_of_the_zoo(name: str, tmp_path: Path) -> None:
    """Each has a resolver of its operators and an arena that it runs in on the host."""
    model = load_model(name)
    made = tflm.generate(model, tmp_path)
    assert set(model.operators) == set(made.operators)
    assert f"MicroMutableOpResolver<{len(set(model.operators))}>" in (tmp_path / "tml_ops.h").read_text()
    tight = probe_arena(model, arena_bytes=made.arena_bytes)
    assert abs(tight.used_bytes - made.arena_used_bytes) <= 16  # the arena's alignment
    expected = {
        "model": name,
        "model_sha256": model.sha256,
        "engine": "tflm",
        "operators": list(made.operators),
        "arena_bytes": made.arena_bytes,
        "arena_used_bytes": made.arena_used_bytes,
    }
    assert expected == json.loads((tmp_path / DESCRIPTION).read_bytes())


@pytest.mark.parametrize(("used", "expected"), [(1, 2048), (9680, 13 * 1024), (8192, 11 * 1024), (12 << 10, 16 << 10)])
def test_the_margin(used: int, expected: int) -> None:
    """A quarter and one KiB more, in whole KiB."""
    assert expected == tflm.arena_with_margin(used)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("CONV_2D", "AddConv2D"),
        ("DEPTHWISE_CONV_2D", "AddDepthwiseConv2D"),
        ("L2_POOL_2D", "AddL2Pool2D"),
        ("RELU6", "AddRelu6"),
        ("PADV2", "AddPadV2"),
        ("SPLIT_V", "AddSplitV"),
        ("BATCH_MATMUL", "AddBatchMatMul"),
        ("SignalRfft", "AddRfft"),
        ("BIDIRECTIONAL_SEQUENCE_LSTM", None),
        ("Flex", None),
    ],
)
def test_methods(operator: str, expected: str | None) -> None:
    """Names in camel case, those that are otherwise, custom operators, and what there is no kernel for."""
    assert expected == tflmops.method(operator)


def test_an_operator_without_a_kernel(tmp_path: Path) -> None:
    """It is refused with its name and place, and nothing is written."""
    net = Builder()
    source, middle, result = (net.tensor([1, 4], scale=0.1) for _ in range(3))
    net.operator("RELU", [source], [middle])
    net.operator("RELU_N1_TO_1", [middle], [result])
    with pytest.raises(UnsupportedOperatorError, match="operator 1 RELU_N1_TO_1 is not supported by engine 'tflm'"):
        tflm.generate(record(net.finish(source, result)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is named."""
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match=r"cannot write the generated sources of tiny to .*file"):
        tflm.generate(record(keras_mlp()), tmp_path / "file", 4096)


def test_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once; made again when a file was changed; apart for another arena and another card."""
    monkeypatch.setenv("TINYML_CACHE", str(tmp_path / "cache"))
    model = record(keras_mlp())
    first = tflm.generated(model)
    text = (first.folder / "model.cc").read_text()
    (first.folder / "model.cc").write_text(text.replace("0x", "0X", 1))
    with monkeypatch.context() as patch:
        patch.setattr(tflm, "_write", None)
        with pytest.raises(TypeError):
            tflm.generated(model)
    assert (first, text) == (tflm.generated(model), (first.folder / "model.cc").read_text())
    monkeypatch.setattr("pytest_tinyml.references.arena.probe_arena", None)
    assert first == tflm.generated(model)
    others = {tflm.generated(model, 9000).folder, tflm.generated(replace(model, name="other"), 9000).folder}
    assert 3 == len({first.folder, *others})


def test_what_the_engine_includes_is_written(tmp_path: Path) -> None:
    """Every header that the engine includes without having it is one of the generated ones."""
    made = tflm.generate(record(keras_mlp()), tmp_path, 4096)
    engine = FIRMWARE / "engines" / "tflm"
    text = "".join(path.read_text() for path in sorted(engine.glob("*")))
    wanted = set(re.findall(r'#include "([\w]+\.h)"', text))
    here = {path.name for folder in (engine, FIRMWARE / "core" / "include") for path in folder.glob("*.h")}
    assert {path.name for path in made.headers} == wanted - here
    shutil.rmtree(tmp_path)
