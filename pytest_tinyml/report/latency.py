"""How long inferences took, in what a board's clock counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.records import Clock

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Identity

CLOCKS: Final = {Clock.WALL: "wall_us", Clock.CYCLES: "cycles", Clock.INSTRUCTIONS: "instructions"}
"""Names in results.json."""
_FIGURES: Final = ("p50", "p90", "p99", "min", "max", "mean", "total")


def clock_name(identity: Identity | None) -> str | None:
    """Return what a tick is, if anything."""
    timed = identity is not None and (identity.tick_hz or identity.clock is Clock.INSTRUCTIONS)
    return CLOCKS[identity.clock] if identity is not None and timed else None


def latency_facts(ticks: npt.NDArray[np.int64], identity: Identity | None, *, hardware: bool) -> dict[str, Any]:
    """Return ``latency`` of results.json.

    Args:
        ticks: int64 [n], of the samples that were answered.
        identity: of the board; None if it was not asked.
        hardware: the board's wall clock is that of the part.
    """
    name = clock_name(identity)
    counted = name == CLOCKS[Clock.INSTRUCTIONS]
    # A computer's or an emulator's wall clock says nothing about the part; instruction counts do.
    gated = name is not None and (hardware or counted)
    shared = {"clock": name, "unit": "instructions" if counted else "us", "gated": gated}
    return measured(shared | dict.fromkeys(_FIGURES), None if identity is None else identity.tick_hz, ticks)


def measured(latency: dict[str, Any], tick_hz: int | None, ticks: npt.NDArray[Any]) -> dict[str, Any]:
    """Return ``latency`` of results.json with the figures of these inferences, if there are any and a tick is known."""
    if latency["clock"] is None or not len(ticks):
        return latency
    unit = 1.0 if latency["unit"] == "instructions" or not tick_hz else 1e6 / tick_hz
    p50, p90, p99 = np.percentile(ticks, [50, 90, 99])
    values = (p50, p90, p99, ticks.min(), ticks.max(), ticks.mean(), ticks.sum())
    return latency | {key: float(value) * unit for key, value in zip(_FIGURES, values, strict=True)}
