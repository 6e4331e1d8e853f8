"""The same samples, predicted twice."""

from __future__ import annotations

import numpy as np

from pytest_tinyml.verdict.paired import ClassPair, Paired, pair

IDS = np.array([3, 4, 7, 8, 9])
BEFORE = np.array([0, 1, 1, 2, 2])
NOW = np.array([0, 1, 2, 1, 0])
LABELS = np.array([0, 0, 2, 2, 2])


def test_labelled() -> None:
    """Flips have the samples' ids; better, worse and the classes are counted by the labels."""
    classes = (
        ClassPair(label=0, count=2, before=1, now=1, better=0, worse=0),
        ClassPair(label=2, count=3, before=2, now=1, better=1, worse=2),
    )
    expected = Paired(count=5, flips=(7, 8, 9), before=3, now=2, better=1, worse=2, classes=classes)
    assert expected == pair(IDS, BEFORE, NOW, LABELS)


def test_unlabelled() -> None:
    """Without labels there are flips and nothing else."""
    assert Paired(count=5, flips=(7, 8, 9)) == pair(IDS, BEFORE, NOW, None)


def test_nothing() -> None:
    """Of no samples nothing is right."""
    none = np.zeros(0, dtype=np.int64)
    expected = Paired(count=0, flips=(), before=0, now=0, better=0, worse=0)
    assert expected == pair(none, none, none, none)


def test_many_classes() -> None:
    """A class of any number is a class: no table of all pairs is made of them."""
    before, now = np.array([2**31, 5, 7]), np.array([2**31, 6, 7])
    assert Paired(count=3, flips=(7,)) == pair(np.array([4, 7, 8]), before, now, None)
