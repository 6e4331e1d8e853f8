"""How sure a verdict is: intervals for shares, an exact paired test, and a correction for many classes at once.

Here a test set counts as a sample of the pictures that a model will meet, so a share measured on it has an error.

    Wilson    a share p = k/n lies, with z the normal quantile of (1 + confidence)/2, between
              (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
              E. B. Wilson, J. Am. Stat. Assoc. 22(158), 209-212, 1927; recommended by L. D. Brown, T. T. Cai,
              A. DasGupta, Statistical Science 16(2), 101-133, 2001
    McNemar   of the samples that only one of two models has right, each model has half if they are equally good:
              p = min(1, 2 P(X <= min(better, worse))), X binomial with n = better + worse and 1/2
              Q. McNemar, Psychometrika 12(2), 153-157, 1947; in its exact, binomial form
    Holm      p values in ascending order, k-th of m (from 1): the largest of (m - j + 1) p_j for j <= k, at most 1
              S. Holm, Scand. J. Statist. 6(2), 65-70, 1979; keeps the chance of any false alarm among the m tests
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

CONFIDENCE: Final = 0.95
"""Of intervals: how often, at least about, one contains the share that it is about."""
ALPHA: Final = 0.05
"""Of paired tests: how often, at most, two equally good models are told apart."""

Finding = Literal["regression", "improvement", "noise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A share that was measured, and between which others the true one is; all 0..1."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return e.g. ``99.12 % (98.99 to 99.23 %)``."""
        return f"{100 * self.value:.2f} % ({100 * self.low:.2f} to {100 * self.high:.2f} %)"


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Two models on the same samples.

    Attributes:
        better: samples that only the one under test has right.
        worse: samples that only the other one has right.
        p: how often two equally good models would differ at least as much, 0..1, exact.
        alpha: the error rate at which they are told apart.
        verdict: ``noise`` if p is above alpha, or else which way.
    """

    better: int
    worse: int
    p: float
    alpha: float
    verdict: Finding

    def __str__(self) -> str:
        """Return e.g. ``regression at an error rate of 5 % (14 worse, 3 better, exact McNemar p = 0.013)``."""
        counts = f"{self.worse:,} worse, {self.better:,} better, exact McNemar p = {self.p:.2g}"
        return f"{self.verdict} at an error rate of {self.alpha:.2g} ({counts})"


def wilson(successes: int, count: int, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's interval of a share.

    Args:
        successes: 0 <= successes <= count.
        count: samples, at least 1.
        confidence: between 0 and 1.

    Raises:
        ValueError: the arguments are outside of these ranges.
    """
    if not 0 <= successes <= count or count < 1 or not 0.0 < confidence < 1.0:
        msg = f"no interval of {successes} of {count} with a confidence of {confidence}"
        raise ValueError(msg)
    z2 = NormalDist().inv_cdf((1.0 + confidence) / 2.0) ** 2
    share = successes / count
    middle = share + z2 / (2 * count)
    half = math.sqrt(z2 * (share * (1.0 - share) / count + z2 / (4 * count * count)))
    low, high = ((middle + side * half) / (1.0 + z2 / count) for side in (-1, 1))
    # At the ends, where the formula gives exactly 0 and 1, floats would be off by a rounding.
    return Interval(value=share, low=low if successes else 0.0, high=high if successes < count else 1.0)


def mcnemar(better: int, worse: int, alpha: float = ALPHA) -> McNemar:
    """Test whether one model is as good as another, from the samples that only one of them has right.

    Args:
        better: that only the model under test has right.
        worse: that only the other one has right.
        alpha: error rate, between 0 and 1.

    Raises:
        ValueError: a count is negative, or `alpha` is not between 0 and 1.
    """
    if better < 0 or worse < 0 or not 0.0 < alpha < 1.0:
        msg = f"no test of {better} better and {worse} worse at an error rate of {alpha}"
        raise ValueError(msg)
    # Takes a quarter of a second, and most that import this module want an interval.
    from scipy.special import bdtr  # noqa: PLC0415

    p = min(1.0, 2.0 * float(bdtr(min(better, worse), better + worse, 0.5)))
    verdict: Finding = "noise"
    if p <= alpha:
        verdict = "regression" if worse > better else "improvement"
    return McNemar(better=better, worse=worse, p=p, alpha=alpha, verdict=verdict)


def mcnemar_of(now: npt.NDArray[np.bool_], before: npt.NDArray[np.bool_], alpha: float = ALPHA) -> McNemar:
    """Test two models by what each has right.

    Args:
        now: bool [N], the model under test is right.
        before: bool [N], the other one is right, on the same samples in the same order.
        alpha: see `mcnemar`.

    Raises:
        ValueError: the arrays are not of one length, or see `mcnemar`.
    """
    if now.shape != before.shape:
        msg = f"{len(now)} samples cannot be paired with {len(before)}"
        raise ValueError(msg)
    return mcnemar(int((now & ~before).sum()), int((before & ~now).sum()), alpha)


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Adjust the p values of several tests, so that the chance of *any* false alarm is what each is compared with.

    Args:
        p: in any order, each 0..1.

    Returns:
        In the same order, each 0..1 and not less than it was.
    """
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = min(1.0, max(largest, (len(p) - rank) * p[index]))
        adjusted[index] = largest
    return tuple(adjusted)
