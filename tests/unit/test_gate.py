"""Gates: what is one, and when it fails."""

from __future__ import annotations

from math import inf, nan

import pytest

from pytest_tinyml.verdict.gate import METRICS, Gate, judge, parse_gate
from tests.bench.bench_gates import rates

KNOWN = (
    "top1, agreement, bit_exact, flips, max_lsb, rmse, mae, latency_p50, latency_p90, latency_p99, instructions, "
    "arena, flash, ram, stack, model"
)
EXAMPLE = "is not METRIC:LIMIT, e.g. top1:0.5pp or latency_p50:5%"
BAD = [
    ("top1", EXAMPLE),
    ("top1:", EXAMPLE),
    ("top1:x", EXAMPLE),
    ("top1:--1pp", EXAMPLE),
    ("top1:1pp,arena:1%", EXAMPLE),
    ("", EXAMPLE),
    (":1%", f"is not a gate: no metric named ''. Known: {KNOWN}"),
    ("top2:1pp", f"is not a gate: no metric named 'top2'; did you mean 'top1'? Known: {KNOWN}"),
    ("heat:x", f"is not a gate: no metric named 'heat'. Known: {KNOWN}"),
    ("top1:0.2", "is not a gate: top1 has no number without a unit; known: top1:1pp"),
    ("top1:1%", "is not a gate: top1 has no unit '%'; known: top1:1pp"),
    ("flips:1%", "is not a gate: flips has no unit '%'; known: flips:1"),
    ("arena:1kB", "is not a gate: arena has no unit 'kB'; known: arena:1% or arena:1 or arena:1B"),
    ("latency_p50:1ms", ("is not a gate: latency_p50 has no unit 'ms'; known: "
     "latency_p50:1% or latency_p50:1 or latency_p50:1us")),
    ("instructions:1pp", "is not a gate: instructions has no unit 'pp'; known: instructions:1% or instructions:1"),
    ("arena:-1%", "is not a gate: the limit must not be negative"),
    ("arena:1e999%", "is not a gate: the limit must not be negative"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_gate(text: str, message: str) -> None:
    """What is not a gate is refused with what would be one."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        parse_gate(text)
    assert message == str(caught.value)


@pytest.mark.parametrize(
    ("text", "metric", "limit", "unit"),
    [
        ("top1:0.2pp", "top1", 0.2, "pp"),
        ("agreement: 0.1 pp", "agreement", 0.1, "pp"),
        ("latency_p50:5%", "latency_p50", 5.0, "%"),
        ("latency_p99:100us", "latency_p99", 100.0, "us"),
        ("instructions:0.5%", "instructions", 0.5, "%"),
        ("instructions:1e3", "instructions", 1000.0, ""),
        ("arena:512", "arena", 512.0, "B"),
        ("flash:2%", "flash", 2.0, "%"),
        ("max_lsb:1LSB", "max_lsb", 1.0, "LSB"),
        ("flips:10", "flips", 10.0, ""),
        ("flips:0", "flips", 0.0, ""),
    ],
)
def test_good_gate(text: str, metric: str, limit: float, unit: str) -> None:
    """Metric, limit and unit are taken apart; the limit is kept as it was written."""
    expected = Gate(metric=METRICS[metric], limit=limit, unit=unit, text=text.partition(":")[2].strip())
    assert expected == parse_gate(text)


JUDGED = [
    ("top1:0.2pp", 0.99, 0.988, "passed", "top-1 fell by 0.2 pp (99.00% to 98.80%), within 0.2pp"),
    ("top1:0.2pp", 0.99, 0.9879, "failed", "top-1 fell by 0.21 pp (99.00% to 98.79%), more than 0.2pp"),
    ("top1:0pp", 0.99, 0.9899, "failed", "top-1 fell by 0.01 pp (99.00% to 98.99%), more than 0pp"),
    ("top1:0pp", 0.9, 1.0, "passed", "top-1 grew by 10 pp (90.00% to 100.00%)"),
    ("top1:0pp", 0.9, 0.9, "passed", "top-1 is 90.00% as before"),
    ("arena:1%", 10_000, 10_100, "passed", "arena grew by 1 % (10,000 B to 10,100 B), within 1%"),
    ("arena:1%", 10_000, 10_101, "failed", "arena grew by 1.01 % (10,000 B to 10,101 B), more than 1%"),
    ("arena:1%", 1_000, 1_064, "passed", "arena grew by 6.4 % (1,000 B to 1,064 B), but 64 B or less do not count"),
    ("arena:1%", 1_000, 1_065, "failed", "arena grew by 6.5 % (1,000 B to 1,065 B), more than 1%"),
    ("arena:0", 1_000, 1_001, "failed", "arena grew by 1 B (1,000 B to 1,001 B), more than 0"),
    ("arena:1%", 1_000, 500, "passed", "arena fell by 50 % (1,000 B to 500 B)"),
    ("flash:2%", 0, 300, "failed", "flash grew by more than any percentage (0 B to 300 B), more than 2%"),
    ("instructions:0.5%", 100_000, 100_500, "passed",
     "instructions per inference grew by 0.5 % (100,000 to 100,500), within 0.5%"),
    ("instructions:0.5%", 100_000, 100_600, "failed",
     "instructions per inference grew by 0.6 % (100,000 to 100,600), more than 0.5%"),
    ("instructions:0", 155_943.5, 343_490, "failed",
     "instructions per inference grew by 187,546.5 (155,943.5 to 343,490), more than 0"),
    ("latency_p50:5%", 1_000.0, 1_051.0, "failed",
     "median latency grew by 5.1 % (1,000.0 us to 1,051.0 us), more than 5%"),
    ("latency_p50:5%", 100.0, 110.0, "passed",
     "median latency grew by 10 % (100.0 us to 110.0 us), but 10.0 us or less do not count"),
    ("flips:0", 0, 1, "failed", "1 label flip against the baseline, more than 0"),
    ("flips:10", 0, 10, "passed", "10 label flips against the baseline, within 10"),
    ("flips:10", 0, 11, "failed", "11 label flips against the baseline, more than 10"),
    ("rmse:1%", 0.5, nan, "failed", "RMSE is no number any more (0.5 in the baseline)"),
    ("rmse:1", 0.5, inf, "failed", "RMSE is no number any more (0.5 in the baseline)"),
    ("rmse:1%", inf, 0.5, "skipped", "RMSE was not checked against 1%: the baseline has no such figure"),
    ("rmse:1%", 0.5, 0.506, "failed", "RMSE grew by 1.2 % (0.5 to 0.506), more than 1%"),
    ("max_lsb:0", 0, 1, "failed", "largest difference from the host grew by 1 LSB (0 LSB to 1 LSB), more than 0"),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "baseline", "now", "status", "text"), JUDGED)
def test_judged(gate: str, baseline: float, now: float, status: str, text: str) -> None:
    """A gate fails when a figure got worse by more than its limit, a percentage above a floor; and says so."""
    outcome = judge(parse_gate(gate), baseline, now)
    assert (status, text) == (outcome.status, outcome.text)


@pytest.mark.parametrize(("baseline", "now"), [(None, 5.0), (5.0, None), (None, None)])
def test_not_measured(baseline: float | None, now: float | None) -> None:
    """What was not measured, then or now, is skipped and says why."""
    outcome = judge(parse_gate("arena:1%"), baseline, now, why="the board does not say it")
    assert ("skipped", None) == (outcome.status, outcome.change)
    assert outcome.text == "arena was not checked against 1%: the board does not say it"


def test_change_has_the_unit_of_the_limit() -> None:
    """The change is signed, and in the unit of the limit; from zero it is no percentage."""
    assert judge(parse_gate("top1:1pp"), 0.9, 0.7).change == -20.0
    assert judge(parse_gate("arena:1%"), 200.0, 250.0).change == 25.0
    assert judge(parse_gate("arena:1"), 200.0, 250.0).change == 50.0
    assert judge(parse_gate("arena:1%"), 0.0, 250.0).change is None
    assert judge(parse_gate("arena:1%"), 0.0, 0.0).change == 0.0


def test_how_sure() -> None:
    """What is said of how sure a change is comes last."""
    outcome = judge(parse_gate("top1:1pp"), 0.9, 0.7, sure="regression at an error rate of 0.05")
    expected = "top-1 fell by 20 pp (90.00% to 70.00%), more than 1pp; regression at an error rate of 0.05"
    assert expected == outcome.text


def test_error_rates() -> None:
    """Of 5,000 harmless changes McNemar's test calls at most 2.5 % a regression; a true point is found by all."""
    narrow, wide, regression = rates(5_000, 0.012, 0.0, runs=5_000)
    # Four standard errors of the simulation.
    assert regression <= 0.025 + 4 * (0.025 / 5_000) ** 0.5
    assert 0.07 < narrow < 0.11
    assert wide < 0.001
    assert min(rates(5_000, 0.012, 0.01, runs=5_000)) > 0.99
