"""The lines of the summary about the cause of a mismatch."""

from __future__ import annotations

from typing import Any


def explanation_lines(results: dict[str, Any]) -> list[str]:
    """Return the lines for `results` (docs/reference/results.md); none if no cause was looked for."""
    explanation = results.get("explanation")
    if explanation is None:
        return []
    lines = [f"cause: {explanation['text']}"]
    operator = explanation["operator"]
    if operator is not None:
        scale = f", scale {operator['scale']:.6g}, zero point {operator['zero_point']}" if operator["scale"] else ""
        where = "" if explanation["where"] is None else f"; most at {list(explanation['where'])}"
        sample = "" if explanation["sample"] is None else f" of sample {explanation['sample']}"
        tensor = f"{operator['dtype']} {list(operator['shape'])}{scale}"
        lines.append(f"  its output is {tensor}{where}{sample}")
    if not explanation["complete"]:
        lines.append(f"  (not complete, after {explanation['seconds']:.1f} s; tinyml explain takes its time)")
    return lines
