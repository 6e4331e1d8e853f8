"""The parts of results.json that compare a run with a baseline: what changed, and what became of the gates."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.report.operators import operator_counts
from pytest_tinyml.verdict.gate import METRICS, judge
from pytest_tinyml.verdict.moved import describe_moved
from pytest_tinyml.verdict.stats import holm, mcnemar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tinyml.stores.baseline import Baseline
    from pytest_tinyml.verdict.gate import Gate, Outcome
    from pytest_tinyml.verdict.paired import Paired

NO_BASELINE: Final = "there is no baseline yet"
_BY_SAMPLE: Final = ("agreement", "bit_exact", "max_lsb", "rmse", "mae")
"""Figures of all samples, which those of a part are not compared with."""
_BY_CLASS: Final = ("top1", "flips")
_BY_REFERENCE: Final = ("agreement", "bit_exact", "max_lsb")
_MEMORY: Final = ("arena_bytes", "flash_bytes", "ram_bytes")
_QUANTILES: Final = ("p50", "p90", "p99")


def figures(results: dict[str, Any]) -> dict[str, float | None]:
    """Return what gates can be set on, by the keys of `METRICS`; None where it was not measured.

    Left out is what only means something against a baseline (``flips``).
    """
    metrics, memory, latency = results["metrics"], results["memory"], results["latency"]
    found: dict[str, float | None] = {
        "top1": metrics["top1_board"],
        "agreement": metrics["argmax_agreement"],
        "bit_exact": metrics["bit_exact_ratio"],
        "max_lsb": metrics["max_lsb"],
        **{key: None if metrics["regression"] is None else metrics["regression"]["board"][key] for key in _ERRORS},
    }
    timed = latency["gated"] and latency["unit"] == "us"
    found |= {f"latency_{key}": latency[key] if timed else None for key in _QUANTILES}
    found["instructions"] = latency["p50"] if latency["unit"] == "instructions" else None
    found |= {key: memory[key] or None for key in _MEMORY}
    known = memory["stack_bytes"] and memory["stack_unused_bytes"] is not None
    found["stack_bytes"] = memory["stack_bytes"] - memory["stack_unused_bytes"] if known else None
    found["model_bytes"] = results["model"]["bytes"]
    return found


_ERRORS: Final = ("rmse", "mae")


def content_of(results: dict[str, Any]) -> dict[str, Any]:
    """Return what a baseline of this run holds, but for its name, its number, its key and its predictions."""
    git, metrics = results.get("git"), results["metrics"]
    tables = metrics["confusion_board"]
    return {
        "created": results["created"],
        "commit": None if git is None else git["commit"],
        "dirty": None if git is None else git["dirty"],
        "pytest_tinyml": results["pytest_tinyml"],
        "passed": results["passed"],
        "board": {key: results["board"][key] for key in ("id", "clock", "link", "firmware_sha256", "firmware_version")},
        "model": {key: results["model"][key] for key in ("sha256", "task")},
        "dataset": {"name": results["dataset"]["name"], "samples": results["dataset"]["count"]},
        "reference": {key: results["reference"][key] for key in ("name", "version")},
        "figures": {
            key: figure if figure is not None and math.isfinite(figure) else None
            for key, figure in figures(results).items()
        },
        "operators": operator_counts(results),
        # For those who read a difference of two of these files; a comparison counts by itself.
        "classes": None
        if tables is None
        else {str(label): f"{row[label]} of {sum(row)}" for label, row in enumerate(tables) if sum(row)},
    }


def history_of(baselines: Sequence[Baseline]) -> list[dict[str, Any]]:
    """Return ``baseline.history`` of results.json: the figures of all baselines that this run could be compared with.

    Args:
        baselines: oldest first.
    """
    keys = [metric.key for metric in METRICS.values() if metric.name != "flips"]
    return [
        {
            "name": each.name,
            "number": each.number,
            "created": each.content["created"],
            "commit": each.content["commit"],
            **{key: each.figures.get(key) for key in keys},
        }
        for each in baselines
    ]


def baseline_facts(
    baseline: Baseline, history: Sequence[Baseline], paired: Paired | None, *, file: str
) -> dict[str, Any]:
    """Return ``baseline`` of results.json.

    Args:
        baseline: that the run is compared with.
        history: all that it could be compared with, oldest first.
        paired: what changed; None for a regression, or if nothing was answered.
        file: the baseline's, as the user would type it.
    """
    return {
        "name": baseline.name,
        "number": baseline.number,
        "file": file,
        "created": baseline.content["created"],
        "commit": baseline.content["commit"],
        "model_sha256": baseline.content["model"]["sha256"],
        "firmware_sha256": baseline.content["board"]["firmware_sha256"],
        "samples": baseline.samples,
        "top1": baseline.figures.get("top1"),
        "agreement": baseline.figures.get("agreement"),
        "compared": 0 if paired is None else paired.count,
        "mcnemar": None if paired is None or paired.better is None else _mcnemar(paired),
        "per_class": None if paired is None or paired.better is None else _classes(paired),
        "flips_new": None if paired is None else list(paired.flips),
        "moved": [] if paired is None else [list(one) for one in paired.moved],
        "history": history_of(history),
    }


def _mcnemar(paired: Paired) -> dict[str, Any]:
    return asdict(mcnemar(paired.better or 0, paired.worse or 0))


def _classes(paired: Paired) -> list[dict[str, Any]]:
    """Return what changed by label; the p values are adjusted for as many tests as there are labels."""
    tests = [mcnemar(each.better, each.worse) for each in paired.classes]
    adjusted = holm([test.p for test in tests])
    return [
        {
            "class": each.label,
            "count": each.count,
            "baseline": each.before,
            "now": each.now,
            "better": each.better,
            "worse": each.worse,
            "p": test.p,
            "p_adjusted": p,
            "significant": p <= test.alpha,
        }
        for each, test, p in zip(paired.classes, tests, adjusted, strict=True)
    ]


def judge_gates(
    gates: Sequence[Gate], results: dict[str, Any], baseline: Baseline | None, paired: Paired | None
) -> list[Outcome]:
    """Say what became of each gate.

    Args:
        gates: in the order in which they were given.
        results: of this run.
        baseline: None if there is none yet.
        paired: what changed; None if that is not known.
    """
    if baseline is None:
        return [judge(gate, None, None, why=NO_BASELINE) for gate in gates]
    now, before = figures(results), dict(baseline.figures)
    if paired is not None:
        now["flips"], before["flips"] = float(len(paired.flips)), 0.0
        if paired.now is not None and paired.before is not None and paired.count:
            # Over the samples that were answered: of a complete run the same as the figures.
            now["top1"], before["top1"] = paired.now / paired.count, paired.before / paired.count
    outcomes = []
    for gate in gates:
        key = gate.metric.key
        why = _unfit(key, results, baseline) or ("" if now.get(key) is not None else _unmeasured(key, results))
        if not why and before.get(key) is None:
            why = "the baseline has no such figure"
        sure = ""
        if key == "top1" and paired is not None and paired.better is not None and not why:
            sure = _how_sure(paired)
        known = None if _unfit(key, results, baseline) else now.get(key)
        outcomes.append(judge(gate, before.get(key), known, why=why, sure=sure))
    return outcomes


def _how_sure(paired: Paired) -> str:
    """Say what McNemar's test makes of a difference; nothing if there is none."""
    better, worse = paired.better or 0, paired.worse or 0
    said = [str(mcnemar(better, worse)) if better or worse else "", describe_moved(paired.moved)]
    return "; ".join(filter(None, said))


def _unfit(key: str, results: dict[str, Any], baseline: Baseline) -> str:
    """Say why a figure that was measured cannot be compared; empty if it can."""
    answered, wanted = results["metrics"]["compared"], results["dataset"]["count"]
    sequential = results.get("sequential")
    if key in _BY_CLASS and sequential is not None and sequential["stopped"]:
        return "the run ended early, and its sequential test decides"
    if key in _BY_SAMPLE and answered < wanted:
        return f"only {answered:,} of {wanted:,} samples were compared"
    then, reference = baseline.content["reference"]["name"], results["reference"]["name"]
    if key in _BY_REFERENCE and then != reference:
        return f"the baseline was compared with {then}, this run with {reference}"
    return ""


def _unmeasured(key: str, results: dict[str, Any]) -> str:
    """Say why there is no figure."""
    latency, metrics = results["latency"], results["metrics"]
    clock = f"clock {latency['clock']}"
    if key.startswith("latency_"):
        reasons = {
            f"{clock} of this board counts instructions: use instructions:LIMIT": latency["unit"] == "instructions",
            "the board does not say how long inferences take": latency["clock"] is None,
            f"{clock} is that of this computer, not the part's": not latency["gated"],
        }
    else:
        reasons = {
            f"{clock} counts no instructions (emulated boards do with --tinyml-clock instructions)": key
            == "instructions",
            "the board does not say it": key.endswith("_bytes"),
            "no sample was compared": not metrics["compared"],
            "the run is no regression, or its data set has no targets": key in _ERRORS,
            "a regression predicts no classes": results["model"]["task"] == "regression",
            "the data set has no labels": key == "top1",
            "the board answers with labels only": results["reference"]["compared"] == "labels",
        }
    return next((reason for reason, holds in reasons.items() if holds), "it was not measured")
