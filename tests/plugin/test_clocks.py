"""What inferences are timed with: asked for by name, checked against the board, and the limits in its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.projects import S1, output, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.projects import Project

# A simulator that counts, as emulators do: 4,242 to 4,244 instructions for an inference.
KINDS = """
from dataclasses import replace

import pytest_tinyml.boards.native as native
from pytest_tinyml.records import Clock


class Counted:
    def __init__(self, work):
        self.work = work

    def __getattr__(self, name):
        return getattr(self.work, name)

    def answer(self, ids, ticks, scores):
        self.work.answer(ids, 4242 + ids % 3, scores)


class Board(native.NativeBoard):
    def __init__(self, request, clocks):
        super().__init__(request)
        self.counts = (request.clock or clocks[0]) == "instructions"

    def open(self):
        identity = super().open()
        return replace(identity, clock=Clock.INSTRUCTIONS, tick_hz=0) if self.counts else identity

    def stream(self, work):
        super().stream(Counted(work) if self.counts else work)


class Kind(native.NativeKind):
    def __init__(self, name, *clocks):
        self.name, self.clocks = name, clocks

    def create(self, request):
        return Board(request, self.clocks)


class Liar(Kind):
    def create(self, request):
        return native.NativeBoard(request)


def pytest_tinyml_boards(registry):
    registry.register(Kind("both", "wall", "instructions"))
    registry.register(Kind("counter", "instructions"))
    registry.register(Liar("liar", "instructions", "wall"))
"""
LIMITED = (*S1[2:], "--tinyml-limit=300")
COUNTING = ("--board=both", *LIMITED, "--tinyml-clock=instructions")


@pytest.fixture(autouse=True)
def _kinds(project: Project) -> None:
    """Boards with clocks of their own."""
    project.pytester.makeconftest(KINDS)


def test_instructions(project: Project) -> None:
    """A clock that is asked for by name is handed to the board, and named in results and summary with its unit."""
    result = project.run(*COUNTING)
    result.assert_outcomes(passed=7)
    results = project.results()
    latency = results["latency"]
    assert ("instructions", "instructions", "instructions", True) == (
        results["board"]["clock"],
        latency["clock"],
        latency["unit"],
        latency["gated"],
    )
    assert (4242, 4243, 4244) == (latency["min"], latency["p50"], latency["max"])
    line = "  latency p50 4,243, p90 4,244, p99 4,244 instructions (clock instructions)"
    assert line in result.outlines


def test_each_clock_is_a_run_of_its_own(project: Project) -> None:
    """Without the option the board's first clock counts, and what one clock has measured is not mixed with another."""
    project.run(*COUNTING, "--tinyml-shard-size=100", "-k", "00000-00099").assert_outcomes(passed=1, deselected=8)
    project.run("--board=both", *LIMITED).assert_outcomes(passed=7)
    results = project.results()
    assert ("wall_us", 0) == (results["latency"]["clock"], results["throughput"]["resumed_samples"])
    assert (False, "us") == (results["latency"]["gated"], results["latency"]["unit"])


@pytest.mark.parametrize(("limit", "passes"), [(4243, True), (4242, False)])
@pytest.mark.parametrize("arguments", [COUNTING, ("--board=counter", *LIMITED)], ids=["asked for", "own"])
def test_limit_of_instructions(project: Project, arguments: Sequence[str], limit: int, *, passes: bool) -> None:
    """The median may be the limit, and not more."""
    result = project.run(*arguments, f"--tinyml-max-instructions={limit}")
    result.assert_outcomes(passed=7 if passes else 6, failed=0 if passes else 1)
    problems = ["test_latency: median of 4,243 instructions is above --tinyml-max-instructions 4,242"]
    assert ([] if passes else problems) == project.results()["problems"]


REFUSED = [
    (
        ("--board=native", "--tinyml-clock=instructions"),
        "no clock of board 'native' named 'instructions'. Known: wall",
    ),
    (
        ("--board=both", "--tinyml-clock=instruction"),
        "no clock of board 'both' named 'instruction'; did you mean 'instructions'? Known: instructions, wall",
    ),
    (
        ("--board=native", "--tinyml-max-instructions=9"),
        (
            "--tinyml-max-instructions needs a clock that counts instructions, but that of board 'native' is wall: "
            "this board has no other (tinyml boards lists clocks); --tinyml-max-latency limits the time of real parts"
        ),
    ),
    (
        ("--board=both", "--tinyml-max-instructions=9"),
        (
            "--tinyml-max-instructions needs a clock that counts instructions, but that of board 'both' is wall: "
            "add --tinyml-clock instructions"
        ),
    ),
    (
        ("--board=counter,native", "--tinyml-max-instructions=9"),
        (
            "--tinyml-max-instructions needs a clock that counts instructions, but that of board 'native' is wall: "
            "this board has no other (tinyml boards lists clocks); --tinyml-max-latency limits the time of real parts"
        ),
    ),
    (
        ("--board=counter", "--tinyml-max-latency=9"),
        (
            "--tinyml-max-latency is in microseconds, but board 'counter' counts instructions: "
            "use --tinyml-max-instructions N"
        ),
    ),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_refused(project: Project, arguments: Sequence[str], message: str) -> None:
    """A clock that a board does not have, or a limit in a unit that it does not count, is refused before the run."""
    assert message == refusal(project.run(*LIMITED, *arguments))
    assert not project.journal.exists()


@pytest.mark.parametrize("more", ["--tinyml-clock=instructions", "--tinyml-max-instructions=9999"])
def test_a_board_that_counts_something_else(project: Project, more: str) -> None:
    """A board whose clock is not the one that was asked for, be it by a limit, is refused before the first sample."""
    result = project.run("--board=liar", *LIMITED, more)
    result.assert_outcomes(errors=1, skipped=6)
    assert "wrong clock: the board counts wall, asked for instructions" in output(result)


def test_wall_time_of_a_computer_is_no_limit(project: Project) -> None:
    """The wall clock of a board that is no real part is labelled, and a limit in microseconds is not applied to it."""
    result = project.run("--board=both", *LIMITED, "--tinyml-max-latency=0.001", "-rs")
    result.assert_outcomes(passed=6, skipped=1)
    text = output(result)
    assert "--tinyml-max-latency was not applied: clock wall_us of this board is not the part's time" in text
    assert "(clock wall_us of this computer: shown, never gated)" in text


def test_side_by_side(project: Project) -> None:
    """Boards with different clocks stand side by side, each with its unit."""
    result = project.run("--board=counter,both", *LIMITED)
    assert 0 == result.ret
    (row,) = [line.split() for line in result.outlines if line.startswith("  latency p50")]
    assert ["latency", "p50", "4,243", "instr."] == row[:4]
    assert "us*" == row[5]
    (row,) = [line.split() for line in result.outlines if line.startswith("  clock ")]
    assert ["clock", "instructions", "wall_us"] == row
