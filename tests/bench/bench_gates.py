"""How often a gate on top-1 is wrong: harmless changes that it stops, and regressions that it lets through.

Run as ``python -m tests.bench.bench_gates``. Two models are simulated by what they have right on the same samples. On
a share of them only one is right; of those, a harmless change makes half worse, and a true regression of 1 point as
many more as that takes. Next to the gates stands what McNemar's test calls a regression at an error rate of 5 %.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.verdict.gate import judge, parse_gate
from pytest_tinyml.verdict.stats import ALPHA, mcnemar

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS: Final = 20_000
SEED: Final = 6
TOP1: Final = 0.95
DROP: Final = 0.01
GATES: Final = ("top1:0.2pp", "top1:0.5pp")
CASES: Final = tuple((samples, share) for samples in (1_000, 5_000, 28_000) for share in (0.012, 0.03))


def simulate(samples: int, share: float, drop: float, runs: int = RUNS, seed: int = SEED) -> dict[tuple[int, int], int]:
    """Return how often each pair (better, worse) came up.

    Args:
        samples: of the test set.
        share: of samples that only one of the models has right, at least `drop`.
        drop: by which the true accuracy falls.
        runs: simulated comparisons.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    disagree = random.binomial(samples, share, runs)
    worse = random.binomial(disagree, 0.5 + drop / share / 2.0)
    pairs, counts = np.unique(np.stack([disagree - worse, worse]), axis=1, return_counts=True)
    return {(int(a), int(b)): int(count) for (a, b), count in zip(pairs.T, counts, strict=True)}


def rates(samples: int, share: float, drop: float, runs: int = RUNS) -> list[float]:
    """Return how often each of `GATES` fails, and how often McNemar's test says regression; 0..1."""
    found = simulate(samples, share, drop, runs)
    gates = [parse_gate(text) for text in GATES]
    stopped = [0] * (len(gates) + 1)
    for (better, worse), count in found.items():
        now = TOP1 + (better - worse) / samples
        for index, gate in enumerate(gates):
            stopped[index] += count * (judge(gate, TOP1, now).status == "failed")
        stopped[-1] += count * (mcnemar(better, worse).verdict == "regression")
    return [hits / runs for hits in stopped]


def table(runs: int = RUNS) -> Iterator[str]:
    """Yield the lines of the table in docs/how-to/choosing-gates.md."""
    yield f"| samples | only one is right on | true change | {' | '.join(GATES)} | McNemar says regression |"
    yield "|---|---|---|---|---|---|"
    for samples, share in CASES:
        for drop in (0.0, DROP):
            cells = " | ".join(f"{rate:.1%}" for rate in rates(samples, share, drop, runs))
            change = "none" if not drop else f"-{drop * 100:g} pp"
            yield f"| {samples:,} | {share:.1%} | {change} | {cells} |"


def main() -> int:
    """Print the table; returns 1 if McNemar's test calls more harmless changes a regression than it may."""
    print("\n".join(table()))
    # Both kinds of error together are ALPHA, so half of it may be called a regression; a simulation has errors itself.
    allowed = ALPHA / 2 + 4 * (ALPHA / 2 / RUNS) ** 0.5
    return int(any(rates(samples, share, 0.0)[-1] > allowed for samples, share in CASES))


if __name__ == "__main__":
    sys.exit(main())
