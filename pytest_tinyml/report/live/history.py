"""How a run went so far, in a bounded number of points."""

from __future__ import annotations

from typing import Final

POINTS: Final = 240
"""Even, so that every second one can be left out."""

Point = tuple[float, int, float | None, float | None, float | None, float | None, float | None, float | None]


class History:
    """Points of a curve: when there are too many every second one goes, and only every second one is taken from then.

    Each is (seconds, samples done, top-1, its low, its high, agreement, its low, its high).
    """

    def __init__(self) -> None:
        """Have no point."""
        self._points: list[Point] = []
        self._stride, self._seen = 1, 0
        self._last: Point | None = None

    def add(self, point: Point) -> None:
        """Take a point, unless nothing has come since the one before."""
        if self._last is not None and point[1:] == self._last[1:]:
            return
        self._last = point
        if self._seen % self._stride == 0:
            self._points.append(point)
        self._seen += 1
        if len(self._points) >= POINTS:
            del self._points[1::2]
            self._stride *= 2

    def points(self) -> list[Point]:
        """Return the points, oldest first; the newest is always there."""
        if self._last is None or (self._points and self._points[-1] is self._last):
            return list(self._points)
        return [*self._points, self._last]
