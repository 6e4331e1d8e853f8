"""Classes that changed places."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_tinyml.verdict.metrics import confusion
from pytest_tinyml.verdict.moved import describe_moved, moved_classes

BEFORE = np.repeat(np.arange(5), 10)


def changed(to: dict[int, int]) -> list[tuple[int, int]]:
    """Return what is found when classes become others."""
    return moved_classes(confusion(BEFORE, np.array([to.get(one, one) for one in BEFORE.tolist()]), 5))


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ({}, ""),
        ({3: 1, 1: 3}, "classes 1 and 3 are swapped"),
        ({3: 1, 1: 3, 0: 4, 4: 0}, "classes 0 and 4, 1 and 3 are swapped"),
        ({0: 1, 1: 2, 2: 0}, "classes changed places: 0 is now 1, 1 is now 2, 2 is now 0"),
        # All of one class are wrong, but nothing changed places.
        ({3: 1}, ""),
        ({0: 1, 1: 2, 2: 3}, ""),
        ({0: 1, 1: 2, 2: 1}, "classes 1 and 2 are swapped"),
    ],
)
def test_changed_places(to: dict[int, int], text: str) -> None:
    """Swaps and cycles are found; a class that only became another one is not."""
    assert text == describe_moved(changed(to))


def test_a_few_exceptions() -> None:
    """Four of five are enough, three of five are not, and two samples say nothing."""
    now = np.where(BEFORE == 1, 3, np.where(BEFORE == 3, 1, BEFORE))
    now[10:12] = 0
    assert [(1, 3), (3, 1)] == moved_classes(confusion(BEFORE, now, 5))
    now[12] = 0
    assert [] == moved_classes(confusion(BEFORE, now, 5))
    few = np.array([0, 0, 1, 1])
    assert [] == moved_classes(confusion(few, 1 - few, 2))
    assert [] == moved_classes(confusion(few[:0], few[:0], 2))
    assert [(0, 1), (1, 0)] == moved_classes(confusion(np.repeat(few, 2), np.repeat(1 - few, 2), 10))
