"""Float models of the zoo and of users become .espdl files that classify as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.cli import main
from pytest_tinyml.engines.espdlweights import filters_of
from pytest_tinyml.errors import BuildError, DatasetError, ModelError, UnknownNameError
from pytest_tinyml.preprocess import input_tensors
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.references import get_reference
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.espdl import read_espdl
from pytest_tinyml.stores.models import load_model
from pytest_tinyml.training.espdl import FloatNetwork, calibration_of, from_onnx, quantise
from pytest_tinyml.training.stairs import load_torch_recipe
from tests.unit.tflite_models import keras_mlp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.espdl, pytest.mark.filterwarnings("default"), pytest.mark.xdist_group("convert")]

DIGITS = load_dataset("mnist-28k")
TESTED = slice(1000, 3000)
LOSS = 0.02
"""Of the accuracy: 2,000 digits are not the 28,000, which moves it by up to a point, and ranges come from 64 only."""


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 64 digits that are not tested on."""
    path = tmp_path_factory.mktemp("data") / "calibration.npz"
    assert DIGITS.labels is not None
    np.savez(path, images=DIGITS.images[:64], labels=DIGITS.labels[:64])
    return path


@pytest.mark.parametrize(("system", "bits"), [("s0", 8), ("s1", 16), ("s2", 8), ("s4", 16)])
def test_zoo(system: str, bits: int, calibration: Path, tmp_path: Path) -> None:
    """A zoo's float model keeps its preprocessing and its accuracy."""
    arguments = ["convert", f"{system}-float", "--espdl", "--bits", str(bits), "--calibrate", str(calibration)]
    assert 0 == main([*arguments, "--out", str(tmp_path)])
    model = load_model(str(tmp_path / f"{system}-int{bits}.espdl"))
    assert load_model(f"{system}-float").preprocess == model.preprocess
    assert (f"{system}-int{bits}", f"int{bits}") == (model.name, model.input.dtype)
    images = DIGITS.images[TESTED]
    scores = get_reference("espdl").scores(model, input_tensors(images, model.preprocess, model.input))
    assert DIGITS.labels is not None
    accuracy = float(np.mean(scores.argmax(axis=1) == DIGITS.labels[TESTED]))
    card = load_model(f"{system}-float").card_top1
    assert card is not None
    assert accuracy > card - LOSS


def test_onnx(calibration: Path, tmp_path: Path) -> None:
    """The zoo's ONNX file gives what is in the zoo: the same weights, whatever ranges the samples give."""
    source = assets_dir("models") / "s3" / "s3-float.onnx"
    arguments = ["convert", str(source), "--espdl", "--target", "esp32p4", "--calibrate", str(calibration)]
    assert 0 == main([*arguments, "--out", str(tmp_path)])
    p4 = read_espdl((tmp_path / "s3-int8.espdl").read_bytes(), "p4")
    zoo = read_espdl(load_model("s3-int8").data, "zoo")
    assert ("esp32p4", "esp32") == (p4.family, zoo.family)
    for theirs, ours in zip(p4.nodes, zoo.nodes, strict=True):
        if theirs.kind in {"Conv", "Gemm"}:
            real = []
            for graph, node in ((p4, theirs), (zoo, ours)):
                constant = graph.constants[node.inputs[1]]
                filters = filters_of(constant, depthwise=False).astype(np.float64)
                real.append(filters * np.exp2(np.array(constant.exponents, np.float64)).reshape(-1, 1, 1, 1))
            steps = 2.0 ** zoo.constants[ours.inputs[1]].exponents[0]
            assert np.abs(real[0] - real[1]).max() <= steps


def own(path: Path, data: bytes) -> str:
    """Write a file and return its name."""
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda _: ["s1"], "s1-ptq is quantised already; take the float model: tinyml convert s1-float --espdl"),
        (lambda folder: [own(folder / "own.tflite", keras_mlp())], "only float models can be quantised for ESP-DL"),
        (lambda folder: [own(folder / "own.onnx", b"what")], "own.onnx: not a usable ONNX file"),
        (lambda folder: [str(folder / "none.onnx")], "none.onnx: cannot be read"),
        (lambda _: ["s1-float", "--target", "esp33"], "no chip named 'esp33'; did you mean 'esp32"),
        (lambda _: ["s1-float", "--samples", "0"], "--samples 0: must be at least 1"),
        (lambda _: ["s1-float", "--c-array"], "--espdl writes a model file"),
    ],
    ids=["quantised", "int8", "damaged", "absent", "chip", "samples", "array"],
)
def test_bad_requests(
    arguments: Callable[[Path], list[str]],
    said: str,
    calibration: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be converted is refused with the reason, before esp-ppq is asked."""
    command = ["convert", *arguments(tmp_path), "--espdl", "--calibrate", str(calibration), "--out", str(tmp_path)]
    assert 2 == main(command)
    assert said in capsys.readouterr().err


def test_options_without_espdl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that would be ignored is refused."""
    assert 2 == main(["convert", "s1", "--bits", "8", "--out", str(tmp_path)])
    assert "--bits needs --espdl" in capsys.readouterr().err


def network(**changes: Any) -> FloatNetwork:
    """Return S3's float network, changed."""
    known = from_onnx(assets_dir("models") / "s3" / "s3-float.onnx", PreprocessSpec())
    return FloatNetwork(**{name: getattr(known, name) for name in known.__slots__} | changes)


def test_samples_that_do_not_fit() -> None:
    """Calibration data of another shape are refused with both shapes."""
    with pytest.raises(DatasetError, match=r"do not fit the input of s3-float: expected \[1, 28, 29\], got \[28, 28\]"):
        calibration_of(network(shape=(1, 1, 28, 29)), DIGITS, 4)


def test_failing_quantiser(tmp_path: Path) -> None:
    """When esp-ppq fails, its last words are the message and all of them are kept."""
    samples = np.zeros((2, 1, 20, 20), np.float32)
    with pytest.raises(BuildError, match="esp-ppq cannot quantise s3-float: ") as caught:
        quantise(network(), samples, bits=8, target="esp32")
    assert caught.value.log_path is not None
    assert "Traceback" in caught.value.log_path.read_text()
    caught.value.log_path.unlink()


def test_unknown_step() -> None:
    """A step that the staircase has not is answered with those that it has."""
    with pytest.raises(UnknownNameError, match=r"no step named '14'.*Known: 15, 16"):
        load_torch_recipe("s3").stair(14)


def test_onnx_of_dynamic_shape(tmp_path: Path) -> None:
    """A batch of any size is one of 1; any other dynamic dimension is refused."""
    import onnx

    model = onnx.load(str(assets_dir("models") / "s3" / "s3-float.onnx"))
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_param = "batch"
    path = tmp_path / "any.onnx"
    onnx.save(model, str(path))
    assert (1, 1, 28, 28) == from_onnx(path, PreprocessSpec()).shape
    dims[2].dim_param = "height"
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"has the shape \[1, 1, 0, 28\] \(0 is dynamic\)"):
        from_onnx(path, PreprocessSpec())
