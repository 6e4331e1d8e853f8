"""The lines of the summary that are about a baseline: failed gates first, each with how much worse and how sure."""

from __future__ import annotations

from typing import Any, Final

from pytest_tinyml.verdict.moved import describe_moved

_ORDER: Final = ("failed", "skipped", "passed")
_SHOWN_FLIPS: Final = 5


def gate_lines(results: dict[str, Any]) -> list[str]:
    """Return the lines for `results` (docs/reference/results.md); none if no comparison was asked for."""
    gates, baseline = results["gates"], results["baseline"]
    if gates is None:
        return []
    if baseline is None:
        return ["baseline: there was none yet to compare with, so no gate was applied (--tinyml-save NAME keeps a run)"]
    lines = [f"gate {gate['status']}: {gate['text']}" for gate in sorted(gates, key=lambda gate: _rank(gate["status"]))]
    head, *details = _compared(baseline)
    # A gate on top-1 has said how sure it is.
    said = any(gate["metric"] == "top1" and gate["status"] != "skipped" for gate in gates)
    return [*lines, head, *([] if said else details)]


def _rank(status: str) -> int:
    return _ORDER.index(status)


def _compared(baseline: dict[str, Any]) -> list[str]:
    """Say what the run was compared with, and what changed whether or not there is a gate on it."""
    commit = "" if baseline["commit"] is None else f", commit {baseline['commit'][:12]}"
    head = f"baseline {baseline['number']:04d}_{baseline['name']} of {baseline['created'][:10]}{commit}"
    flips, test = baseline["flips_new"], baseline["mcnemar"]
    if flips is None:
        return [head]
    if not flips:
        return [f"{head}: the same label for each of {baseline['compared']:,} samples"]
    shown = ", ".join(f"#{sample}" for sample in flips[:_SHOWN_FLIPS])
    more = f", and {len(flips) - _SHOWN_FLIPS:,} more" if len(flips) > _SHOWN_FLIPS else ""
    what = "another label" if len(flips) == 1 else "other labels"
    line = f"{head}: {what} for {len(flips):,} of {baseline['compared']:,} samples ({shown}{more})"
    if moved := describe_moved([(one, other) for one, other in baseline["moved"]]):
        line += f"; {moved}"
    if test is None:
        return [line]
    said = f"{test['worse']:,} worse, {test['better']:,} better"
    return [line, f"  {said}: {test['verdict']} at an error rate of {test['alpha']:.2g} (McNemar, p = {test['p']:.2g})"]
