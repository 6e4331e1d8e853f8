"""results.json: all that is known about a run, derived from the journal; docs/reference/results.md describes it."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml import __version__
from pytest_tinyml.campaign.samples import truth_of
from pytest_tinyml.errors import ReportError
from pytest_tinyml.report.facts import build_facts, memory_facts
from pytest_tinyml.report.files import write_file
from pytest_tinyml.report.latency import clock_name, latency_facts
from pytest_tinyml.report.metrics import metrics
from pytest_tinyml.report.performance import performance_facts
from pytest_tinyml.report.statistics import sequential_facts, statistics
from pytest_tinyml.verdict.compare import compare, describe_difference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.records import Identity
    from pytest_tinyml.verdict.compare import Comparison

SCHEMA: Final = "tinyml-results/1"
FILE: Final = "results.json"


def build_results(
    campaign: Campaign,
    *,
    failures: Sequence[str],
    hardware: bool,
    submission: dict[str, Any] | None = None,
    git: dict[str, Any] | None = None,
    explanation: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Derive the results of a campaign, however far it came.

    Args:
        campaign: complete, interrupted, or never started because its board is not the one that was asked for.
        failures: what failed, one line each; a complete run without any, whose data hold no other problem, has passed.
        hardware: the board's wall clock is that of the part.
        submission: what became of it, if one was asked for.
        git: which commit was tested, if that is known.
        explanation: the cause of a mismatch, if it was looked for.

    Returns:
        JSON-serialisable, as docs/reference/results.md says.
    """
    hardware = hardware and not any(getattr(board, "emulated", False) for board in campaign.bench.boards)
    run = campaign.run if campaign.started_at is not None else None
    model, dataset, reference, settings = campaign.model, campaign.dataset, campaign.reference, campaign.settings
    identity = campaign.bench.identities.get(campaign.bench.boards[0].name)
    truth = truth_of(model, dataset)
    comparison = None
    answered, failed, conflicts = 0, dict[int, str](), list[int]()
    if run is not None:
        campaign.advance_early()
        answered, failed, conflicts = int(run.done.sum()), run.failed, run.conflicts()
        ids = np.flatnonzero(run.done & reference.done)
        if len(ids):
            comparison = compare(
                run.scores[ids].view(model.output.dtype),
                reference.scores[ids],
                None if truth is None else truth[ids],
                ids,
                model.output,
                model.task,
            )
    problems = [*failures, *_problems(comparison, answered, failed, conflicts, campaign)]
    wall = campaign.wall_s + run.earlier_wall_s if run is not None else 0.0
    # Of this session: what a killed one took is not known.
    measured = 0 if run is None else answered - run.resumed
    ticks = np.zeros(0, dtype=np.int64) if run is None else run.ticks[run.done]
    compared = metrics(comparison, answered, failed, labels_only=settings.tolerance.labels_only)
    return {
        "schema": SCHEMA,
        "passed": not problems,
        "problems": problems,
        "created": _utc(time.time()),
        "pytest_tinyml": __version__,
        "git": git,
        "run": None if run is None else {"id": run.id, "started": _utc(run.started)},
        "board": _board(campaign, identity),
        "boards": _boards(campaign),
        "model": {
            "name": model.name,
            "task": model.task,
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
            "count": settings.samples,
            "available": len(dataset),
            "labelled": truth is not None,
            "class_names": list(dataset.class_names) or None,
        },
        "reference": {
            "name": reference.name,
            "version": reference.reference.runtime_version,
            "exact": reference.reference.exact,
            "compared": "labels" if settings.tolerance.labels_only else "scores",
            "max_lsb_tolerated": settings.tolerance.lsb,
            "max_abs_tolerated": settings.tolerance.absolute,
            "resolution": settings.resolution,
            "cross_check": reference.cross_check(),
        },
        "metrics": compared,
        "statistics": statistics(compared),
        "sequential": sequential_facts(campaign, answered + len(failed)),
        "latency": latency_facts(ticks, identity, hardware=hardware),
        "performance": performance_facts(campaign),
        "memory": memory_facts(campaign, identity),
        "build": build_facts(campaign),
        "throughput": {
            "samples_per_s": measured / campaign.wall_s if measured and campaign.wall_s > 0 else None,
            "wall_s": wall,
            "resumed_samples": 0 if run is None else run.resumed,
        },
        "faults": [] if run is None else [asdict(event) for event in run.events()],
        "conflicts": conflicts,
        "server": None if campaign.server is None else campaign.server.counters(),
        "canary": {name: list(report.ids) for name, report in campaign.bench.canaries.items()},
        "baseline": None,
        "gates": None,
        "operators": None,
        "explanation": explanation,
        "submission": submission,
        "extra": {},
    }


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _problems(
    comparison: Comparison | None, answered: int, failed: dict[int, str], conflicts: list[int], campaign: Campaign
) -> list[str]:
    """Say what is wrong with the data themselves, so that the verdict does not depend on which tests were selected."""
    reference, wanted = campaign.reference.name, campaign.settings.samples
    problems: list[str] = []
    if comparison is not None and not campaign.settings.tolerance.allows(comparison):
        labels_only = campaign.settings.tolerance.labels_only
        problems.append(describe_difference(comparison, reference, labels_only=labels_only))
    if failed:
        sample, reason = min(failed.items())
        problems.append(f"{len(failed):,} samples failed on the board; first: #{sample}: {reason}")
    if conflicts:
        problems.append(f"{len(conflicts):,} samples were answered in more than one way; first: #{conflicts[0]}")
    early = campaign.early
    if early is not None and early.certain:
        # What was not measured is not missing.
        problems += [early.text] if early.regression else []
    elif answered + len(failed) < wanted:
        problems.append(f"incomplete: {answered:,} of {wanted:,} samples were answered")
    elif comparison is None or comparison.count < answered:
        compared = 0 if comparison is None else comparison.count
        problems.append(f"incomplete: {compared:,} of {answered:,} answers were compared with {reference}")
    return problems


def _board(campaign: Campaign, identity: Identity | None) -> dict[str, Any]:
    """Describe the board; what it did not get to say is None."""
    return {
        "name": campaign.settings.kind,
        "id": campaign.settings.id or None,
        "engine": campaign.settings.engine if identity is None else identity.engine,
        "verified": campaign.settings.verifiable and identity is not None,
        "clock": clock_name(identity),
        "tick_hz": None if identity is None else identity.tick_hz,
        "chip": None if identity is None else identity.chip,
        "link": campaign.settings.link,
        "count": len(campaign.bench.boards),
        "lost": sorted(campaign.bench.lost),
        "firmware_sha256": campaign.bench.firmware_sha256 if identity is None else identity.firmware_sha256,
        "firmware_version": None if identity is None else identity.firmware_version,
        "preprocess": None if identity is None else identity.preprocess,
    }


def _boards(campaign: Campaign) -> list[dict[str, Any]]:
    """Say what each of the boards that shared the work has answered, and how fast in this session."""
    shares = {} if campaign.started_at is None else campaign.run.shares()
    boards = []
    for board in campaign.bench.boards:
        total, now = shares.pop(board.name, (0, 0))
        rate = now / campaign.wall_s if now and campaign.wall_s > 0 else None
        lost = board.name in campaign.bench.lost
        boards.append({"name": board.name, "samples": total, "samples_per_s": rate, "lost": lost})
    # Boards of an earlier session that had more of them.
    rest = ((name, total) for name, (total, _) in sorted(shares.items()))
    return boards + [{"name": name, "samples": total, "samples_per_s": None, "lost": False} for name, total in rest]


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


def _finite(value: Any) -> Any:  # noqa: ANN401 - as JSON
    """Replace what JSON has no number for, e.g. the distance of a float model's NaN, by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_results(folder: Path, results: dict[str, Any]) -> Path:
    """Write results.json, whole or not at all, and return its path.

    Raises:
        ReportError: the folder cannot be written; the journal has everything that was measured.
    """
    path = folder / FILE
    try:
        text = json.dumps(_finite(results), indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        # Only a hook can have added such a thing: what the harness writes is plain.
        msg = f"cannot write {path}: {error}; what the hook pytest_tinyml_results adds must be JSON"
        raise ReportError(msg) from error
    return write_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
