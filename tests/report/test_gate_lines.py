"""The summary's lines on a baseline: failed gates first, then what the run was compared with."""

from __future__ import annotations

from typing import Any, Final

import pytest

from pytest_tinyml.report.gates import gate_lines

BASELINE: Final[dict[str, Any]] = {
    "name": "main",
    "number": 3,
    "created": "2026-01-02T03:04:05Z",
    "commit": "0123456789abcdef",
    "compared": 28_000,
    "flips_new": [5, 7, 8, 9, 10, 11, 12],
    "moved": [],
    "mcnemar": {"better": 2, "worse": 5, "p": 0.453125, "alpha": 0.05, "verdict": "noise"},
}
HEAD: Final = "baseline 0003_main of 2026-01-02, commit 0123456789ab"
FLIPS: Final = f"{HEAD}: other labels for 7 of 28,000 samples (#5, #7, #8, #9, #10, and 2 more)"
SURE: Final = "  5 worse, 2 better: noise at an error rate of 0.05 (McNemar, p = 0.45)"


def gate(metric: str, status: str) -> dict[str, str]:
    """Return what the lines take of a gate."""
    return {"metric": metric, "status": status, "text": f"{metric} is what it is"}


CASES: Final[dict[str, tuple[dict[str, Any], list[str]]]] = {
    "nothing asked": ({"gates": None, "baseline": None}, []),
    "first run": (
        {"gates": [gate("top1", "skipped")], "baseline": None},
        ["baseline: there was none yet to compare with, so no gate was applied (--tinyml-save NAME keeps a run)"],
    ),
    "no gates": ({"gates": [], "baseline": BASELINE}, [FLIPS, SURE]),
    "the failed first": (
        {"gates": [gate("arena", "passed"), gate("flash", "skipped"), gate("flips", "failed")], "baseline": BASELINE},
        ["gate failed: flips is what it is", "gate skipped: flash is what it is", "gate passed: arena is what it is",
         FLIPS, SURE],
    ),
    "how sure, once": (
        {"gates": [gate("top1", "failed")], "baseline": BASELINE}, ["gate failed: top1 is what it is", FLIPS]
    ),
    "one flip": (
        {"gates": [], "baseline": BASELINE | {"flips_new": [5], "mcnemar": None, "commit": None}},
        ["baseline 0003_main of 2026-01-02: another label for 1 of 28,000 samples (#5)"],
    ),
    "no flips": (
        {"gates": [], "baseline": BASELINE | {"flips_new": []}}, [f"{HEAD}: the same label for each of 28,000 samples"]
    ),
    "swapped": (
        {"gates": [gate("top1", "failed")], "baseline": BASELINE | {"moved": [[3, 5], [5, 3]]}},
        ["gate failed: top1 is what it is", f"{FLIPS}; classes 3 and 5 are swapped"],
    ),
    "regression": ({"gates": [], "baseline": BASELINE | {"flips_new": None, "mcnemar": None}}, [HEAD]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_lines(name: str) -> None:
    """Every kind of run has lines of its own."""
    results, expected = CASES[name]
    assert expected == gate_lines(results)
