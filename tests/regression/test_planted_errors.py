"""Five planted errors, five different messages, each before the run over the data set begins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.projects import output

if TYPE_CHECKING:
    from tests.projects import Project

BOARD = """
from dataclasses import replace

from pytest_tinyml.boards.native import NativeBoard
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.stores.models import load_model
from tests.regression.planted import OtherModelBoard, PlantedBoard, PlantedKind, StaleBoard, at_place


def make(request):
    return {made}


def pytest_tinyml_boards(registry):
    registry.register(PlantedKind(make))
"""
UNITS, WEIGHTS = 10, 1280
"""Biases and weights of the last layer of s2-ptq: no other array in its generated C has so many elements."""
PLANTED = {
    "flipped bit": (
        # In a bias of the last layer: every sample shows it.
        f"PlantedBoard(request, at_place({UNITS}, 3, 0x4000))",
        "s2-ptq",
        "test_canary",
        "CanaryError: board 'native': engine differs: the input tensors are identical, but ",
    ),
    "not normalised": (
        'OtherModelBoard(request, lambda model: replace(model, preprocess=PreprocessSpec(kind="scale")))',
        "s2-ptq",
        "test_canary",
        (
            "CanaryError: board 'native': preprocessing differs: for 8 of 8 canary samples the input tensor on the "
            "board is not the one that model 's2-ptq' was trained with (preprocessing 'l2axis1')"
        ),
    ),
    "stale firmware": (
        "StaleBoard(request)",
        "s2-ptq",
        "test_identity",
        "IdentityError: board 'native': stale firmware on the board: it runs build ",
    ),
    "swapped model": (
        'OtherModelBoard(request, lambda _: load_model("s1-ptq"))',
        "s2-ptq",
        "test_identity",
        "IdentityError: board 'native': wrong model on the board: it runs 's1-ptq' (",
    ),
    "state": (
        'NativeBoard(replace(request, options={"fault": "state"}))',
        "s2-ptq",
        "test_canary",
        (
            "CanaryError: board 'native': it carries state from one inference to the next: 8 of 8 canary samples gave "
            "other scores the second time, with identical input tensors"
        ),
    ),
}


@pytest.mark.parametrize("error", PLANTED)
def test_planted_error(project: Project, error: str) -> None:
    """The error is found before a sample of the run is spent, and its message names the cause."""
    made, model, test, message = PLANTED[error]
    project.pytester.makeconftest(BOARD.format(made=made))
    result = project.run("--board=planted", f"--tinyml-model={model}")
    text = output(result)
    passed = 0 if test == "test_identity" else 1
    outcomes = {"errors": 1} if test == "test_identity" else {"failed": 1, "passed": passed}
    result.assert_outcomes(**outcomes, skipped=34 - 1 - passed)
    assert message in text
    # The other four causes are not claimed.
    others = {name: planted[3][:60] for name, planted in PLANTED.items() if name != error}
    assert [name for name, other in others.items() if other in text] == []
    assert "Traceback" not in text
    results = project.results()
    assert (results["passed"], results["metrics"]["count"]) == (False, 0)
    assert results["problems"][0].startswith(f"{test}: {message[:60]}")


def test_nothing_planted(project: Project) -> None:
    """The same board without a planted error passes: it is the error that is found, not the test's board."""
    project.pytester.makeconftest(BOARD.format(made="NativeBoard(request)"))
    result = project.run("--board=planted", "--tinyml-model=s2-ptq", "--tinyml-limit=1000")
    result.assert_outcomes(passed=7)


def test_flipped_bit_of_a_weight(project: Project) -> None:
    """A bit of one weight, which few outputs show, is found among the samples; the message names the label flips."""
    project.pytester.makeconftest(BOARD.format(made=f"PlantedBoard(request, at_place({WEIGHTS}, 640, 0x40))"))
    result = project.run("--board=planted", "--tinyml-model=s2-ptq", "--tinyml-limit=1000")
    # The shard; and the accuracy, if the board is right less often than the host by more than is tolerated.
    outcomes = result.parseoutcomes()
    assert 1 <= outcomes["failed"] <= 2
    results = project.results()
    metrics = results["metrics"]
    flips = [f"#{flip['id']} host {flip['reference']}, board {flip['board']}" for flip in metrics["flip_details"]]
    assert flips
    found = re.escape(f"{metrics['differing']} of 1,000 samples differ from tflm (max {metrics['max_lsb']} LSB, ")
    found += rf"{len(flips)} label flips?: {re.escape(', '.join(flips[:3]))}"
    assert re.match(rf"test_samples\[00000-00999\]: {found}", results["problems"][0])
    assert re.match(found, results["problems"][-1])
    assert (results["passed"], metrics["flips"]) == (False, [flip["id"] for flip in metrics["flip_details"]])
    assert 0 < metrics["differing"] < 1000
