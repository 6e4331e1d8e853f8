"""results.json: all that is known about a run, derived from the journal; docs/reference/results.md describes it."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml import __version__
from pytest_tinyml.errors import ReportError
from pytest_tinyml.links.session import latency_us
from pytest_tinyml.records import Clock
from pytest_tinyml.verdict.compare import compare

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.records import Identity
    from pytest_tinyml.verdict.compare import Comparison

SCHEMA: Final = "tinyml-results/1"
FILE: Final = "results.json"
_CLOCKS: Final = {Clock.WALL: "wall_us", Clock.CYCLES: "cycles", Clock.INSTRUCTIONS: "instructions"}


def build_results(campaign: Campaign, *, failures: Sequence[str], hardware: bool) -> dict[str, Any]:
    """Derive the results of a campaign that has been started.

    Args:
        campaign: finished, or as far as it came.
        failures: what failed, one line each; a complete run without any has passed.
        hardware: the board's wall clock is that of the part.

    Returns:
        JSON-serialisable, as docs/reference/results.md says.
    """
    run, model, dataset, reference = campaign.run, campaign.model, campaign.dataset, campaign.reference
    ids = np.flatnonzero(run.done & reference.done)
    labels = dataset.labels
    comparison = None
    if len(ids):
        comparison = compare(
            run.scores[ids].view(model.output.dtype),
            reference.scores[ids],
            None if labels is None else labels[ids],
            ids,
            model.output,
        )
    identity = campaign.bench.identity
    answered = int(run.done.sum())
    complete = answered == campaign.settings.samples
    problems = list(failures)
    if not complete:
        problems.append(f"incomplete: {answered:,} of {campaign.settings.samples:,} samples were answered")
    wall = campaign.wall_s + run.earlier_wall_s
    return {
        "schema": SCHEMA,
        "passed": complete and not problems,
        "problems": problems,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "pytest_tinyml": __version__,
        "board": _board(campaign, identity),
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "bytes": len(model.data),
            "operators": list(model.operators),
            "input": asdict(model.input),
            "output": asdict(model.output),
            "preprocess": model.preprocess.kind,
            "preprocess_assumed": model.preprocess.assumed,
            "card_top1": model.card_top1,
        },
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "count": campaign.settings.samples,
            "available": len(dataset),
            "labelled": labels is not None,
        },
        "reference": {
            "name": reference.name,
            "version": reference.reference.runtime_version,
            "exact": reference.reference.exact,
            "max_lsb_tolerated": campaign.settings.max_lsb,
            "cross_check": reference.cross_check(),
        },
        "metrics": _metrics(comparison, answered, run.failed),
        "latency": _latency(run.ticks[run.done], identity, hardware=hardware),
        "memory": {
            "arena_bytes": identity.arena_used,
            "arena_capacity_bytes": identity.arena_capacity,
            "flash_bytes": identity.flash_bytes,
            "ram_bytes": identity.ram_bytes,
        },
        "throughput": {
            "samples_per_s": answered / wall if wall > 0 else None,
            "wall_s": wall,
            "resumed_samples": run.resumed,
        },
        "faults": [asdict(event) for event in run.events()],
        "conflicts": run.conflicts(),
        "canary": {name: list(report.ids) for name, report in campaign.bench.canaries.items()},
        "extra": {},
    }


def _board(campaign: Campaign, identity: Identity) -> dict[str, Any]:
    return {
        "name": campaign.settings.kind,
        "engine": identity.engine,
        "clock": _CLOCKS[identity.clock],
        "tick_hz": identity.tick_hz,
        "chip": identity.chip,
        "link": campaign.settings.link,
        "count": len(campaign.bench.boards),
        "lost": sorted(campaign.bench.lost),
        "firmware_sha256": identity.firmware_sha256,
        "firmware_version": identity.firmware_version,
        "preprocess": identity.preprocess,
    }


def _metrics(comparison: Comparison | None, answered: int, failed: dict[int, str]) -> dict[str, Any]:
    shared = {
        "count": answered,
        "failed": [{"id": sample, "reason": reason} for sample, reason in sorted(failed.items())],
    }
    if comparison is None:
        return shared | {"count": 0, "flips": [], "flip_details": []}
    values = asdict(comparison)
    values.pop("count")
    distance = values.pop("distance")
    flips = values.pop("flips")
    for key in ("confusion_board", "confusion_reference"):
        values[key] = None if values[key] is None else values[key].tolist()
    acc = comparison.top1_board if comparison.top1_board is not None else comparison.argmax_agreement
    return shared | {"compared": comparison.count} | values | {
        "acc": acc,
        **distance,
        "flips": [flip["id"] for flip in flips],
        "flip_details": flips,
    }  # fmt: skip


def _latency(ticks: npt.NDArray[np.int64], identity: Identity, *, hardware: bool) -> dict[str, Any]:
    clock = identity.clock
    unit = "instructions" if clock is Clock.INSTRUCTIONS else "us"
    # A computer's or an emulator's wall clock says nothing about the part; instruction counts do.
    shared = {"clock": _CLOCKS[clock], "unit": unit, "gated": hardware or clock is Clock.INSTRUCTIONS}
    if not len(ticks):
        return shared | {"p50": None, "p90": None, "p99": None, "min": None, "max": None, "mean": None, "total": None}

    def convert(value: float) -> float:
        microseconds = latency_us(float(value), clock, identity.tick_hz)
        return float(value) if microseconds is None else microseconds

    p50, p90, p99 = np.percentile(ticks, [50, 90, 99])
    values = {"p50": p50, "p90": p90, "p99": p99, "min": ticks.min(), "max": ticks.max(), "mean": ticks.mean()}
    return shared | {key: convert(value) for key, value in values.items()} | {"total": convert(ticks.sum())}


def check_folder(folder: Path) -> None:
    """Make sure that the report folder can be written, before work is spent.

    Raises:
        ReportError: it cannot.
    """
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        msg = f"cannot write to the report folder {folder}: {error.strerror}; choose another with --tinyml-report"
        raise ReportError(msg) from error


def write_results(folder: Path, results: dict[str, Any]) -> Path:
    """Write results.json, whole or not at all, and return its path.

    Raises:
        ReportError: the folder cannot be written; the journal has everything that was measured.
    """
    path = folder / FILE
    text = json.dumps(results, indent=2, allow_nan=False) + "\n"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        msg = f"cannot write {path}: {error.strerror}; every result is safe in the journal"
        raise ReportError(msg) from error
    return path
