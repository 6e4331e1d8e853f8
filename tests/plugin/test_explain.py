"""--tinyml-explain in a session: when causes are looked for, and where they are told."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.projects import OWN, output

if TYPE_CHECKING:
    from tests.projects import Project

WRONG = (*OWN, "--tinyml-option=fault=weights")


def _explained(project: Project) -> Any:
    results = project.results()
    schema = json.loads((files("pytest_tinyml") / "report" / "results.schema.json").read_text("utf-8"))
    jsonschema.validate(results, schema)
    return results["explanation"]


def test_mismatch_is_explained(project: Project) -> None:
    """A board that differs is explained without being asked to, in the results, the journal and the summary."""
    text = output(project.run(*WRONG, "--tinyml-explain=auto"))
    found = _explained(project)
    assert (found["cause"], found["complete"], found["max_lsb"]) == ("rounding", True, 1)
    # The fault is around the engine, so whatever the operator, its output is wrong.
    assert (found["operator"]["index"], found["operator"]["type"]) == (3, "RESHAPE")
    assert "tinyml: looking for the cause of the mismatch, for at most 60 s (--tinyml-explain never)" in text
    assert f"  cause: {found['text']}" in text
    assert "its output is int8 [1, 24], scale 0.00392157, zero point -128; most at [0, 23] of sample " in text
    assert found["steps"][0] == "input tensors: right for 8 of 8 samples"
    assert project.results()["passed"] is False


def test_canaries_are_explained(project: Project) -> None:
    """What the canaries show before the run is explained, too."""
    project.run(*OWN, "--tinyml-option=fault=state", "--tinyml-explain=auto")
    assert (_explained(project)["cause"], project.results()["metrics"]["count"]) == ("state", 0)


@pytest.mark.parametrize(
    "arguments",
    [
        (*OWN, "--tinyml-explain=auto"),
        (*OWN, "--tinyml-explain=always"),
        (*WRONG, "--tinyml-explain=never"),
        (*WRONG, "--tinyml-explain=auto", "--tinyml-max-lsb=1"),
        (*OWN, "--tinyml-option=fault=crash@3", "--tinyml-explain=auto"),
    ],
)
def test_nothing_to_explain(project: Project, arguments: tuple[str, ...]) -> None:
    """No cause is looked for where nothing differs, where it is tolerated, not asked for, or where the board died."""
    text = output(project.run(*arguments))
    assert _explained(project) is None
    assert "cause" not in text


def test_tolerated_mismatch(project: Project) -> None:
    """What is tolerated is explained if that is asked for, and still passes."""
    project.run(*WRONG, "--tinyml-explain=always", "--tinyml-max-lsb=1")
    assert (_explained(project)["cause"], project.results()["passed"]) == ("rounding", True)


def test_time_is_bounded(project: Project) -> None:
    """A search that has no time says what it knows, that this is not all, and how to go on."""
    text = output(project.run(*WRONG, "--tinyml-explain=auto", "--tinyml-explain-timeout=0.001"))
    found = _explained(project)
    assert (found["cause"], found["complete"]) == ("operator", False)
    assert "the time was up before those before it were looked at" in found["text"]
    assert "tinyml explain takes its time" in text


STALE = """
from tests.regression.planted import PlantedKind, StaleBoard


def pytest_tinyml_boards(registry):
    registry.register(PlantedKind(StaleBoard))
"""


def test_stale_firmware(project: Project) -> None:
    """A board that runs something else than was asked for needs no experiment."""
    project.pytester.makeconftest(STALE)
    project.run("--board=planted", *OWN[2:], "--tinyml-explain=auto")
    found = _explained(project)
    assert (found["cause"], found["operator"]) == ("firmware", None)
    assert found["text"].startswith("stale firmware on the board: it runs build ")


def test_bug_in_the_search(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the search itself costs no results."""

    def fails(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("pytest_tinyml.campaign.explain.Explainer.explain", fails)
    project.run(*WRONG, "--tinyml-explain=auto")
    found = _explained(project)
    assert (found["cause"], found["complete"]) == (None, False)
    assert found["text"] == "no cause was found, because of an error of pytest-tinyml: ValueError('a bug')"
    assert project.results()["problems"][0].startswith("test_canary: CanaryError: board 'native': engine differs")
