"""The summary at the end of a session."""

from __future__ import annotations

import io
from typing import Any

import pytest

from pytest_tinyml.cli.report import _line
from pytest_tinyml.report.colour import Line, Tone, painted, wants_colour
from pytest_tinyml.report.sidebyside import comparison
from pytest_tinyml.report.terminal import _told_once, summary
from pytest_tinyml.stores.archive import RunRecord
from tests.report.made import INT8, facts

GATES = [
    {"metric": "arena", "limit": "1%", "status": "passed", "text": "arena 922 B, as before"},
    {"metric": "flash", "limit": "1%", "status": "skipped", "text": "flash was not measured"},
    {"metric": "top1", "limit": "0.2pp", "status": "failed", "text": "top-1 1.00 pp worse"},
]
BASELINE = {
    "name": "main", "number": 3, "commit": "c" * 40, "created": "2026-01-02T03:04:05Z", "flips_new": [], "compared": 40,
    "mcnemar": None,
}  # fmt: skip


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        """See the class."""
        return True


def results(**changed: Any) -> dict[str, Any]:
    """Return those of a run on a desk's board."""
    made: dict[str, Any] = facts(INT8, 40)
    return made | {"passed": True} | changed


def test_the_same_words_of_several_tests_are_told_once() -> None:
    """A sample that failed fails every test that needs it; the reason stands there once, in the order of the first."""
    problems = [
        "test_samples[0]: #17 failed: pc 0",
        "test_room: too warm",
        "test_accuracy: #17 failed: pc 0",
        "incomplete: 3",
    ]
    expected = ["test_samples[0], test_accuracy: #17 failed: pc 0", "test_room: too warm", "incomplete: 3"]
    assert expected == _told_once(problems)


def test_the_failing_gate_first() -> None:
    """After the verdict: the failing gate, once though a test failed for it; other problems; then what was held."""
    problems = ["test_gate[top1:0.2pp]: top-1 1.00 pp worse", "test_room: too warm"]
    lines = summary(results(passed=False, problems=problems, gates=GATES, baseline=BASELINE))
    head, *rest = [line.text.strip() for line in lines]
    assert head.startswith("FAILED: own on desk-1, nucleo-f446re ")
    assert ["gate failed: top-1 1.00 pp worse", "test_room: too warm"] == rest[:2]
    expected = ["gate skipped: flash was not measured", "gate passed: arena 922 B, as before"]
    assert expected == rest[2:4]
    tones = [line.tone for line in lines]
    assert [Tone.BAD, Tone.BAD, Tone.BAD, Tone.NOTE, Tone.PLAIN] == tones[:5]
    assert 1 == sum("1.00 pp worse" in line for line in rest)


@pytest.mark.parametrize(
    ("changed", "word", "tone"),
    [
        ({}, "passed", Tone.GOOD),
        ({"passed": False, "problems": ["test_room: too warm"]}, "FAILED", Tone.BAD),
        ({"passed": False, "problems": ["incomplete: 3 of 40 samples were answered"]}, "INCOMPLETE", Tone.NOTE),
    ],
)
def test_verdict(changed: dict[str, Any], word: str, tone: Tone) -> None:
    """The first line is the verdict in one word, and its colour; the list of runs has the same word."""
    first = summary(results(**changed))[0]
    assert (word, tone) == (first.text.partition(":")[0], first.tone)
    assert f": {word}, unfinished" in _line(RunRecord.never_begun(results(**changed)), 3)


def test_many_problems() -> None:
    """Five are shown, the others counted."""
    lines = summary(results(passed=False, problems=[f"problem {k}" for k in range(9)]))
    assert "  and 4 more problems, see problems in results.json" == lines[6].text


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_of_the_command(stream: io.StringIO, environment: dict[str, str], expected: bool) -> None:
    """The command writes colours to a terminal, unless the environment says otherwise."""
    assert expected is wants_colour(stream, environment)


def test_painted() -> None:
    """A colour begins and ends with its line; a plain line has none."""
    assert "\x1b[31mno\x1b[0m" == painted(Line("no", Tone.BAD), colour=True)
    assert ["no", "no"] == [painted(Line("no", Tone.BAD), colour=False), painted(Line("no"), colour=True)]


def test_several_runs() -> None:
    """What is wrong with any of several runs stands before the table of figures, by the name of its run."""
    failed = results(passed=False, problems=["test_room: too warm"], gates=GATES, baseline=BASELINE)
    failed["board"] |= {"id": "desk-2"}
    lines = comparison([results(), failed])
    expected = [
        ("own, 40 of own-data, against tflm 9.8", Tone.PLAIN),
        ("  desk-2: gate failed: top-1 1.00 pp worse", Tone.BAD),
        ("  desk-2: test_room: too warm", Tone.BAD),
        ("               desk-1      desk-2", Tone.PLAIN),
        ("  verdict      passed      FAILED", Tone.PLAIN),
    ]
    assert expected == [(line.text, line.tone) for line in lines[:5]]
    assert Line("  desk-2: gate skipped: flash was not measured", Tone.NOTE) in lines[5:]
