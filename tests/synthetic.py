"""Synthetic runs: which samples of a test set differ between a board and its partner, in random orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_tinyml.verdict.sequential import SequentialTest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from pytest_tinyml.verdict.sequentialspec import SequentialSpec

_TOGETHER = 500


def orders(seed: int, runs: int, total: int, losses: int, gains: int) -> Iterator[npt.NDArray[np.int8]]:
    """Yield int8 [some runs, total]: one test set with so many losses (1) and gains (-1), drawn in many orders."""
    rng = np.random.default_rng(seed)
    for start in range(0, runs, _TOGETHER):
        drawn = np.zeros((min(_TOGETHER, runs - start), total), dtype=np.int8)
        for row in drawn:
            where = rng.choice(total, losses + gains, replace=False)
            row[where[:losses]] = 1
            row[where[losses:]] = -1
        yield drawn


def decide(
    spec: SequentialSpec, seed: int, runs: int, total: int, losses: int, gains: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Test many orders: bool [runs], said to be a regression; int64 [runs], samples that it took (0 if undecided)."""
    regressions, samples = [], []
    for drawn in orders(seed, runs, total, losses, gains):
        test = SequentialTest(spec, total, len(drawn))
        test.extend(drawn)
        regressions.append(test.regressions)
        samples.append(test.samples)
    return np.concatenate(regressions), np.concatenate(samples)
