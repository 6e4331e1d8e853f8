"""The operators that take more instructions than in the baseline."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from pytest_tinyml.campaign.operators import OperatorCost
from pytest_tinyml.report.operators import operator_counts, operator_facts, operator_lines

if TYPE_CHECKING:
    from pytest_tinyml.campaign.operators import Costs
    from pytest_tinyml.stores.baseline import Baseline


def facts(now: list[float | None], before: dict[str, float] | None = None) -> dict[str, Any]:
    """Return results with operators 0, 1, ... of these instructions."""
    operators = [
        OperatorCost(index=k, type="CONV_2D", tensor="", kernel="conv" if k else "", ticks=ticks, share=None)
        for k, ticks in enumerate(now)
    ]
    baseline = None if before is None else cast("Baseline", SimpleNamespace(content={"operators": before}))
    return {"operators": operator_facts(cast("Costs", SimpleNamespace(operators=operators)), baseline)}


def test_what_grew() -> None:
    """The one that grew most comes first; what shrank, stayed, or has no count or counterpart is not told."""
    before = {"0 CONV_2D": 1000.0, "1 CONV_2D": 2000.0, "2 CONV_2D": 500.0, "3 CONV_2D": 10.0, "4 SOFTMAX": 1.0}
    assert operator_lines(facts([1100.0, 2500.0, 400.0, 10.0, 99.0, None], before)) == [
        "operator 1 CONV_2D takes 500 instructions more (+25 %): 2,000 to 2,500, by conv",
        "operator 0 CONV_2D takes 100 instructions more (+10 %): 1,000 to 1,100",
    ]


def test_from_nothing() -> None:
    """An operator that took nothing has no percentage; of many only three are told."""
    before = {f"{k} CONV_2D": 0.0 for k in range(5)}
    lines = operator_lines(facts([1.0, 5.0, 4.0, 3.0, 2.0], before))
    assert lines[0] == "operator 1 CONV_2D takes 5 instructions more: 0 to 5, by conv"
    assert len(lines) == 4
    assert lines[3] == "and 2 more operators, see operators in results.json"


def test_nothing_to_compare_with() -> None:
    """Without a baseline, with one that kept no counts, and in older results there is nothing to say."""
    assert [] == operator_lines(facts([1.0]))
    assert [] == operator_lines(facts([1.0], {}))
    assert [] == operator_lines({"operators": None})
    assert [] == operator_lines({})


def test_what_a_baseline_keeps() -> None:
    """Instructions by index and type, of those that could be counted by themselves."""
    assert {"0 CONV_2D": 1.5, "2 CONV_2D": 3.0} == operator_counts(facts([1.5, None, 3.0]))
    assert operator_counts({"operators": None}) is None
