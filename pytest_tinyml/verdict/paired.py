"""The same samples, predicted twice: by a baseline and now, or by anything else and by the board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


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
        before: right before; None without labels, as all below.
        now: right now.
        better: wrong before and right now.
        worse: right before and wrong now.
        classes: the same by label, for the labels that there are.
    """

    count: int
    flips: tuple[int, ...]
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
    if labels is None:
        return Paired(count=len(ids), flips=flips)
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
        before=int(right_before.sum()),
        now=int(right_now.sum()),
        better=int(rows[3].sum()),
        worse=int(rows[4].sum()),
        classes=classes,
    )
