"""How large requests are: by the board's speed, and by what the line lets through."""

from __future__ import annotations

import math
import random

import pytest

from pytest_tinyml.links.pace import MEMORY_BYTES, OVERHEAD_BYTES, Pace


def cost(size: int, spoilt: float) -> float:
    """Return the bytes that travel per payload byte when each byte is spoilt with a probability."""
    frame = size + OVERHEAD_BYTES
    return frame / (size * (1 - spoilt) ** frame)


@pytest.mark.parametrize("spoilt", [8e-3, 8e-4, 8e-5, 8e-6])
def test_the_size_is_the_best_one(spoilt: float) -> None:
    """For a known rate of spoilt bytes no other size costs less."""
    pace = Pace(0.5, 1000)
    pace._passed, pace._lost = 1 / spoilt, 1.0
    best = min(range(1, 20_000), key=lambda size: cost(size, spoilt))
    assert abs(pace.payload_bytes - best) <= 1


def test_nothing_lost_is_no_limit() -> None:
    """On a line that loses nothing only the time of a batch counts."""
    pace = Pace(0.5, 1000)
    pace.answered(1, 0.001)
    pace.completed(200)
    assert pace.payload_bytes == math.inf


def test_batches_grow_to_their_time() -> None:
    """From one sample on they double until a batch takes about `batch_s`, or as many as may be."""
    limits: list[list[int]] = []
    for most in (1000, 20):
        pace = Pace(0.5, most)
        limits.append([])
        for _ in range(8):
            limits[-1].append(pace.limit)
            pace.answered(pace.limit, pace.limit / 64)
            pace.completed(100)
    assert limits == [[1, 2, 4, 8, 16, 32, 32, 32], [1, 2, 4, 8, 16, 20, 20, 20]]


def test_what_is_due_follows_experience() -> None:
    """A second for ten answers is two for twenty; before the first answer nothing is known."""
    pace = Pace(0.5, 1000)
    assert pace.due_s(20) is None
    pace.answered(10, 1.0)
    assert pace.due_s(20) == pytest.approx(2.0)


def stay(pace: Pace, spoilt: float, sample: int, seed: int) -> tuple[float, float]:
    """Use a line for 2 MB; returns bytes that travelled per useful byte, and the last size."""
    noise = random.Random(seed)  # noqa: S311 - a reproducible one
    travelled = useful = 0
    while travelled < 1 << 21:
        samples = max(1, int(min(pace.payload_bytes, 4000) // sample))
        frame = samples * sample + OVERHEAD_BYTES
        travelled += frame
        if noise.random() < (1 - spoilt) ** frame:
            pace.completed(frame)
            useful += samples * sample
        else:
            pace.lost(frame)
    return travelled / useful, pace.payload_bytes


@pytest.mark.parametrize("bit_error", [1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_line_is_used_nearly_as_well_as_can_be(bit_error: float, seed: int) -> None:
    """Not knowing the noise costs at most 3 % more bytes than the best size would."""
    sample, spoilt = 20, 1 - (1 - bit_error) ** 8
    travelled, _ = stay(Pace(0.5, 1000), spoilt, sample, seed)
    assert travelled <= 1.03 * min(cost(size, spoilt) for size in range(sample, 4000, sample))


def test_a_repaired_line_is_used_as_one() -> None:
    """After noise, a quarter of a megabyte without it brings frames of 2 KB back."""
    pace = Pace(0.5, 1000)
    _, small = stay(pace, 8e-4, 20, 1)
    for _ in range(4 * MEMORY_BYTES // 200):
        pace.completed(200)
    assert small < 300
    assert pace.payload_bytes > 800
    for _ in range(2 * MEMORY_BYTES // 1000):
        pace.completed(1000)
    assert pace.payload_bytes > 2000


def test_even_the_worst_line_gets_a_size() -> None:
    """More losses than bytes can explain leave a size of a few bytes, which means one sample per frame."""
    pace = Pace(0.5, 1000)
    for _ in range(100):
        pace.lost(1)
    assert 0 < pace.payload_bytes < 20
