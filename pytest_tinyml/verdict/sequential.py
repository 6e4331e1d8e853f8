"""A paired test that ends as soon as its verdict is certain, on samples in random order.

A test set of N samples is run by a board and by its partner: the host, or the board as it was in a baseline. For sample
i, d_i is 1 if only the partner has it right, -1 if only the board has, and 0 if there is no difference. The loss of
accuracy is D = (d_1 + ... + d_N) / N: a fixed number, which the whole run would show. Samples are drawn *without
replacement*, in a random order that was chosen without a look at them. Two hypotheses are tried at the same time:

    not worse            D <= 0       refused: the verdict is "regression", wrong in at most `alpha` of all orders
    worse by delta       D >= delta   refused: the verdict is "no regression", wrong in at most `beta` of all orders

whatever N, whatever the share of samples with a difference, and with a look after every sample. In between, for
0 < D < delta, either verdict is right. The first to be refused ends the test, and one of them always is by the end.

How: betting. If mean(v) <= b for N values v (d and 0; or -d and -delta), then, S being the sum of the first t-1 values,
the rest has a mean of at most m_t = (b N - S) / (N - t + 1). A gambler who stakes the share L_t of the money on v_t
being above m_t has, after t samples, K_t = product of (1 + L_t (v_t - m_t)), which cannot become negative if
L_t <= 1 / (1 + m_t). If the hypothesis is true this is a supermartingale that begins at 1, and so is the mean of the
money of several. By Ville's inequality it ever reaches 1/alpha with a probability of at most alpha. Here
L_t = c / max(1, 1 + m_t) for six shares c from 0.1 to 0.98, because nobody knows beforehand how many samples will
differ. A hypothesis is also refused when the rest cannot make it true any more.

Sources: I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", J. R. Stat. Soc. B
86(1), 1-27, 2024, section 5 (without replacement); J. Ville, "Etude critique de la notion de collectif", 1939. Error
rates and lengths by simulation: docs/explanation/statistics.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.verdict.sequentialspec import SequentialSpec

Verdict = Literal["regression", "no regression"]

_SHARES: Final = np.geomspace(0.1, 0.98, 6)
_BLOCK: Final = 256
_UNDECIDED: Final = -1
_VERDICTS: Final[tuple[Verdict, Verdict]] = ("regression", "no regression")
_ROUNDING: Final = 1e-9


class SequentialTest:
    """Tests of several runs side by side, each with its own order of samples; a campaign has one.

    Args:
        spec: what is to be decided.
        total: N, the samples of the test set.
        runs: how many.

    Attributes:
        samples: int64 [runs], samples after which each was decided; 0 while it is not.
        seen: samples that each has been given.
    """

    def __init__(self, spec: SequentialSpec, total: int, runs: int = 1) -> None:
        """Begin with nothing seen."""
        self.samples = np.zeros(runs, dtype=np.int64)
        self.seen = 0
        self._total = total
        self._decided = np.full(runs, _UNDECIDED, dtype=np.int8)
        self._thresholds = (1.0 / spec.alpha, 1.0 / spec.beta)
        # Largest sums of d, and of -d, that the two hypotheses have.
        self._bounds = (0.0, -spec.delta * total)
        self._sums = np.zeros(runs, dtype=np.int64)
        self._money = np.zeros((2, runs, len(_SHARES)))
        self._most = np.ones((2, runs))

    def verdict(self, run: int = 0) -> Verdict | None:
        """Return what was decided about a run; None while it is not."""
        return None if self._decided[run] == _UNDECIDED else _VERDICTS[self._decided[run]]

    @property
    def regressions(self) -> npt.NDArray[np.bool_]:
        """Bool [runs]: decided, and that it is a regression."""
        return np.asarray(self._decided == 0)

    def p(self, run: int = 0) -> tuple[float, float]:
        """Return the p values of "not worse" and of "worse by delta", 0..1, valid whenever they are looked at.

        The inverse of the most money that there ever was; 0 if the hypothesis has become impossible.
        """
        first, second = (1.0 / self._most[:, run]).tolist()
        return first, second

    def extend(self, differences: npt.NDArray[np.int8]) -> None:
        """Go on with the next samples; what comes after a run's decision does not count.

        Args:
            differences: int8 [runs, n], each -1, 0 or 1, in the order that was drawn.

        Raises:
            ValueError: more samples than the test set has.
        """
        if self.seen + differences.shape[1] > self._total:
            msg = f"{self.seen + differences.shape[1]} samples of {self._total}"
            raise ValueError(msg)
        for start in range(0, differences.shape[1], _BLOCK):
            block = differences[:, start : start + _BLOCK]
            open_runs = np.flatnonzero(self._decided == _UNDECIDED)
            if len(open_runs):
                self._bet(block[open_runs].astype(np.int64), open_runs)
            self.seen += block.shape[1]

    def _bet(self, values: npt.NDArray[np.int64], runs: npt.NDArray[np.int64]) -> None:
        """Play one block, int64 [len(runs), n]; `runs` are those that are open."""
        width = values.shape[1]
        sums = self._sums[runs, None] + np.cumsum(values, axis=1)
        money = np.stack([
            self._play(side, runs, sign * values, sign * sums) for side, sign in enumerate((1, -1))
        ])  # fmt: skip
        refused = money >= np.asarray(self._thresholds)[:, None, None]
        # The first that is refused, of both the first.
        when = np.where(refused.any(axis=2), refused.argmax(axis=2), width)
        side = np.where(when[0] <= when[1], 0, 1).astype(np.int8)
        end = when.min(axis=0)
        decided = end < width
        self._decided[runs[decided]] = side[decided]
        self.samples[runs[decided]] = self.seen + end[decided] + 1
        counts = np.arange(width)[None, None] <= end[None, :, None]
        self._most[:, runs] = np.maximum(self._most[:, runs], np.where(counts, money, 0.0).max(axis=2))
        self._sums[runs] = sums[:, -1]

    def _play(
        self, side: int, runs: npt.NDArray[np.int64], values: npt.NDArray[np.int64], sums: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the mean of the gamblers' money after each sample, float64 [runs, n]; infinite if there is no rest.

        Args:
            side: of the hypotheses; here it is that the values' sum is at most its bound.
            runs: int64, which runs.
            values: int64 [runs, n].
            sums: int64 [runs, n], of all values up to and with each.
        """
        bound = self._bounds[side]
        left = self._total - self.seen - np.arange(values.shape[1])
        mean = (bound - (sums - values)) / left
        stakes = 1.0 / np.maximum(1.0, 1.0 + mean)
        outcome = stakes * (values - mean)
        logs = np.cumsum(np.log1p(outcome[:, :, None] * _SHARES), axis=1) + self._money[side, runs][:, None]
        self._money[side, runs] = logs[:, -1]
        money = np.exp(np.minimum(logs, 600.0)).mean(axis=2)
        impossible = sums - (left - 1) > bound + _ROUNDING * self._total
        return np.where(impossible, np.inf, money)


def random_order(total: int, seed: int) -> npt.NDArray[np.int64]:
    """Return all sample ids in a random order, int64 [total]; the same for the same seed and release of numpy."""
    return np.random.default_rng(seed).permutation(total).astype(np.int64)
