"""What the report shows of single samples does not depend on how they come, and figures are written as they are."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tinyml.records import TensorSpec
from pytest_tinyml.report.html import numbers
from pytest_tinyml.report.html.digest import SHOWN, Digest, Durations
from pytest_tinyml.report.html.matrices import matrices
from pytest_tinyml.report.html.plots import pace_plot
from pytest_tinyml.report.html.summary import class_rows
from tests.report.made import INT8, facts

COUNT = 1000
SPEC = TensorSpec(dtype="int8", shape=(1, 3), scale=0.5, zero_point=-1)
SOURCE = np.random.default_rng(8)
HOST = SOURCE.integers(-128, 128, (COUNT, 3)).astype(np.int8)
BOARD = np.where(SOURCE.random((COUNT, 3)) < 0.1, SOURCE.integers(-128, 128, (COUNT, 3)), HOST).astype(np.int8)
LABELS = SOURCE.integers(0, 3, COUNT)
IDS = np.arange(COUNT) * 3
STEPS = np.abs(BOARD.astype(int) - HOST).max(axis=1)
FLIPPED = np.argmax(BOARD, axis=1) != np.argmax(HOST, axis=1)


def digest(size: int, **more: Any) -> Digest:
    """Return what is gathered of chunks of so many samples."""
    made = Digest(SPEC, samples=COUNT, classes=True, **more)
    for start in range(0, COUNT, size):
        part = slice(start, start + size)
        made.add(BOARD[part], HOST[part], LABELS[part], IDS[part])
    return made


@pytest.mark.parametrize("size", [1, 7, 64, COUNT])
def test_chunks_do_not_matter(size: int) -> None:
    """Galleries hold the farthest samples of all, however they come."""
    made = digest(size)
    for shown, which in ((made.flips, FLIPPED), (made.changed, (STEPS > 0) & ~FLIPPED)):
        assert SHOWN == len(shown)
        assert sorted(STEPS[which])[::-1][:SHOWN] == [one.difference for one in shown]
        assert all(which[one.id // 3] for one in shown)
    assert COUNT == made.buckets.sum()
    assert made.host_to_board is not None
    assert COUNT - int(FLIPPED.sum()) == np.trace(made.host_to_board)


def test_pictures_first() -> None:
    """Samples with a picture come before those that are farther away; wrong ones are shown only with one."""
    wanted = IDS[np.flatnonzero(FLIPPED)[-3:]].tolist()
    alike = IDS[np.flatnonzero(~FLIPPED & (np.argmax(BOARD, axis=1) != LABELS))[:2]].tolist()
    made = digest(100, wanted=[*wanted, *alike], news=[IDS[5], 10**6])
    assert set(wanted) == {one.id for one in made.flips[:3]}
    assert set(alike) == {one.id for one in made.wrong}
    assert [IDS[5]] == [one.id for one in made.news]


def test_ranges() -> None:
    """Samples are counted by their largest difference."""
    expected = {
        "the same bytes": int((STEPS == 0).sum()),
        "1 LSB": int((STEPS == 1).sum()),
        "3 to 4 LSB": int(((STEPS >= 3) & (STEPS <= 4)).sum()),
        "65 LSB or more": int((STEPS >= 65).sum()),
    }
    found = dict(digest(100).ranges())
    assert expected == {name: found[name] for name in expected}
    far = Digest(SPEC, samples=2, classes=True)
    far.add(np.array([[0, 0, 90]], dtype=np.int8), np.array([[0, 0, 20]], dtype=np.int8), None, np.arange(1))
    assert [("the same bytes", 0), ("65 LSB or more", 1)] == far.ranges()


def test_not_a_number() -> None:
    """A NaN on one side is as far away as can be; the same NaN on both is no difference."""
    spec = TensorSpec(dtype="float32", shape=(1, 3))
    host = np.zeros((4, 3), dtype=np.float32)
    host[1] = np.nan
    board = host.copy()
    board[2, 1], board[3] = np.nan, np.float32(2e-5)
    made = Digest(spec, samples=4, classes=True)
    made.add(board, host, None, np.arange(4))
    assert [("the same bytes", 2), ("below 0.0001", 1)] == made.ranges()[:2]
    farthest = max((*made.flips, *made.changed), key=lambda one: one.difference)
    assert (2, float("inf")) == (farthest.id, farthest.difference)


def test_infinite() -> None:
    """Equal infinities are the same output, and warn of nothing."""
    spec = TensorSpec(dtype="float32", shape=(1, 2))
    host = np.array([[np.inf, 0.0], [-np.inf, 0.0]], dtype=np.float32)
    board = host.copy()
    board[1, 1] = 0.5
    made = Digest(spec, samples=2, classes=True)
    made.add(board, host, None, np.arange(2))
    assert [(1, 0.5)] == [(one.id, one.difference) for one in made.changed]


@pytest.mark.parametrize("slow", [0, 5])
def test_durations(slow: int) -> None:
    """Every sample is in a bin or counted as slower, and a few slow ones do not press the others together."""
    ticks = np.concatenate((np.arange(1000, 1995), np.full(5, 90_000 if slow else 1999)))
    results = facts(INT8, COUNT)
    results["board"]["tick_hz"] = 1_000_000
    results["latency"] |= {"min": 1000.0, "p50": 1500.0, "p90": 1900.0, "max": float(ticks.max())}
    made = Durations(results)
    made.add(ticks[:500])
    made.add(ticks[500:])
    found = made.histogram()
    assert found is not None
    assert (COUNT - slow, slow) == (found.counts.sum(), found.slower)
    assert np.count_nonzero(found.counts) > 10


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks(low: float, size: float, most: int) -> None:
    """Ticks are evenly spaced, inside, in order, and no more than one above what was asked for."""
    found = numbers.ticks(low, low + size, most)
    assert 0 <= len(found) <= most + 1
    # A step may be a quarter larger than the range.
    slack = 2e-9 * (abs(low) + size)
    assert all(low - slack <= tick <= low + size + slack for tick in found)
    assert all(right > left for left, right in pairwise(found))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (numbers.percent(1.0), "100.00 %"),
        (numbers.percent(0.999_999), "99.99 %"),
        (numbers.percent(None), "\N{EN DASH}"),
        (numbers.points(0.0), "±0.00 pp"),
        (numbers.points(-0.002), "\N{MINUS SIGN}0.20 pp"),
        (numbers.points(-1 / 28_000), "\N{MINUS SIGN}0.004 pp"),
        (numbers.figure(1234.56), "1,235"),
        (numbers.figure(-0.001234567), "\N{MINUS SIGN}0.001235"),
        (numbers.figure(float("nan")), "nan"),
        (numbers.short(76_415.6), "76.42k"),
        (numbers.size(0), "\N{EN DASH}"),
        (numbers.size(1000), "1000 B"),
        (numbers.size(137_000), "133.8 KiB"),
        (numbers.size(5_000_000_000), "4768.4 MiB"),
        (numbers.duration(227.3), "3 min 47 s"),
        (numbers.duration(7300.0), "2 h 1 min"),
        (numbers.probability(0.0312), "p = 0.031"),
        (numbers.probability(1e-12), "p < 0.001"),
    ],
)
def test_numbers(written: str, expected: str) -> None:
    """Figures are short, never say 100 % of less, and have units."""
    assert expected == written


def test_pace() -> None:
    """Rates are what was answered between two moments; two points are too few."""
    plot = pace_plot([(float(k), 100 * k) for k in range(1, 11)], [(2.5, "restart"), (99.0, "late")])
    assert plot is not None
    assert {round(y, 3) for _, y in plot.line} == {round(100 - 100 / 1.06, 3)}
    assert [("restart", 25.0)] == [(mark.text, mark.at) for mark in plot.marks]
    assert pace_plot([(1.0, 5), (2.0, 6)]) is None


def test_better_and_worse() -> None:
    """In the difference more on the diagonal is better, and more beside it is worse."""
    cells = matrices([[5, 1], [0, 4]], [[4, 2], [0, 4]], ("host", "board"))[2].rows
    assert [("\N{MINUS SIGN}1", "worse"), ("+1", "worse")] == [(cell.text, cell.kind) for cell in cells[0]]
    assert ["", ""] == [cell.text for cell in cells[1]]


def test_class_rows() -> None:
    """Intervals lie within the axis, around what was measured; classes without a sample have no row."""
    results = facts(INT8, 20)
    results["metrics"] |= {
        "confusion_board": [[9, 1, 0], [0, 0, 0], [0, 0, 10]],
        "confusion_reference": [[10, 0, 0], [0, 0, 0], [0, 0, 10]],
    }
    rows, low = class_rows(results)
    assert [("0", 10, "90.00 %", "100.00 %"), ("2", 10, "100.00 %", "100.00 %")] == [
        (row.name, row.count, row.board, row.host) for row in rows
    ]
    assert 0.0 < low < 0.6
    for row in rows:
        assert 0.0 < row.left < row.board_at <= row.left + row.width + 1e-9 <= 100.0 + 1e-6
