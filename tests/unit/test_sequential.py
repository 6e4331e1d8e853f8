"""The sequential test keeps its error rates: in every order of small sets, in thousands of orders of large ones."""

from __future__ import annotations

import re
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tinyml.verdict.sequential import SequentialTest, random_order
from pytest_tinyml.verdict.sequentialspec import SequentialSpec, parse_sequential
from tests.synthetic import decide

SPEC = SequentialSpec()
RUNS = 1500
ERROR = 0.068
"""What 1,500 runs show of a true rate of 5 % is below this but for once in a thousand times."""

EQUAL = [(losses, gains) for losses in (0, 10, 200) for gains in (losses, losses + 20)]
WORSE = [(gains + 100 + more, gains) for gains in (0, 10, 200) for more in (0, 50)]


@pytest.mark.parametrize(("losses", "gains"), EQUAL)
def test_false_alarms(losses: int, gains: int) -> None:
    """A board that is not worse is called worse in at most 5 of 100 orders, however many samples differ."""
    regressions, samples = decide(SPEC, 1, RUNS, 10_000, losses, gains)
    assert samples.all()
    assert regressions.mean() <= ERROR


@pytest.mark.parametrize(("losses", "gains"), WORSE)
def test_misses(losses: int, gains: int) -> None:
    """A board that is worse by one point or more is missed in at most 5 of 100 orders."""
    regressions, samples = decide(SPEC, 2, RUNS, 10_000, losses, gains)
    assert samples.all()
    assert 1.0 - regressions.mean() <= ERROR


def test_other_rates() -> None:
    """The rates that are asked for are those that are kept, each on its own side."""
    spec = SequentialSpec(alpha=0.2, beta=0.01, delta=0.02)
    alarms, _ = decide(spec, 3, RUNS, 4000, 60, 60)
    found, _ = decide(spec, 4, RUNS, 4000, 120, 40)
    assert 0.03 <= alarms.mean() <= 0.22
    assert 0.982 <= found.mean()


def test_a_regression_of_one_point_is_found_early() -> None:
    """Half of the orders of 28,000 samples show a loss of one point within 3,000, with 2 to 5 of 100 that differ."""
    for losses, gains in ((420, 140), (560, 280), (840, 560)):
        regressions, samples = decide(SPEC, 5, 400, 28_000, losses, gains)
        assert np.median(samples) <= 3000, (losses, gains)
        assert 0.93 <= regressions.mean()


def test_equal_boards_are_done_early() -> None:
    """Without any difference the verdict is there after the same few hundred samples in every order."""
    _, samples = decide(SPEC, 6, 3, 28_000, 0, 0)
    assert samples.min() == samples.max() < 500


NOT_WORSE = [(1, 1, -1, -1, 0, 0, 0), (1, 1, 1, -1, -1, -1, 0), (1, 0, 0, 0, -1, -1, 0), (0,) * 7]
WORSE_BY_TWO = [(1, 1, 0, 0, 0, 0, 0), (1, 1, 1, -1, 0, 0, 0), (1, 1, 1, 1, -1, -1, 0), (1, 1, 1, 1, 1, -1, -1)]


@pytest.mark.parametrize("values", NOT_WORSE + WORSE_BY_TWO)
def test_every_order_of_a_small_set(values: tuple[int, ...]) -> None:
    """Counted over all 5,040 orders, not estimated, false alarms and misses are no more than was asked for."""
    drawn = np.array(list(permutations(values)), dtype=np.int8)
    test = SequentialTest(SequentialSpec(alpha=0.3, beta=0.3, delta=2 / 7), 7, len(drawn))
    test.extend(drawn)
    assert test.samples.all()
    assert (test.regressions if sum(values) <= 0 else ~test.regressions).mean() <= 0.3


@given(st.lists(st.sampled_from([-1, 0, 0, 0, 1]), min_size=1, max_size=300), st.data())
def test_the_end_decides(values: list[int], data: st.DataObject) -> None:
    """By the last sample there is a verdict; fed in pieces, it is the same after the same number of samples."""
    drawn = np.array([values], dtype=np.int8)
    spec = SequentialSpec(delta=data.draw(st.sampled_from([0.001, 0.01, 0.3])))
    whole = SequentialTest(spec, len(values))
    whole.extend(drawn)
    assert whole.verdict() is not None
    assert 1 <= whole.samples[0] <= len(values)
    assert all(0.0 <= p <= 1.0 for p in whole.p())
    pieces = SequentialTest(spec, len(values))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=5)))
    for start, stop in zip([0, *cuts], [*cuts, len(values)], strict=True):
        pieces.extend(drawn[:, start:stop])
    assert (whole.verdict(), whole.samples[0]) == (pieces.verdict(), pieces.samples[0])
    assert pytest.approx(whole.p(), abs=1e-12) == pieces.p()


def test_a_loss_of_exactly_delta_is_one() -> None:
    """At the border the hypothesis "worse by delta" is true to the end, whatever 0.01 x 28,000 is in floats."""
    for total, losses, delta in ((300, 3, 0.01), (700, 49, 0.07), (28_000, 280, 0.01)):
        test = SequentialTest(SequentialSpec(alpha=1e-300, beta=1e-300, delta=delta), total)
        drawn = np.zeros((1, total), dtype=np.int8)
        drawn[0, -losses:] = 1
        test.extend(drawn)
        assert "regression" == test.verdict(), (total, losses)


def test_the_first_verdict_stays() -> None:
    """What comes after the decision neither changes it nor its p values."""
    test = SequentialTest(SPEC, 1000)
    assert None is test.verdict()
    test.extend(np.ones((1, 300), dtype=np.int8))
    decided = (test.verdict(), int(test.samples[0]), test.p())
    assert ("regression", True) == (decided[0], decided[1] < 50)
    assert decided[2][0] <= 0.05 < decided[2][1]
    test.extend(-np.ones((1, 700), dtype=np.int8))
    assert decided == (test.verdict(), int(test.samples[0]), test.p())


def test_too_many_samples() -> None:
    """More samples than the set has cannot have been drawn from it."""
    test = SequentialTest(SPEC, 10)
    test.extend(np.zeros((1, 6), dtype=np.int8))
    with pytest.raises(ValueError, match="11 samples of 10"):
        test.extend(np.zeros((1, 5), dtype=np.int8))


def test_order() -> None:
    """Every sample is drawn once; the seed decides when."""
    first = random_order(1000, 0)
    assert list(range(1000)) == sorted(first.tolist())
    assert first.tolist() == random_order(1000, 0).tolist()
    assert first.tolist() != random_order(1000, 1).tolist()


def test_parse() -> None:
    """All of it, in any order and with spaces; what is left out has its default; what is written is read again."""
    full = SequentialSpec(alpha=0.01, beta=0.1, delta=0.005, seed=7)
    assert full == parse_sequential("delta=0.5pp, seed=7,beta=0.1,alpha = 0.01")
    assert full == parse_sequential(str(full))
    assert SPEC == parse_sequential("delta=1pp")


BAD = {
    **dict.fromkeys(
        ("", "yes", "alpha", "gamma=1", "delta=1pp,"), "is not a list of alpha, beta, delta and seed, e.g."
    ),
    "alpha=0": "must have alpha above 0 and at most 0.5, not '0'",
    "beta=0.6": "must have beta above 0 and at most 0.5, not '0.6'",
    "alpha=nan": "must have alpha above 0 and at most 0.5, not 'nan'",
    **{
        f"delta={size}": f"must have delta in percentage points, above 0 and below 100, e.g. delta=1pp, not '{size}'"
        for size in ("0.01", "0pp", "100pp", "nanpp", "xpp", "")
    },
    "seed=-1": "must have a seed that is a whole number, not '-1'",
    "seed=1,delta=1pp,seed=2": "must be clear: seed is given twice",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_lists(text: str) -> None:
    """Everything else is refused, with what would do."""
    with pytest.raises(ValueError, match="^" + re.escape(BAD[text])):
        parse_sequential(text)
