"""Engine stedgeai against a stand-in for ST's tool: both interfaces, the library, reports, and what can go wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml import firmware
from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.native import NativeBoard
from pytest_tinyml.boards.nucleo_f446re import KIND, PART
from pytest_tinyml.campaign.families import Family
from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.campaign.stedgeai import validate
from pytest_tinyml.cli import main
from pytest_tinyml.contractsetup import cached_dataset, cached_model
from pytest_tinyml.engines import stedgeai
from pytest_tinyml.engines.stedgeaireport import read_footprint, read_validation
from pytest_tinyml.errors import BuildError, MissingToolError, ModelError, UsageError
from pytest_tinyml.references import get_reference
from tests.presence import lacking
from tests.stedgeai import tool

if TYPE_CHECKING:
    from pytest_tinyml.records import Model

# As public documents of ST's show it; the figures are invented.
OLD_REPORT = """
Neural Network Tools for STM32AI v1.4.1 (STM.ai v7.1.0-RC6)
macc               : 7,162,968
weights (ro)       : 218,920 B (213.79 KiB)
activations (rw)   : 38,240 B (37.34 KiB)
ram (total)        : 47,458 B (46.35 KiB) = 38,240 + 9,216 + 2
"""


class StedgeaiBoard(NativeBoard):
    """The native firmware around what ST's tool generated."""

    def prepare(self) -> str:
        """See `Board.prepare`."""
        self._firmware = self.build(stedgeai.sources_for(self.request.model))
        return self._firmware.sha256


@pytest.fixture(params=["legacy"])
def installed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the stand-in, of the kind that a test asks for."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv(stedgeai.FOLDER_VARIABLE, str(tmp_path / "st"))
    monkeypatch.setenv("TINYML_CACHE", str(tmp_path / "cache"))
    tool.install(tmp_path / "st", request.param)
    return tmp_path


def small(folder: Path) -> Model:
    """Return a network without a softmax, which the stand-in's generator does not join."""
    return Family(name="mlp", bits=8).make(12, folder)


@pytest.mark.parametrize("installed", ["legacy", "stai"], indirect=True)
def test_both_interfaces(installed: Path) -> None:
    """A network behind either interface runs in the firmware: every byte is TensorFlow Lite Micro's."""
    model, data = small(installed), cached_dataset("mnist-28k", 200)
    board = StedgeaiBoard(BoardRequest(model=model, work_dir=installed))
    encoder = SampleEncoder(model, data)
    work = ListWork(encoder, range(50))
    try:
        identity = board.open()
        board.stream(work)
        again = board.open()
        assert again.engine == identity.engine == "stedgeai"
        encoding = encoder.choose(identity.encodings, packed=False)
        repeated = board.canary(encoding, 7, encoder.data(encoding, 7)).scores
    finally:
        board.close()
    expected = get_reference("tflm").scores(model, encoder.tensors(slice(0, 50)))
    assert expected.tobytes() == b"".join(work.scores[k] for k in range(50))
    assert work.scores[7] == repeated
    assert 784 + 10 < identity.arena_used < 3000


def test_sources(installed: Path) -> None:
    """Sizes are the tool's, kernels are its functions, the library and its headers are the installation's."""
    generated = stedgeai.sources_for(small(installed))
    assert (tool.WEIGHTS, tool.ACTIVATIONS) == (generated.weights_bytes, generated.arena_bytes)
    assert ["Dense", "Softmax"] == [use.operator for use in generated.kernels_used]
    assert "forward_dense_integer_SSSA_ch" == generated.kernels_used[0].function
    assert ["NetworkRuntime987_CM4_GCC.a"] == [path.name for path in generated.libraries]
    assert installed / "st/Middlewares/ST/AI/Inc" == generated.include_dirs[-1]
    assert generated == stedgeai.sources_for(small(installed))


def test_for_the_nucleo(installed: Path) -> None:
    """The STM32F446's firmware links with the library, for the FPU, when the board is asked for the engine."""
    if PART.missing():
        lacking("gcc-arm-none-eabi")
    request = BoardRequest(model=small(installed), work_dir=installed, options={"engine": "stedgeai"})
    assert "stedgeai" == KIND.engine_for(request.model, request.options)
    built = KIND.create(request).build()
    assert firmware.function_at(built.path, _symbol(built.path, "ai_network_run")) == "ai_network_run"
    flags = subprocess.run(
        ["arm-none-eabi-readelf", "-A", str(built.path)], capture_output=True, text=True, timeout=30, check=True
    )
    assert "Tag_ABI_VFP_args: VFP registers" in flags.stdout


def _symbol(path: Path, name: str) -> int:
    from pytest_tinyml.firmware.image import symbol_values

    return symbol_values(path)[name]


def test_tool_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the tool the message says where to get it, on the command line as well."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(stedgeai.FOLDER_VARIABLE, raising=False)
    assert "stedgeai or stm32ai" == stedgeai.missing()
    with pytest.raises(MissingToolError, match=r"st\.com/stedgeai"):
        stedgeai.sources_for(cached_model("s1-ptq"))
    assert 2 == main(["stedgeai", "s1-ptq"])
    assert "needs stedgeai or stm32ai, which was not found: download ST Edge AI Core" in capsys.readouterr().err


@pytest.mark.parametrize(("gone", "name"), [("Inc", "Inc"), ("Lib", "NetworkRuntime")])
def test_half_installed(installed: Path, gone: str, name: str) -> None:
    """A program without its headers or its library is as good as none, and what lacks is named."""
    folder = installed / "st/Middlewares/ST/AI"
    (folder / gone).rename(folder / "elsewhere")
    assert name in stedgeai.missing()
    with pytest.raises(MissingToolError, match=name):
        stedgeai.sources_for(small(installed))


@pytest.mark.parametrize(
    ("installed", "error", "message"),
    [
        ("refuse", ModelError, "refused by engine 'stedgeai': NOT IMPLEMENTED: Unsupported layer types: FOO"),
        ("crash", BuildError, "stedgeai generate fails on mlp-8bit-width-12"),
        ("mute", BuildError, "network_generate_report.txt"),
        ("old", UsageError, "X-CUBE-AI 7.1 or later is needed"),
    ],
    indirect=["installed"],
)
def test_failures(installed: Path, error: type[Exception], message: str) -> None:
    """A refusal is the model's fault and quotes the tool; another failure names the tool's output."""
    with pytest.raises(error) as caught:
        stedgeai.sources_for(small(installed))
    assert message in str(caught.value)
    log = getattr(caught.value, "log_path", None)
    if log is not None:
        assert "Segmentation fault" in Path(log).read_text(encoding="utf-8")


def test_espdl_is_refused(installed: Path) -> None:
    """An .espdl is none of its models."""
    model = Family(name="mlp", bits=16, height=4, width=4).make(3, installed)
    with pytest.raises(ModelError, match=r"takes \.tflite files"):
        stedgeai.sources_for(model)


def test_validation_in_our_words(installed: Path) -> None:
    """ST's acc, rmse, mae, l2r, nse and cos arrive under the names that a run has; what it does not know is None."""
    model, data = cached_model("s1-ptq"), cached_dataset("mnist-28k", 200)
    found = validate(model, data, 200, installed)
    truth = data.labels
    assert truth is not None
    scores = get_reference("litert").scores(model, SampleEncoder(model, data).tensors(slice(0, 200)))
    top1 = float(np.mean(scores.argmax(axis=1) == truth[:200]))
    assert (200, None) == (found.samples, found.latency_ms)
    assert (0.995, top1 - 1 / 200, top1) == pytest.approx(
        (found.argmax_agreement, found.top1_board, found.top1_reference), abs=1e-4
    )
    distance = found.distance
    assert (0.001408418, 0.000273437, 0.004749658, None, 0.999988) == (
        distance.rmse,
        distance.mae,
        distance.l2r,
        distance.nse,
        distance.cos,
    )


def test_validation_on_a_part(installed: Path) -> None:
    """On a part the report has a latency."""
    found = validate(
        small(installed), cached_dataset("mnist-28k", 200), 5, installed, description="serial:/dev/x:921600"
    )
    assert 11.97 == found.latency_ms


def test_command(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the command line: what the model takes, and each metric by its name in results.json."""
    assert installed.is_dir()
    assert 0 == main(["stedgeai", "s1-ptq", "--dataset", "mnist-28k", "--limit", "20"])
    lines = capsys.readouterr().out.splitlines()
    assert ["ST's tool 9.8.7", "flash 12,345 B of weights, RAM 6,789 B, 109,386 MACs", "20 samples"] == lines[:3]
    assert ["argmax_agreement", "top1_board", "top1_reference", "rmse", "mae", "l2r", "cos"] == [
        line.split()[0] for line in lines[3:]
    ]
    assert 2 == main(["stedgeai", "s1-ptq", "--limit", "0"])


def test_reports_of_the_older_tool() -> None:
    """The report of stm32ai is read as well: input and output are beside the activations there."""
    found = read_footprint(OLD_REPORT)
    assert (218_920, 38_240, 47_458, 7_162_968) == (
        found.weights_bytes,
        found.activations_bytes,
        found.ram_bytes,
        found.macs,
    )
    assert "1.4.1" == found.version


@pytest.mark.parametrize(
    "text", ["", "weights (ro) : 12 B", "Evaluation report (summary)\nOutput   acc   tensor\nnothing"]
)
def test_unreadable_reports(text: str) -> None:
    """A report that says nothing is an error, not a row of zeros."""
    with pytest.raises(BuildError, match="does not say"):
        read_footprint(text)
    with pytest.raises(BuildError, match="X-cross"):
        read_validation(text)
