"""Intervals, the paired test and the correction, against other implementations and by simulation."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pytest_tinyml.verdict.stats import McNemar, holm, mcnemar, mcnemar_of, wilson

RATES = st.sampled_from([0.5, 0.9, 0.95, 0.999])


@given(count=st.integers(1, 100_000), share=st.floats(0, 1), confidence=RATES)
def test_wilson_is_scipys(count: int, share: float, confidence: float) -> None:
    """The interval is that of an independent implementation, at the ends as well."""
    successes = round(share * count)
    theirs = binomtest(successes, count).proportion_ci(confidence, method="wilson")
    ours = wilson(successes, count, confidence)
    assert successes / count == ours.value
    assert pytest.approx((theirs.low, theirs.high), abs=1e-12) == (ours.low, ours.high)
    assert 0.0 <= ours.low <= ours.value <= ours.high <= 1.0


def test_wilson_of_everything() -> None:
    """A share of 1 has no more above it, and is not certain."""
    found = wilson(300, 300)
    assert (1.0, 1.0) == (found.value, found.high)
    assert pytest.approx(300 / (300 + 1.959963984540054**2)) == found.low
    assert "100.00 % (98.74 to 100.00 %)" == str(wilson(300, 300))


def test_wilson_covers() -> None:
    """About 95 of 100 intervals contain the true share, also near 1."""
    rng = np.random.default_rng(3)
    for share in (0.5, 0.9, 0.99):
        found = [wilson(int(k), 2000) for k in rng.binomial(2000, share, size=4000)]
        covered = np.mean([one.low <= share <= one.high for one in found])
        assert 0.94 <= covered <= 0.965, share


@pytest.mark.parametrize(("successes", "count", "confidence"), [(1, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)])
def test_no_interval(successes: int, count: int, confidence: float) -> None:
    """A share of nothing, or of more than there is, has no interval."""
    with pytest.raises(ValueError, match="no interval of"):
        wilson(successes, count, confidence)


@given(better=st.integers(0, 120), worse=st.integers(0, 120))
def test_mcnemar_is_exact(better: int, worse: int) -> None:
    """The p value is the sum of whole numbers that defines it."""
    n = better + worse
    tail = Fraction(sum(comb(n, k) for k in range(min(better, worse) + 1)), 2**n)
    assert pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-9) == mcnemar(better, worse).p


def test_mcnemar_says_which_way() -> None:
    """Few differences are noise; many in one direction are not; none are none."""
    table = {(0, 0): "noise", (0, 5): "noise", (0, 6): "regression", (6, 0): "improvement", (500, 514): "noise"}
    assert table == {counts: mcnemar(*counts).verdict for counts in table}
    assert "noise" == mcnemar(0, 6, alpha=0.01).verdict
    assert 1.0 == mcnemar(0, 0).p


def test_mcnemar_in_words() -> None:
    """The text has the counts, the p value and the error rate."""
    text = "regression at an error rate of 0.05 (14 worse, 3 better, exact McNemar p = 0.013)"
    assert text == str(mcnemar(3, 14))


def test_mcnemar_of_samples() -> None:
    """Samples that both have right, or both wrong, do not count."""
    now = np.array([1, 1, 0, 0, 0], dtype=bool)
    before = np.array([1, 0, 1, 1, 0], dtype=bool)
    assert McNemar(better=1, worse=2, p=1.0, alpha=0.05, verdict="noise") == mcnemar_of(now, before)


def test_mcnemar_refuses() -> None:
    """Arrays of two lengths are not paired; counts are not negative."""
    with pytest.raises(ValueError, match="3 samples cannot be paired with 2"):
        mcnemar_of(np.zeros(3, dtype=bool), np.zeros(2, dtype=bool))
    with pytest.raises(ValueError, match="no test of -1 better"):
        mcnemar(-1, 0)


def test_mcnemar_keeps_its_error_rate() -> None:
    """Two equally good models are told apart in at most 5 of 100 test sets, 0.05 points of 28,000 hardly ever."""
    rng = np.random.default_rng(5)
    discordant = rng.binomial(28_000, 0.01, size=4000)
    worse = rng.binomial(discordant, 0.5)
    alarms = [mcnemar(int(n - k), int(k)).verdict != "noise" for n, k in zip(discordant, worse, strict=True)]
    # Three standard errors of 4,000 runs are one point.
    assert np.mean(alarms) <= 0.06
    assert "noise" == mcnemar(133, 147).verdict


def test_holm() -> None:
    """The worked example: smallest times four, next times three, and never less than one before."""
    assert pytest.approx((0.03, 0.06, 0.06, 0.02)) == holm([0.01, 0.04, 0.03, 0.005])
    assert (1.0, 1.0) == holm([0.7, 0.9])
    assert () == holm([])


def test_holm_keeps_its_error_rate() -> None:
    """Among ten classes of which none changed, one is named in at most 5 of 100 runs."""
    p = np.random.default_rng(7).random((4000, 10))
    alarms = np.mean([min(holm(row)) <= 0.05 for row in p.tolist()])
    assert 0.04 <= alarms <= 0.06
