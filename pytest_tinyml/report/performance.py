"""Performance mode in results.json and in the summary."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_tinyml.campaign.run import Campaign


def performance_facts(campaign: Campaign) -> list[dict[str, Any]] | None:
    """Return ``performance`` of results.json; None if it was not asked for."""
    measured = campaign.bench.performance
    if not measured:
        return None
    return [
        {"board": name, "valid": not performance.remarks, **asdict(performance)}
        for name, performance in measured.items()
    ]


def performance_lines(results: dict[str, Any]) -> list[str]:
    """Say how fast each board is, and whether that is valid by MLPerf Tiny's rules."""
    lines: list[str] = []
    for one in results["performance"] or ():
        shortest = min(window["device_s"] for window in one["windows"])
        again = "" if one["same_outputs"] else "; the outputs behind the windows are not those of the run"
        valid = "valid" if one["valid"] else f"not valid by MLPerf Tiny's rules: {'; '.join(one['remarks'])}"
        lines.append(
            f"performance of {one['board']}: {one['median_per_s']:,.1f} inferences/s, median of {len(one['windows'])} "
            f"windows of {shortest:.1f} s or more ({valid}){again}"
        )
    return lines
