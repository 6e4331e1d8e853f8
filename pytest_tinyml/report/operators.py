"""The instructions of each operator, beside those of a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_tinyml.campaign.operators import Costs
    from pytest_tinyml.stores.baseline import Baseline

_SHOWN: Final = 3


def operator_facts(costs: Costs, baseline: Baseline | None) -> list[dict[str, Any]]:
    """Return ``operators`` of results.json.

    Args:
        costs: counted on the board.
        baseline: that the run is compared with; its counts are found by index and type of the operator.
    """
    before: dict[str, float] = {} if baseline is None else baseline.content.get("operators") or {}
    return [
        {
            "index": cost.index,
            "type": cost.type,
            "kernel": cost.kernel or None,
            "instructions": cost.ticks,
            "share": cost.share,
            "baseline": before.get(f"{cost.index} {cost.type}"),
        }
        for cost in costs.operators
    ]


def operator_counts(results: dict[str, Any]) -> dict[str, float] | None:
    """Return what a baseline keeps of ``operators``: instructions by index and type."""
    operators = results.get("operators")
    if operators is None:
        return None
    return {
        f"{one['index']} {one['type']}": one["instructions"] for one in operators if one["instructions"] is not None
    }


def operator_lines(results: dict[str, Any]) -> list[str]:
    """Return the lines of the summary: which operators take more instructions than in the baseline, the worst first."""
    known = [one for one in results.get("operators") or () if None not in {one["instructions"], one["baseline"]}]
    grown = sorted(
        ((one["instructions"] - one["baseline"], one) for one in known if one["instructions"] > one["baseline"]),
        key=lambda pair: -pair[0],
    )
    lines = []
    for more, one in grown[:_SHOWN]:
        kernel = f", by {one['kernel']}" if one["kernel"] else ""
        share = f" (+{100 * more / one['baseline']:.3g} %)" if one["baseline"] > 0 else ""
        lines.append(
            f"operator {one['index']} {one['type']} takes {more:,.0f} instructions more{share}: "
            f"{one['baseline']:,.0f} to {one['instructions']:,.0f}{kernel}"
        )
    if len(grown) > _SHOWN:
        lines.append(f"and {len(grown) - _SHOWN} more operators, see operators in results.json")
    return lines
