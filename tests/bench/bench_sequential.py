"""How often the early stop is wrong, how many samples it takes, and how often an interval holds: simulated.

Run as ``python -m tests.bench.bench_sequential``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.references import get_reference
from pytest_tinyml.references.cache import cached_scores
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.models import load_model
from pytest_tinyml.verdict.compare import predictions
from pytest_tinyml.verdict.sequentialspec import SequentialSpec
from pytest_tinyml.verdict.stats import wilson
from tests.synthetic import decide

if TYPE_CHECKING:
    import numpy.typing as npt

RUNS: Final = 4000
SAMPLES: Final = 28_000
SPEC: Final = SequentialSpec()
MEDIAN: Final = 3000
"""Within so many samples half of the runs have to find a loss of one point, if at most 5 % of the samples differ."""
# Shares of samples that only the partner, and only the board, has right; in percent.
EARLY: Final = (
    (0.0, 0.0), (0.1, 0.1), (0.5, 0.5), (1.0, 1.0), (2.5, 2.5), (0.5, 1.5),
    (0.75, 0.25),
    (1.0, 0.0), (1.25, 0.25), (1.5, 0.5), (2.0, 1.0), (3.0, 2.0), (2.5, 0.5),
)  # fmt: skip
OTHER: Final = (
    (SequentialSpec(alpha=0.01, beta=0.01), SAMPLES),
    (SequentialSpec(delta=0.005), SAMPLES),
    (SequentialSpec(delta=0.02), SAMPLES),
    (SPEC, 10_000),
    (SPEC, 1000),
)
ZOO: Final = (
    ("s0-qat", "s0-ptq"), ("s0-ptq", "s0-qat"), ("s4-qat", "s4-ptq"), ("s2-qat", "s1-ptq"),
    ("s4-qat", "s1-ptq-pertensor"), ("s0-ptq", "s4-qat"),
)  # fmt: skip


def _slack(rate: float) -> float:
    """Return what a simulated rate may be above the true one: three standard errors."""
    return 3.0 * float(np.sqrt(rate * (1.0 - rate) / RUNS))


def _row(spec: SequentialSpec, total: int, shares: tuple[float, float], seed: int) -> tuple[list[str], bool]:
    """Return the cells of one simulation, and whether a bound is broken."""
    losses, gains = (round(share / 100 * total) for share in shares)
    regressions, samples = decide(spec, seed, RUNS, total, losses, gains)
    said = float(regressions.mean())
    loss = (losses - gains) / total
    broken = not samples.all()
    if loss <= 0.0:
        broken |= said > spec.alpha + _slack(spec.alpha)
        wrong = f"{said:.1%}"
    elif loss >= spec.delta:
        broken |= 1.0 - said > spec.beta + _slack(spec.beta)
        wrong = f"{1.0 - said:.1%}"
    else:
        wrong = "-"
    median = int(np.median(samples))
    broken |= loss == spec.delta and spec == SPEC and total == SAMPLES and sum(shares) <= 5.0 and median > MEDIAN
    cells = [f"{shares[0]:g} %", f"{shares[1]:g} %", f"{100 * loss:g} pp", f"{said:.1%}", wrong]
    return [*cells, f"{median:,}", f"{int(np.percentile(samples, 95)):,}"], broken


def _early() -> bool:
    """Print what the early stop does."""
    broken = False
    print(f"{SPEC}, {SAMPLES:,} samples, {RUNS:,} orders each:\n")
    print(
        "| only the partner right | only the board | loss | called a regression | wrong | median samples | 95 of 100 |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for seed, shares in enumerate(EARLY):
        cells, bad = _row(SPEC, SAMPLES, shares, seed)
        print(f"| {' | '.join(cells)} |", flush=True)
        broken |= bad
    print(f"\nAt the borders of other tests, {RUNS:,} orders each, with 1 % of the samples better:\n")
    print("| test | samples | loss | called a regression | wrong | median samples | 95 of 100 |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for seed, (spec, total) in enumerate(OTHER):
        for loss in (0.0, 100 * spec.delta):
            cells, bad = _row(spec, total, (1.0 + loss, 1.0), 100 + seed)
            rates = f"alpha={spec.alpha:g}, beta={spec.beta:g}, delta={100 * spec.delta:g}pp"
            print(f"| {rates} | {total:,} | {' | '.join(cells[2:])} |", flush=True)
            broken |= bad
    return broken


def _right(name: str) -> npt.NDArray[np.bool_]:
    """Return which of the 28,000 a model of the zoo has right on the host: bool [28,000]."""
    model, data = load_model(name), load_dataset("mnist-28k")
    encoder, reference = SampleEncoder(model, data), get_reference("tflm")
    try:
        scores = cached_scores(
            reference,
            model,
            data.sha256,
            lambda start, stop: encoder.tensors(slice(start, stop)),
            samples=len(data),
            on_chunk=None,
        )
    finally:
        reference.close()
    return np.asarray(predictions(scores, model.output) == data.labels)


def _zoo() -> bool:
    """Print what happens when a model is replaced by another one, with the predictions that both really make."""
    broken = False
    print(f"\n{SPEC}, models of the zoo over the 28,000, {RUNS:,} orders each:\n")
    print("| before | now | only before right | only now | loss | called a regression | median samples | 95 of 100 |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for seed, (before, now) in enumerate(ZOO):
        was, is_now = _right(before), _right(now)
        losses, gains = int((was & ~is_now).sum()), int((is_now & ~was).sum())
        regressions, samples = decide(SPEC, 300 + seed, RUNS, SAMPLES, losses, gains)
        loss, said = (losses - gains) / SAMPLES, float(regressions.mean())
        median, late = int(np.median(samples)), int(np.percentile(samples, 95))
        figures = f"{losses} | {gains} | {100 * loss:.2f} pp | {said:.1%} | {median:,} | {late:,}"
        print(f"| {before} | {now} | {figures} |", flush=True)
        broken |= loss <= 0.0 and said > SPEC.alpha + _slack(SPEC.alpha)
        broken |= loss >= SPEC.delta and (1.0 - said > SPEC.beta + _slack(SPEC.beta) or median > MEDIAN)
    return broken


def _intervals() -> bool:
    """Print how often an interval contains the share that it is about."""
    print(f"\nWilson's 95 % interval, {RUNS:,} test sets each:\n")
    print("| true share | 1,000 samples | 28,000 samples |")
    print("|---:|---:|---:|")
    lowest = 1.0
    for share in (0.5, 0.9, 0.97, 0.99, 0.999):
        covered = []
        for count in (1000, SAMPLES):
            rng = np.random.default_rng(count)
            found = [wilson(int(k), count) for k in rng.binomial(count, share, RUNS)]
            covered.append(float(np.mean([one.low <= share <= one.high for one in found])))
        print(f"| {share:.1%} | {covered[0]:.1%} | {covered[1]:.1%} |", flush=True)
        lowest = min(lowest, *covered)
    return lowest < 0.92


def main() -> int:
    """Print the tables; returns 1 if an error rate is above what was asked for, or a median above its bound."""
    broken = [_early(), _zoo(), _intervals()]
    return int(any(broken))


if __name__ == "__main__":
    sys.exit(main())
