"""``--tinyml-model`` several times: every test runs once per model, and each has a verdict of its own."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.projects import output, refusal

if TYPE_CHECKING:
    from tests.projects import Project

DATA = ("--tinyml-dataset", "own.npz")
TWO = ("--tinyml-model", "own.tflite", "--tinyml-model", "other.tflite", *DATA)
TESTS = ["test_identity", "test_canary", "test_samples", "test_state", "test_accuracy", "test_latency", "test_memory"]


@pytest.fixture
def models(project: Project) -> Project:
    """A user's project with a second model."""
    shutil.copyfile(project.path / "own.tflite", project.path / "other.tflite")
    return project


def _passed(result: pytest.RunResult) -> list[str]:
    return [line.rpartition("::")[2].split()[0] for line in result.outlines if " PASSED" in line]


def test_one_run_each(models: Project) -> None:
    """The tests run for the first model, then for the second; each has its folder, its results and its column."""
    result = models.run("--board", "tflm", *TWO, "-v")
    assert 0 == result.ret
    shard = {"test_samples": "-00000-00039"}
    expected = [f"{test}[{model}{shard.get(test, '')}]" for model in ("own", "other") for test in TESTS]
    assert expected == _passed(result)
    for model in ("own", "other"):
        results = models.results(f"tinyml-report/{model}")
        assert (model, "tflm", True) == (results["model"]["name"], results["board"]["name"], results["passed"])
    assert not (models.path / "tinyml-report" / "results.json").exists()
    text = output(result)
    assert "own, other, 40 of own, against tflm" in text
    assert re.search(r"^ +own +other$", text, re.MULTILINE)
    assert re.search(r"^  verdict +passed +passed$", text, re.MULTILINE)


def test_models_and_boards(models: Project) -> None:
    """Each model runs on each board, all models of a board before the next board."""
    result = models.run("--board", "tflm,native", *TWO, "-v", "-k", "identity")
    names = ["tflm-own", "tflm-other", "native-own", "native-other"]
    assert [f"test_identity[{name}]" for name in names] == _passed(result)
    found = [models.results(f"tinyml-report/{name}") for name in names]
    assert names == [f"{results['board']['name']}-{results['model']['name']}" for results in found]


def test_one_is_picked(models: Project) -> None:
    """-k with a model's name runs that one, and the summary says that the other was not."""
    result = models.run("--board", "tflm", *TWO, "-k", "other")
    result.assert_outcomes(passed=7, deselected=7)
    assert "own: no test of this run was run" in output(result)


def test_configured(models: Project) -> None:
    """The ini file names several, one a line; the command line wins."""
    (models.path / "pytest.ini").write_text("[pytest]\ntinyml_model =\n    own.tflite\n    other.tflite\n")
    both = models.run("--board", "tflm", *DATA, "-v", "-k", "identity")
    assert ["test_identity[own]", "test_identity[other]"] == _passed(both)
    one = models.run("--board", "tflm", *DATA, "--tinyml-model", "other.tflite", "-v", "-k", "identity")
    assert ["test_identity"] == _passed(one)


@pytest.mark.parametrize("second", ["own.tflite", "below/own.tflite"])
def test_one_name_twice(models: Project, second: str) -> None:
    """Two models of one name could not be told apart."""
    (models.path / "below").mkdir()
    shutil.copyfile(models.path / "own.tflite", models.path / "below" / "own.tflite")
    message = refusal(models.run("--board", "tflm", "--tinyml-model", "own.tflite", "--tinyml-model", second, *DATA))
    assert message == "--tinyml-model: two models are called 'own'; rename one, so that they can be told apart"


def test_second_does_not_fit(models: Project) -> None:
    """All models are checked before the first runs."""
    message = refusal(models.run("--board", "tflm", *TWO, "--tinyml-model", "s1-ptq"))
    assert "s1-ptq" in message
    assert not models.journal.exists()


def test_no_submission_of_several(models: Project) -> None:
    """A submission is of one run."""
    message = refusal(models.run("--board", "tflm", *TWO, "--tinyml-submit", "digit-recognizer"))
    assert "is for one run, but these are 2 (own, other): take one board and one model" in message
