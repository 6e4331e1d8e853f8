"""Photographs in folders by class, from the files to the verdict. All pictures are generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.projects import refusal
from tests.unit.tflite_models import convnet

if TYPE_CHECKING:
    from tests.projects import Project

RUN = ("--board", "tflm", "--tinyml-model", "faces.tflite", "--tinyml-dataset", "photos")
"""A network of [1, 9, 9, 3], on portraits and landscapes of other sizes."""


@pytest.fixture
def faces(project: Project) -> Project:
    """Two classes of ten JPEGs, each of another size."""
    (project.path / "faces.tflite").write_bytes(convnet())
    random = np.random.default_rng(8)
    for name in ("female", "male"):
        (project.path / "photos" / name).mkdir(parents=True)
        for k in range(10):
            pixels = random.integers(0, 256, (12 + 2 * k, 30 - k, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(project.path / "photos" / name / f"{k}.jpg")
    return project


def test_the_held_out_are_streamed(faces: Project) -> None:
    """Pictures of any size are fed in the shape of the model; only the held-out fifth, unless asked otherwise."""
    faces.run(*RUN).assert_outcomes(passed=7)
    results = faces.results()
    assert ("photos", 4, True) == tuple(results["dataset"][key] for key in ("name", "count", "labelled"))
    assert [2, 2] == [sum(row) for row in results["metrics"]["confusion_board"][:2]]
    faces.run(*RUN[:-1], "photos#train").assert_outcomes(passed=7)
    assert 16 == faces.results()["dataset"]["count"]


def test_a_corrupt_picture_is_named_before_anything_is_run(faces: Project) -> None:
    """One bad file of a data set is found when it is loaded."""
    picture = faces.path / "photos" / "male" / "4.jpg"
    picture.write_bytes(picture.read_bytes()[:200])
    message = refusal(faces.run(*RUN[:-1], "photos#all"))
    assert message.startswith("photos/male/4.jpg: is not a picture that can be read")


def test_another_shape_than_the_models(faces: Project) -> None:
    """A shape that was asked for and does not fit the model is refused like that of any other data."""
    assert "samples do not fit the input of model 'faces': expected [9, 9, 3] (243 values), got [8, 8]" in refusal(
        faces.run(*RUN[:-1], "photos#8x8x1")
    )


def test_a_plain_folder_is_told_what_would_do(project: Project) -> None:
    """A folder with nothing that is known says what it could hold."""
    (project.path / "photos").mkdir()
    (project.path / "photos" / "1.jpg").write_bytes(b"x")
    text = refusal(project.run("--board", "tflm", "--tinyml-model", "own.tflite", "--tinyml-dataset", "photos"))
    assert "no data set in this folder: expected IDX files" in text
    assert "or a folder of pictures per class, got 1.jpg" in text


def test_predict_names_the_file(faces: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """One sample on a board is shown with the name of its picture."""
    from pytest_tinyml.cli import main

    options = ["--board", "tflm", "--model", "faces.tflite", "--dataset", "photos#all", "--index", "3"]
    assert 0 == main(["predict", *options])
    assert "photos #3 " in capsys.readouterr().out
