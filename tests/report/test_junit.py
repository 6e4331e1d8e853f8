"""A run as JUnit XML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from pytest_tinyml.report.formats import FORMATS
from pytest_tinyml.report.shards import shards
from pytest_tinyml.stores.journal import Journal
from tests.report.made import EVIL, make_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_tinyml.report.base import Report


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A new journal."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield journal


def outputs(count: int, flips: tuple[int, ...] = ()) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Return outputs of class 0, and of class 1 for some samples."""
    values = np.tile(np.array([[9, 1, 0]], dtype=np.int8), (count, 1))
    values[list(flips)] = 1, 9, 0
    return values


def written(report: Report, folder: Path) -> ET.Element:
    """Write the file and read it again."""
    (form,) = (form for form in FORMATS if form.name == "junit")
    form.writer()(report, folder / form.file)
    return ET.fromstring((folder / form.file).read_bytes())  # noqa: S314 - we have written it


def test_passed(journal: Journal, tmp_path: Path) -> None:
    """A run that has passed has a case for the verdict and one per shard; the properties say what it was about."""
    top = written(make_run(journal, outputs(2500), outputs(2500), truth=np.zeros(2500, dtype=np.int64)), tmp_path)
    (suite,) = top
    assert ["properties", "testcase", "testcase", "testcase", "testcase"] == [child.tag for child in suite]
    expected = ["verdict", "samples[00000-00999]", "samples[01000-01999]", "samples[02000-02499]"]
    assert expected == [case.get("name") for case in suite.iter("testcase")]
    assert {"tinyml.desk-1.own"} == {case.get("classname") for case in suite.iter("testcase")}
    assert [] == list(top.iter("failure"))
    for element in (top, suite):
        counts = [element.get(key) for key in ("tests", "failures", "errors", "skipped", "time")]
        assert ["4", "0", "0", "0", "1.500"] == counts
    assert "2026-02-03T04:05:06" == suite.get("timestamp")
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    expected_properties = {
        "tinyml_verdict": "passed", "tinyml_board": "desk-1", "tinyml_board_kind": "nucleo-f446re",
        "tinyml_model_sha256": "e" * 64, "tinyml_agreement": "1.0", "tinyml_top1": "1.0",
        "tinyml_git_commit": "c" * 40, "tinyml_git_dirty": "false", "tinyml_latency_p50_us": "1250.5",
    }  # fmt: skip
    assert expected_properties == {key: properties[key] for key in expected_properties}


def test_failed_shards(journal: Journal, tmp_path: Path) -> None:
    """The shard with another label fails and says which; others do not."""
    report = make_run(journal, outputs(2500, (1500,)), outputs(2500), truth=None)
    report.results["passed"] = False
    report.results["problems"] = ["1 of 2,500 samples differ", "test_mine: too warm"]
    (suite,) = written(report, tmp_path)
    failed = {case.get("name"): case[0].get("message") for case in suite.iter("testcase") if len(case)}
    text = "1 of 1,000 samples differ from tflm (max 8 LSB, 1 label flip: #1500 host 0, board 1)"
    assert {"verdict": "FAILED", "samples[01000-01999]": text} == failed
    assert "2" == suite.get("failures")
    assert "1 of 2,500 samples differ\ntest_mine: too warm" == next(suite.iter("failure")).text


def test_shards_of_an_unfinished_run(journal: Journal) -> None:
    """A shard has passed only if every sample was answered and every answer was compared."""
    answered = np.concatenate([np.arange(20), np.arange(21, 30), np.arange(50, 60)])
    report = make_run(journal, outputs(60), outputs(60), truth=None, answered=answered, compared=55)
    found = [
        (one.start, one.stop, one.passed, one.text) for one in shards(report.results, report.archive, report.run, 10)
    ]
    same = "{0} of {0} samples are bit-exact with tflm"
    expected = [
        (0, 10, True, same.format(10)),
        (10, 20, True, same.format(10)),
        (20, 30, False, f"9 of 10 samples were answered; {same.format(9)}"),
        (30, 40, False, "0 of 10 samples were answered"),
        (40, 50, False, "0 of 10 samples were answered"),
        (50, 60, False, f"5 of 10 answers were compared with tflm; {same.format(5)}"),
    ]
    assert expected == found


def test_tolerated(journal: Journal) -> None:
    """What a session tolerates does not fail a shard."""
    report = make_run(journal, outputs(60) + np.int8(2), outputs(60), truth=None)
    judged = []
    for lsb, compared in ((1, "scores"), (2, "scores"), (0, "labels")):
        report.results["reference"] |= {"max_lsb_tolerated": lsb, "compared": compared}
        judged += [one.passed for one in shards(report.results, report.archive, report.run)]
    assert [False, True, True] == judged


def test_gates(journal: Journal, tmp_path: Path) -> None:
    """Each gate is a case: failed, skipped with the reason, or passed."""
    report = make_run(journal, outputs(10), outputs(10), truth=None)
    report.results["gates"] = [
        {"metric": "top1", "limit": "0.2pp", "status": "failed", "text": "top-1 is 1.00 pp worse"},
        {"metric": "flash", "limit": "1%", "status": "skipped", "text": "not measured"},
        {"metric": "arena", "limit": "1%", "status": "passed", "text": "the same"},
    ]
    report.results["passed"] = False
    report.results["problems"] = ["test_regression: top-1 is 1.00 pp worse", "test_room: too warm"]
    (suite,) = written(report, tmp_path)
    found = [
        (case.get("name"), [(child.tag, child.get("message")) for child in case]) for case in suite.iter("testcase")
    ]
    expected = [
        ("verdict", [("failure", "FAILED")]),
        ("gate[top1:0.2pp]", [("failure", "top-1 is 1.00 pp worse")]),
        ("gate[flash:1%]", [("skipped", "not measured")]),
        ("gate[arena:1%]", []),
        ("samples[00000-00009]", []),
    ]
    assert expected == found
    assert "top-1 is 1.00 pp worse\ntest_room: too warm" == next(suite.iter("failure")).text
    assert ["5", "2", "1"] == [suite.get(key) for key in ("tests", "failures", "skipped")]


def test_any_text(journal: Journal, tmp_path: Path) -> None:
    """Whatever a board says in its last words, the file is well-formed and says it as far as XML can."""
    report = make_run(journal, outputs(10), outputs(10), truth=None)
    report.results["passed"], report.results["problems"] = False, [EVIL]
    report.results["board"]["chip"] = EVIL
    (suite,) = written(report, tmp_path)
    text = next(suite.iter("failure")).text
    assert EVIL.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").replace("\ud800", "\ufffd") == text
