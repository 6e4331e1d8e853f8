"""Sections, curves and pictures of the live page, without a server."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pytest_tinyml.report.live.feed import Feed
from pytest_tinyml.report.live.history import POINTS, History
from pytest_tinyml.report.live.pictures import SIDE, picture


def test_a_client_is_sent_what_changed_since() -> None:
    """Whoever has a version gets the newest of each section that is newer, once; nothing is queued."""
    feed = Feed()
    feed.put("a", {"x": 1})
    feed.put("b", [1])
    begun = feed.version
    assert {"a": {"x": 1}, "b": [1]} == json.loads(feed.since(0))
    for value in range(2, 50):
        feed.put("a", {"x": value})
    feed.put("b", [1])
    assert {"a": {"x": 49}} == json.loads(feed.since(begun))
    assert {} == json.loads(feed.since(feed.version))


def test_the_same_again_is_no_change() -> None:
    """A run that stands still is not sent again and again."""
    feed = Feed()
    feed.put("a", {"x": 1})
    version = feed.version
    feed.put("a", {"x": 1})
    assert version == feed.version


def test_what_json_cannot_say_is_refused() -> None:
    """A browser cannot read NaN: it must not get that far."""
    with pytest.raises(ValueError, match="JSON"):
        Feed().put("a", float("nan"))


def test_waiting_ends_with_a_change_with_the_end_or_with_the_time() -> None:
    """A stream wakes when there is something for it, and now and then without."""

    async def waits() -> list[Any]:
        feed = Feed()
        waiting = [asyncio.create_task(feed.wait(version, 5.0)) for version in (0, 1)]
        await asyncio.sleep(0)
        feed.put("a", 1)
        await feed.publish()
        await asyncio.sleep(0.01)
        first = [task.done() for task in waiting]
        late = await feed.wait(1, 0.01)
        await feed.finish()
        return [first, late, await asyncio.gather(*waiting)]

    assert [[True, False], False, [True, True]] == asyncio.run(waits())


@given(st.lists(st.integers(0, 3), max_size=4 * POINTS))
def test_a_curve_has_a_bounded_number_of_points(steps: list[int]) -> None:
    """However long a run is, its first and newest points are there, all of them in order."""
    history = History()
    done = 0
    taken: list[int] = []
    for second, step in enumerate(steps):
        done += step
        if not taken or step:
            taken.append(done)
        history.add((float(second), done, None, None, None, None, None, None))
    points = [point[1] for point in history.points()]
    assert len(points) <= POINTS
    assert set(points) <= set(taken)
    assert sorted(set(points)) == points
    assert ([taken[0], taken[-1]] if taken else []) == ([points[0], points[-1]] if points else [])
    assert len(points) >= min(len(taken), POINTS // 2)


def pixels(address: str | None) -> np.ndarray[Any, Any]:
    """Return what a ``data:`` address shows."""
    assert address is not None
    head, _, data = address.partition(",")
    assert "data:image/png;base64" == head
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (12, 20, 3), (2, 3)])
def test_a_sample_is_shown_as_it_is(shape: tuple[int, ...]) -> None:
    """Every pixel of a small sample is there."""
    sample = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(sample.reshape(shape[:2]) if shape[2:] == (1,) else sample, pixels(picture(sample)))


def test_a_photograph_is_thinned_out() -> None:
    """A page is sent a few kilobytes twice a second, not a photograph."""
    shown = pixels(picture(np.zeros((240, 320, 3), dtype=np.uint8)))
    assert (48, 64, 3) == shown.shape
    assert SIDE >= max(shown.shape)


def test_floats_are_spread_from_black_to_white() -> None:
    """What is not a number is black; a sample that is all the same is, too."""
    shown = pixels(picture(np.array([[-1.0, 0.0], [1.0, np.nan]], dtype=np.float32)))
    assert [[0, 127], [255, 0]] == shown.tolist()
    assert not pixels(picture(np.full((4, 4), 7.0, dtype=np.float32))).any()
    assert not pixels(picture(np.full((4, 4), np.nan, dtype=np.float32))).any()


@pytest.mark.parametrize("shape", [(40,), (1, 40), (40, 1), (8, 8, 2), (4, 8, 8, 1)])
def test_what_is_no_picture_is_not_shown_as_one(shape: tuple[int, ...]) -> None:
    """A row of numbers, or a film, has no picture."""
    assert picture(np.zeros(shape, dtype=np.float32)) is None
