"""The geometry of the report's figures: places are percent of a plot's width and height, from its upper left corner.

Shapes are drawn in a square of 100 by 100 that is stretched to the plot; words stand beside it as text of the page, so
that they keep their size on a phone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.report.html.numbers import count, figure, percent, short, ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_tinyml.report.html.digest import Digest, Histogram

_BINS_OF_TIME: Final = 80
_HEADROOM: Final = 1.06
_UNITS: Final = {"us": "µs", "instructions": "instructions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place on an axis, in percent, and what is written there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A figure.

    Attributes:
        title: what it shows, for those who do not see it.
        x: ticks of the horizontal axis.
        y: ticks of the vertical one.
        x_name: what the horizontal axis is.
        y_name: what the vertical one is.
        bars: left, width and height of each.
        line: points of a line, x and y.
        dots: points by themselves, x and y.
        marks: vertical lines with a text.
        diagonal: a line from the lower left to the upper right corner.
    """

    title: str
    x: list[Mark]
    y: list[Mark]
    x_name: str
    y_name: str
    bars: list[tuple[float, float, float]] = field(default_factory=list)
    line: list[tuple[float, float]] = field(default_factory=list)
    dots: list[tuple[float, float]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    diagonal: bool = False

    @property
    def path(self) -> str:
        """The line as an SVG path."""
        return "M" + " L".join(f"{x:.2f} {y:.2f}" for x, y in self.line)


def _place(value: float, low: float, high: float) -> float:
    return 100.0 * (value - low) / (high - low) if high > low else 50.0


def _axis(low: float, high: float, text: Callable[[float], str], *, most: int = 5, up: bool = False) -> list[Mark]:
    places = [(_place(value, low, high), text(value)) for value in ticks(low, high, most)]
    return [Mark(at=100.0 - at if up else at, text=word) for at, word in places]


def latency_plot(histogram: Histogram, latency: dict[str, Any]) -> Plot:
    """Draw how long inferences took, with median and the last of a hundred marked."""
    top = float(histogram.counts.max()) * _HEADROOM or 1.0
    bins = len(histogram.counts)
    # The smallest bar can be seen, however many others there are.
    bars = [
        (100.0 * k / bins, 100.0 / bins, max(100.0 * int(number) / top, 0.8))
        for k, number in enumerate(histogram.counts)
        if number
    ]
    unit = _UNITS[latency["unit"]]
    marks = [
        Mark(at=_place(latency[key], histogram.low, histogram.high), text=f"{key} {figure(latency[key])}")
        for key in ("p50", "p99")
        if histogram.low <= latency[key] <= histogram.high
    ]
    return Plot(
        title=f"Samples by duration of the inference, {count(float(histogram.counts.sum()))} in {bins} bins, "
        f"median {figure(latency['p50'])} {unit}",
        x=_axis(histogram.low, histogram.high, short),
        y=_axis(0.0, top, short, most=4, up=True),
        x_name=unit,
        y_name="samples",
        bars=bars,
        marks=marks,
    )


def pace_plot(progress: Sequence[tuple[float, int]], faults: Sequence[tuple[float, str]] = ()) -> Plot | None:
    """Draw samples per second over the seconds spent streaming; None if it was over too soon to say.

    Args:
        progress: seconds and samples answered, as they rose.
        faults: when something happened, in the same seconds, and what.
    """
    if len(progress) < 3 or progress[-1][0] <= 0:  # noqa: PLR2004 - a line needs as many
        return None
    at, done = (np.array(values, dtype=np.float64) for values in zip(*progress, strict=True))
    bins = min(_BINS_OF_TIME, len(progress) - 1)
    edges = np.linspace(0.0, at[-1], bins + 1)
    reached = np.interp(edges, np.concatenate(([0.0], at)), np.concatenate(([0.0], done)))
    rates = np.diff(reached) / np.diff(edges)
    top = float(rates.max()) * _HEADROOM
    if not top > 0:
        return None
    middles = (edges[:-1] + edges[1:]) / 2.0
    line = [(_place(x, 0.0, at[-1]), 100.0 - _place(rate, 0.0, top)) for x, rate in zip(middles, rates, strict=True)]
    line = [(0.0, line[0][1]), *line, (100.0, line[-1][1])]
    return Plot(
        title=f"Samples per second over {figure(float(at[-1]))} seconds, "
        f"between {figure(float(rates.min()))} and {figure(float(rates.max()))}",
        x=_axis(0.0, float(at[-1]), short),
        y=_axis(0.0, top, short, most=4, up=True),
        x_name="seconds of streaming",
        y_name="samples per second",
        line=line,
        marks=[Mark(at=_place(x, 0.0, at[-1]), text=text) for x, text in faults if 0.0 <= x <= at[-1]],
    )


def scatter_plots(digest: Digest, *, targets: bool) -> list[Plot]:
    """Draw, for the first outputs of a regression, what the board gave over what is right (or the host gave)."""
    plots = []
    for number, points in enumerate(digest.scatter):
        if not points:
            continue
        values = np.array(points)
        low, high = float(values.min()), float(values.max())
        room = (high - low) * 0.04 or 1.0
        low, high = low - room, high + room
        plots.append(
            Plot(
                title=f"Output {number}: {len(points)} samples, the board over the {'target' if targets else 'host'}",
                x=_axis(low, high, figure),
                y=_axis(low, high, figure, up=True),
                x_name="target" if targets else "host",
                y_name="board" if len(digest.scatter) == 1 else f"board, output {number}",
                dots=[(_place(x, low, high), 100.0 - _place(y, low, high)) for x, y in points],
                diagonal=True,
            )
        )
    return plots


_TREND: Final[tuple[tuple[str, str, Callable[[float], str]], ...]] = (
    ("Top-1", "top1", percent),
    ("Agreement with the host", "agreement", percent),
    ("Error (RMSE)", "rmse", figure),
    ("Instructions per inference", "instructions", short),
    ("Latency p50, µs", "latency_p50", figure),
    ("Working memory, bytes", "arena_bytes", short),
    ("Flash, bytes", "flash_bytes", short),
)


def trend_plots(history: Sequence[dict[str, Any]], now: dict[str, float | None]) -> list[tuple[str, str, Plot]]:
    """Draw the figures that baselines keep over the baselines.

    Args:
        history: ``baseline.history`` of results.json, oldest first; empty if nothing was compared.
        now: the same figures of this run, which is drawn last.

    Returns:
        Name, the newest value in words, and the figure.
    """
    plots = []
    for name, key, text in _TREND if history else ():
        found = [(number, one.get(key)) for number, one in enumerate([*history, now])]
        known = [(number, float(value)) for number, value in found if value is not None]
        if len(known) < 2:  # noqa: PLR2004 - of one point there is no trend
            continue
        low, high = min(value for _, value in known), max(value for _, value in known)
        # A change in the last digit shall not look like a cliff: at least a thousandth is shown.
        room = max((high - low) * 0.15, abs(high) * 0.0005, 1e-9)
        low, high = low - room, high + room
        line = [(_place(number, 0, len(found) - 1), 100.0 - _place(value, low, high)) for number, value in known]
        plot = Plot(
            title=f"{name}: {', '.join(text(value) for _, value in known)}",
            x=[Mark(at=_place(number, 0, len(found) - 1), text=_name(one)) for number, one in enumerate(history)]
            + [Mark(at=100.0, text="now")],
            y=_axis(low, high, text, most=3, up=True),
            x_name="",
            y_name=name,
            line=line,
            dots=line,
        )
        plots.append((name, text(known[-1][1]), plot))
    return plots


def _name(baseline: dict[str, Any]) -> str:
    return f"#{baseline.get('number', '')}"
