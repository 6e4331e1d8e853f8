"""Keras files as .tflite: S2's .h5 gives the zoo's own bytes, and what is no such file is refused."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.cli import main
from pytest_tinyml.stores.models import load_model

if TYPE_CHECKING:
    from pathlib import Path

# TensorFlow and Keras warn of deprecations in themselves.
pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("default")]
H5 = assets_dir("models") / "s2" / "s2.h5"


def test_float(tmp_path: Path) -> None:
    """The network that S2 was saved as is the one that its float .tflite was made of, byte for byte."""
    assert 0 == main(["convert", str(H5), "--tflite", "float", "--preprocess", "l2axis1", "--out", str(tmp_path)])
    assert (H5.parent / "s2-float.tflite").read_bytes() == (tmp_path / "s2-float.tflite").read_bytes()
    model = load_model(str(tmp_path / "s2-float.tflite"))
    assert ("l2axis1", False) == (model.preprocess.kind, model.preprocess.assumed)


def test_int8(tmp_path: Path) -> None:
    """Quantised with a data set of one's own, it has int8 at both ends."""
    arguments = ["--tflite", "ptq-pertensor", "--calibrate", "mnist-28k", "--samples", "20", "--preprocess", "l2axis1"]
    assert 0 == main(["convert", str(H5), *arguments, "--out", str(tmp_path)])
    model = load_model(str(tmp_path / "s2-ptq-pertensor.tflite"))
    assert ("int8", "int8") == (model.input.dtype, model.output.dtype)


def test_keras_3(tmp_path: Path) -> None:
    """A .keras file of the Keras that TensorFlow brings today."""
    import keras

    layers = [keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save(tmp_path / "own.keras")
    assert 0 == main(["convert", str(tmp_path / "own.keras"), "--tflite", "float", "--out", str(tmp_path)])
    model = load_model(str(tmp_path / "own-float.tflite"))
    assert ((1, 6, 6, 1), (1, 3)) == (model.input.shape, model.output.shape)


def test_what_is_no_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Absent, damaged, or something else: one line, and nothing is written."""
    broken, odd = tmp_path / "broken.h5", tmp_path / "odd.keras"
    broken.write_bytes(H5.read_bytes()[:3000])
    with zipfile.ZipFile(odd, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    for path, message in (
        (tmp_path / "absent.h5", "no such model file"),
        (broken, "not a network that Keras"),
        (odd, "not a network that Keras"),
    ):
        assert 2 == main(["convert", str(path), "--tflite", "float", "--out", str(tmp_path / "out")])
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tinyml: ")]
        assert f"{path}: {message}" in line
    assert not (tmp_path / "out").exists()


def test_open_shapes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A network for images of any size cannot be compiled for a board."""
    import keras

    layers = [keras.Input((None, None, 1)), keras.layers.Conv2D(2, 3), keras.layers.GlobalAveragePooling2D()]
    keras.Sequential(layers).save(tmp_path / "open.keras")
    assert 2 == main(["convert", str(tmp_path / "open.keras"), "--tflite", "float", "--out", str(tmp_path)])
    assert "all but the batch have to be fixed" in capsys.readouterr().err
