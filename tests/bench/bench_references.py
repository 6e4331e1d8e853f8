"""How the host's runtimes differ over the 28,000, and what it costs to load these and a warm cache of their answers.

Run as ``python -m tests.bench.bench_references``. "warm" is the time from loaded model and data to the 28,000 answers,
with the runtime itself not imported.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.campaign import SampleEncoder
from pytest_tinyml.references import get_reference
from pytest_tinyml.references.cache import cached_scores
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.models import load_model
from pytest_tinyml.verdict.compare import compare
from tests.campaigns import zoo_on

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Dataset, Model

DATA: Final = "mnist-28k"
DATA_LIMIT_S: Final = 1.0
WARM_LIMIT_S: Final = 0.2
ROUNDS: Final = 5


def answers(name: str, model: Model, dataset: Dataset) -> npt.NDArray[Any]:
    """Return a reference's scores of the whole data set, from the cache if they are there."""
    encoder = SampleEncoder(model, dataset)
    return cached_scores(
        get_reference(name),
        model,
        dataset.sha256,
        lambda start, stop: encoder.tensors(slice(start, stop)),
        samples=len(dataset),
    )


def loading() -> float:
    """Return the seconds that loading the data set takes, the best of some rounds."""
    times = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        load_dataset(DATA)
        times.append(time.perf_counter() - before)
    return min(times)


def main() -> int:
    """Print the table; returns 1 if the data set or a warm cache is slower than its bound."""
    dataset, loaded_s = load_dataset(DATA), loading()
    ids = np.arange(len(dataset), dtype=np.int64)
    slowest = 0.0
    print("| model | tflm against | differing samples | max LSB | max difference | label flips | warm s |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for model in map(load_model, zoo_on("tflm")):
        golden = answers("tflm", model, dataset)
        times = []
        for _ in range(ROUNDS):
            before = time.perf_counter()
            answers("tflm", model, dataset)
            times.append(time.perf_counter() - before)
        slowest = max(slowest, min(times))
        for name in ("litert", "litert-ref"):
            comparison = compare(answers(name, model, dataset), golden, None, ids, model.output)
            lsb = "-" if comparison.max_lsb is None else f"{comparison.max_lsb}"
            counts = f"{comparison.differing:,} | {lsb} | {comparison.max_abs:.2g} | {len(comparison.flips)}"
            print(f"| {model.name} | {name} | {counts} | {min(times):.3f} |", flush=True)
    print(f"\nslowest warm cache {slowest:.3f} s, at most {WARM_LIMIT_S}")
    print(f"data set loaded in {loaded_s:.3f} s, at most {DATA_LIMIT_S:g}")
    return int(slowest > WARM_LIMIT_S or loaded_s > DATA_LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
