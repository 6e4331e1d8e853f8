"""Classes that changed places: labels in another order are the mistake behind many an accuracy near zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_MOST: Final = 0.8
_FEWEST: Final = 3


def moved_classes(table: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return which classes are now predicted in the place of which: pairs (before, now), by the first.

    A class has moved if it was predicted at least three times, at least 80 % of these samples are now given one other
    class, and that one has moved too, so that the classes change places among each other.

    Args:
        table: int64 [C, C], samples by class predicted before (row) and now (column).
    """
    count = len(table)
    if not count:
        return []
    total, most = table.sum(axis=1), table.argmax(axis=1)
    clear = (total >= _FEWEST) & (table[np.arange(count), most] >= _MOST * total) & (most != np.arange(count))
    to = {int(one): int(most[one]) for one in np.flatnonzero(clear)}
    while (closed := {one: other for one, other in to.items() if other in to and one in to.values()}) != to:
        to = closed
    return sorted(to.items())


def describe_moved(moved: Sequence[tuple[int, int]]) -> str:
    """Say which classes changed places; empty if none did."""
    if not moved:
        return ""
    to = dict(moved)
    if all(to.get(other) == one for one, other in to.items()):
        pairs = [f"{one} and {other}" for one, other in to.items() if one < other]
        return f"classes {', '.join(pairs)} are swapped"
    return f"classes changed places: {', '.join(f'{one} is now {other}' for one, other in to.items())}"
