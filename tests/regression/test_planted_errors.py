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
from pathlib import Path
import re

from pytest_tinyml import firmware
from pytest_tinyml.boards import native
from pytest_tinyml.engines import aot
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.stores.models import load_model


class Board(native.NativeBoard):
    {body}


class Kind(native.NativeKind):
    name = "planted"

    def create(self, request):
        return Board(request)


def pytest_tinyml_boards(registry):
    registry.register(Kind())
"""
# The generated weights are C arrays of int8, the biases of int32; one bit of one of them is flipped before the compiler
# sees it.
FLIPPED_BIT = r"""
    def build(self, generated):
        (path,) = generated.vendor_sources
        text = path.read_text()
        arrays = list(re.finditer(r"TYPE (\w+constant\w+)\[\d*\][^=]*= \{(.*?)\}", text, re.DOTALL))
        assert arrays, text[:2000]
        start, end = arrays[LAYER].span(2)
        values = re.findall(r"-?\d+", text[start:end])
        at = INDEX
        values[at] = str(int(values[at]) ^ BIT)
        path.write_text(text[:start] + ", ".join(values) + text[end:])
        return super().build(generated)
"""
NOT_NORMALISED = """
    def prepare(self):
        card = self.request
        self.request = replace(card, model=replace(card.model, preprocess=PreprocessSpec(kind="scale")))
        try:
            return super().prepare()
        finally:
            self.request = card
"""
# What was flashed is an older build; what is asked for comes from the sources.
STALE = """
    def prepare(self):
        current = super().prepare()
        build = firmware.build_native
        firmware.build_native = lambda sources, folders: build(sources, folders, {"OLDER_BUILD": "1"})
        try:
            super().prepare()
        finally:
            firmware.build_native = build
        return current
"""
SWAPPED = """
    def prepare(self):
        asked = self.request
        self.request = replace(asked, model=load_model("s1-ptq"))
        try:
            return super().prepare()
        finally:
            self.request = asked
"""
STATE = """
    def command(self, transport):
        return [*super().command(transport), "--fault", "state"]
"""
PLANTED = {
    "flipped bit": (
        # In a bias of the last layer: every sample shows it.
        FLIPPED_BIT.replace("TYPE", "int32_t").replace("LAYER", "-1").replace("INDEX", "3").replace("BIT", "0x4000"),
        "s2-ptq",
        "test_canary",
        "CanaryError: board 'native': engine differs: the input tensors are identical, but ",
    ),
    "not normalised": (
        NOT_NORMALISED,
        "s2-ptq",
        "test_canary",
        (
            "CanaryError: board 'native': preprocessing differs: for 8 of 8 canary samples the input tensor on the "
            "board is not the one that model 's2-ptq' was trained with (preprocessing 'l2axis1')"
        ),
    ),
    "stale firmware": (
        STALE,
        "s2-ptq",
        "test_identity",
        "IdentityError: board 'native': stale firmware on the board: it runs build ",
    ),
    "swapped model": (
        SWAPPED,
        "s2-ptq",
        "test_identity",
        "IdentityError: board 'native': wrong model on the board: it runs 's1-ptq' (",
    ),
    "state": (
        STATE,
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
    body, model, test, message = PLANTED[error]
    project.pytester.makeconftest(BOARD.replace("{body}", body.strip()))
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
    project.pytester.makeconftest(BOARD.replace("{body}", "pass"))
    result = project.run("--board=planted", "--tinyml-model=s2-ptq", "--tinyml-limit=1000")
    result.assert_outcomes(passed=7)


def test_flipped_bit_of_a_weight(project: Project) -> None:
    """A bit of one weight, which few outputs show, is found among the samples; the message names the label flips."""
    body = FLIPPED_BIT.replace("TYPE", "int8_t").replace("LAYER", "-1").replace("INDEX", "640").replace("BIT", "0x40")
    project.pytester.makeconftest(BOARD.replace("{body}", body.strip()))
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
