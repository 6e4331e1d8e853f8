"""Test data as C, and the program of plain C that reads them: S4 without a board and without C++."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml import firmware
from pytest_tinyml.campaign.selftest import self_test
from pytest_tinyml.cli import main
from pytest_tinyml.contractsetup import cached_dataset, cached_model, expected_scores
from pytest_tinyml.engines.samplefile import HAS_SAMPLES
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.errors import BoardTimeoutError
from pytest_tinyml.verdict.compare import predictions
from pytest_tinyml.verdict.metrics import dequantize
from tests.unit.shaped_models import HEADS, SIDE, shaped_model

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 50
MODELS = ("s4-float", "s4-ptq", "s4-qat", "s2-ptq", "s2-float")
"""Float tensors and pixels; S2 is preprocessed by the firmware as int8, and by the host as float."""


@pytest.mark.parametrize("name", MODELS)
def test_what_the_program_says(name: str) -> None:
    """Every output, prediction and label is the host's."""
    model, data = cached_model(name), cached_dataset("mnist-28k", COUNT)
    scores = expected_scores("mnist-28k", COUNT, model, "tflm")
    tested = self_test(model, data, COUNT)
    assert np.asarray(data.labels).tolist() == [one.label for one in tested]
    assert predictions(scores, model.output).tolist() == [one.predicted for one in tested]
    # Four decimals, halves up.
    assert dequantize(scores, model.output) == pytest.approx(np.array([one.values for one in tested]), abs=5.1e-5)


def test_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """`tinyml selftest` prints a line per sample and the accuracy."""
    assert 0 == main(["selftest", "s4-ptq", "--count", "12"])
    lines = capsys.readouterr().out.splitlines()
    data = cached_dataset("mnist-28k", 12)
    assert data.labels is not None
    assert [f"#{k}: label {label}, predicted" for k, label in enumerate(data.labels)] == [
        line.rpartition(" (")[0].rpartition(" ")[0] for line in lines[:-1]
    ]
    assert "s4-ptq: 12 of 12 right, accuracy 100.00%" == lines[-1]


@pytest.mark.parametrize("model", [None, "s4-ptq", "s4-float"])
def test_exported(model: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `tinyml export-samples` writes compiles without a warning and without our folders, and holds the samples."""
    options = [] if model is None else ["--model", model]
    assert 0 == main(["export-samples", "--format", "c", "--count", str(COUNT), "--out", str(tmp_path), *options])
    assert f"{COUNT} samples of mnist-28k, labelled" in capsys.readouterr().out
    (tmp_path / "dump.c").write_text(
        """#include <stdio.h>
#include "tml_samples.h"
int main(void) {
    const tml_samples *s = &tml_the_samples;
    printf("%u %u %d", (unsigned)s->count, (unsigned)s->bytes, s->tensors);
    for (unsigned i = 0; i < s->count; i++) printf(" %d", (int)s->labels[i]);
    printf("\\n");
    return fwrite(s->data, s->bytes, s->count, stdout) == s->count ? 0 : 1;
}
"""
    )
    compiler = firmware.find_compiler()
    strict = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror")
    files = [str(tmp_path / name) for name in ("dump.c", "tml_samples.c")]
    subprocess.run([*compiler, *strict, *files, "-o", str(tmp_path / "dump")], check=True, timeout=60)
    head, _, data = subprocess.run(
        [tmp_path / "dump"], stdout=subprocess.PIPE, check=True, timeout=10
    ).stdout.partition(b"\n")
    whole = cached_dataset("mnist-28k", COUNT)
    floats = model == "s4-float"
    images = (whole.images / 255).astype(np.float32) if floats else whole.images
    assert [COUNT, images[0].nbytes, floats, *np.asarray(whole.labels)] == [int(word) for word in head.split()]
    assert images.tobytes() == data


@pytest.mark.parametrize("head", [head for head in HEADS if head in {"two", "sigmoid"}])
def test_two_classes(head: str, tmp_path: Path) -> None:
    """Two classes and one sigmoid in float: the same predictions as on the host."""
    from pytest_tinyml.stores.datasets import load_dataset
    from pytest_tinyml.stores.models import load_model

    (tmp_path / "shaped.tflite").write_bytes(shaped_model("float32", "two" if head == "two" else "sigmoid"))
    images = np.random.default_rng(6).integers(0, 256, (9, SIDE, SIDE), dtype=np.uint8)
    np.savez(tmp_path / "shaped.npz", images=images)
    model, data = load_model(str(tmp_path / "shaped.tflite")), load_dataset(str(tmp_path / "shaped.npz"))
    scores = expected_scores(str(tmp_path / "shaped.npz"), 9, model, "litert-ref")
    tested = self_test(model, data, 9)
    assert predictions(scores, model.output).tolist() == [one.predicted for one in tested]
    assert {None} == {one.label for one in tested}
    assert 2 == len({one.predicted for one in tested})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["selftest", "s4-ptq", "--count", "28001"], "28001 samples of mnist-28k cannot be compiled in: it has 28000"),
        (["export-samples", "--out", "/proc/none/x"], "cannot write to /proc/none/x: "),
        (["selftest", "s9"], "no model named 's9'"),
    ],
)
def test_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be compiled in or written is said."""
    assert 2 == main(arguments)
    assert message in capsys.readouterr().err


def test_regressions_have_no_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that its card declares a regression is refused."""
    (tmp_path / "own.tflite").write_bytes(shaped_model("float32", "value"))
    (tmp_path / "own.card.toml").write_text('schema = 1\ntask = "regression"\n[preprocess]\nkind = "scale"\n')
    np.savez(tmp_path / "own.npz", images=np.zeros((3, SIDE, SIDE), np.uint8))
    assert 2 == main(["selftest", str(tmp_path / "own.tflite"), "--dataset", str(tmp_path / "own.npz"), "--count", "3"])
    assert "the task of model 'own' is regression" in capsys.readouterr().err


def test_it_ends_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program that does not end by itself is ended."""
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    endless.chmod(0o700)
    monkeypatch.setattr(firmware, "build_native", lambda *_, **__: SimpleNamespace(path=endless))
    with pytest.raises(BoardTimeoutError, match=r"did not end within 0\.2 s"):
        self_test(cached_model("s4-ptq"), cached_dataset("mnist-28k", COUNT), COUNT, timeout_s=0.2)


def test_a_program_without_samples_says_so() -> None:
    """The firmware of a board, which has none, refuses; so does one that is also given a line."""
    generated = sources_for(cached_model("s4-ptq"))
    sources = [*generated.own_sources, *generated.vendor_sources]
    folders = [*generated.include_dirs, generated.engine_dir]
    program = firmware.build_native(sources, folders).path
    done = subprocess.run([program, "--selftest"], capture_output=True, text=True, timeout=60, check=False)
    assert (1, "error no images are compiled in\n") == (done.returncode, done.stdout)
    for wrong in (["--selftest", "--fd", "0"], ["--selftest", "--mlperf", "ic"], []):
        assert 0 != subprocess.run([program, *wrong], capture_output=True, timeout=60, check=False).returncode
    assert {"TML_HAS_SAMPLES": "1"} == HAS_SAMPLES
