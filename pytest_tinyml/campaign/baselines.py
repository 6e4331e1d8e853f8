"""Which baseline a run is compared with, and which ones it must not be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tinyml.errors import BaselineError
from pytest_tinyml.stores.baselinefile import LATEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tinyml.stores.baseline import Baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is known of a run when its baseline is chosen.

    Attributes:
        model: its name.
        dataset: its name.
        dataset_sha256: of the whole data set.
        samples: how many of it, from the first.
        clock: as ``board.clock`` of results.json; None if not known.
        chip: None before the board was asked.
        engine: the same.
    """

    model: str
    dataset: str
    dataset_sha256: str
    samples: int
    clock: str | None = None
    chip: str | None = None
    engine: str | None = None


def choose(found: Sequence[Baseline], which: str, run: RunFacts) -> Baseline | None:
    """Return the newest baseline that a run can be compared with, or None: this is the first run.

    Args:
        found: baselines of the run's kind of board and model, oldest first.
        which: a name, a number, or `LATEST`.
        run: what is known of it.

    Raises:
        BaselineError: there are some, but of other data, samples or clock, or of a run that failed; or none of that
            name.
    """
    here = [each for each in found if _same_place(each, run)]
    ours = [each for each in here if each.key.dataset_sha256 == run.dataset_sha256]
    wanted = [each for each in ours if _is(each, which)]
    if wanted:
        fitting = [each for each in wanted if not _misfit(each, run)]
        if fitting:
            return fitting[-1]
        raise BaselineError(_misfit(wanted[-1], run))
    if which != LATEST:
        elsewhere = [each for each in found if _is(each, which)]
        if elsewhere:
            raise BaselineError(_other(elsewhere[-1], run))
        if ours or which.isdecimal():
            known = ", ".join(each.label for each in ours) or "none"
            msg = f"there is no baseline {which!r} of {run.model} to compare with; known: {known}"
            raise BaselineError(msg)
        return None
    changed = [each for each in here if each.content["dataset"]["name"] == run.dataset]
    if changed:
        raise BaselineError(_other(changed[-1], run))
    return None


def comparable(found: Sequence[Baseline], run: RunFacts) -> list[Baseline]:
    """Return those that a run could be compared with, oldest first."""
    same = (each for each in found if _same_place(each, run) and each.key.dataset_sha256 == run.dataset_sha256)
    return [each for each in same if not _misfit(each, run)]


def _is(baseline: Baseline, which: str) -> bool:
    if which == LATEST:
        return True
    return baseline.number == int(which) if which.isdecimal() else which in {baseline.name, baseline.label}


def _same_place(baseline: Baseline, run: RunFacts) -> bool:
    return run.chip in {None, baseline.key.chip} and run.engine in {None, baseline.key.engine}


_NEW = "save a new one with --tinyml-save NAME, without --tinyml-compare"


def _misfit(baseline: Baseline, run: RunFacts) -> str:
    """Say why a run must not be compared with a baseline; empty if it may."""
    label = f"baseline {baseline.label} of {run.model}"
    if not baseline.content["passed"]:
        return f"{label} is of a run that failed: compare with another, or {_NEW}"
    if baseline.samples != run.samples:
        return (
            f"{label} has {baseline.samples:,} samples, this run {run.samples:,}: run with --tinyml-limit "
            f"{baseline.samples}, or {_NEW}"
        )
    if None not in {baseline.clock, run.clock} and baseline.clock != run.clock:
        return f"{label} was timed with clock {baseline.clock}, this run with {run.clock}: ask for that, or {_NEW}"
    return ""


def _other(baseline: Baseline, run: RunFacts) -> str:
    """Say what a baseline is of that this run is not."""
    label = f"baseline {baseline.label} of {run.model}"
    if not _same_place(baseline, run):
        return (
            f"{label} is of chip {baseline.key.chip!r} with engine {baseline.key.engine!r}, this run of {run.chip!r} "
            f"with {run.engine!r}: {_NEW}"
        )
    name, sha = baseline.content["dataset"]["name"], baseline.key.dataset_sha256
    return (
        f"{label} is of data set {name} (SHA-256 {sha[:12]}), this run of {run.dataset} ({run.dataset_sha256[:12]}): "
        f"{_NEW}"
    )
