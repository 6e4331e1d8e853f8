"""The same samples, predicted twice: by a baseline and now, or by anything else and by the board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.verdict.metrics import confusion
from pytest_tinyml.verdict.moved import moved_classes

if TYPE_CHECKING:
    import numpy.typing as npt

_MOST_CLASSES: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPair:
    """The samples of one label: how many there are, and how many were predicted right before and now.

    Attributes:
        label: the class.
        count: its samples.
        before: right before.
        now: right now.
        better: wrong before and right now.
        worse: right before and wrong now.
    """

    label: int
    count: int
    before: int
    now: int
    better: int
    worse: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """What changed between two predictions of the same samples.

    Attributes:
        count: samples.
        flips: ids of the samples whose predicted class differs, ascending if the samples' are.
        moved: classes that are now predicted in the place of others, see `moved_classes`.
        before: right before; None without labels, as all below.
        now: right now.
        better: wrong before and right now.
        worse: right before and wrong now.
        classes: the same by label, for the labels that there are.
    """

    count: int
    flips: tuple[int, ...]
    moved: tuple[tuple[int, int], ...] = ()
    before: int | None = None
    now: int | None = None
    better: int | None = None
    worse: int | None = None
    classes: tuple[ClassPair, ...] = ()


def pair(
    ids: npt.NDArray[np.int64],
    before: npt.NDArray[np.int64],
    now: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64] | None,
) -> Paired:
    """Compare two predictions: ids, classes then, classes now, and labels if there are, int64 [N] each."""
    flips = tuple(int(sample) for sample in ids[before != now])
    classes_then_or_now = int(max(before.max(initial=-1), now.max(initial=-1))) + 1
    # The table of pairs is square: with more classes it would take more memory than it is worth.
    few = classes_then_or_now <= _MOST_CLASSES
    moved = tuple(moved_classes(confusion(before, now, classes_then_or_now))) if few else ()
    if labels is None:
        return Paired(count=len(ids), flips=flips, moved=moved)
    right_before, right_now = before == labels, now == labels

    def by_class(which: npt.NDArray[np.bool_], size: int) -> list[int]:
        return [int(count) for count in np.bincount(labels[which], minlength=size)]

    size = int(labels.max(initial=-1)) + 1
    every = np.ones(len(ids), dtype=np.bool_)
    rows = (every, right_before, right_now, ~right_before & right_now, right_before & ~right_now)
    columns = zip(range(size), *(by_class(row, size) for row in rows), strict=True)
    classes = tuple(
        ClassPair(label=label, count=count, before=old, now=new, better=better, worse=worse)
        for label, count, old, new, better, worse in columns
        if count
    )
    return Paired(
        count=len(ids),
        flips=flips,
        moved=moved,
        before=int(right_before.sum()),
        now=int(right_now.sum()),
        better=int(rows[3].sum()),
        worse=int(rows[4].sum()),
        classes=classes,
    )
