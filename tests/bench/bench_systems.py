"""Every system on every engine and board that it runs on: bytes, accuracy, agreement, time or instructions, memory.

Run as ``python -m tests.bench.bench_systems [SYSTEM ...]``, e.g. ``s3``. The models of S3 need ``pip install
'pytest-tinyml[espdl]'`` for their reference.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from pytest_tinyml.boards.base import missing_for
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.plan import make_campaign, make_plans
from pytest_tinyml.errors import MissingDependencyError
from pytest_tinyml.verdict.compare import compare
from tests.campaigns import TIMEOUT_S

PROCESSES: Final = ("native", "tflm")
EMULATED: Final = ("qemu-stm32f405", "qemu-xtensa")
SYSTEMS: Final = {
    "s0": (("s0-ptq", (*PROCESSES, *EMULATED)), ("s0-qat", (*PROCESSES, *EMULATED)), ("s0-float", PROCESSES)),
    "s1": (("s1-ptq", (*PROCESSES, *EMULATED)), ("s1-float", PROCESSES)),
    "s2": (("s2-ptq", (*PROCESSES, *EMULATED)), ("s2-float", (*PROCESSES, "qemu-stm32f405"))),
    "s3": (("s3-int8", ("native", *EMULATED)), ("s3-int16", ("native", *EMULATED))),
    "s4": (("s4-ptq", (*PROCESSES, *EMULATED)), ("s4-float", PROCESSES)),
}
"""The models of each system, and the boards that execute them here."""
COUNTED: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an inference takes: the median of the clock's ticks, as text, and the memories of the build in bytes."""

    time: str
    flash: int
    arena: int
    engine: str


def cost(board: str, model: str, folder: Path) -> Cost:
    """Measure a few inferences: instructions where they can be counted, wall time where they cannot."""
    registry = Registry()
    clock = "instructions" if "instructions" in registry.get(board).clocks else None
    (plan,) = make_plans(
        registry, boards=[board], model=model, dataset="mnist-28k", reference=None, limit=COUNTED, clock=clock
    )
    campaign = make_campaign(plan, journal=folder / "cost.sqlite", work_dir=folder, timeout_s=60.0, fresh=True)
    try:
        campaign.bench.connect()
        campaign.start()
        assert campaign.wait_for(range(COUNTED), 600.0)
        campaign.end_threads()
        identity, ticks = campaign.bench.identity, int(np.median(campaign.run.ticks))
        micros = identity.clock.microseconds(ticks, identity.tick_hz)
        time = f"{ticks:,} instructions" if micros is None else f"{micros / 1000:.3f} ms here"
        return Cost(time=time, flash=identity.flash_bytes, arena=identity.arena_used, engine=identity.engine)
    finally:
        campaign.close()
        campaign.close_journal()


def row(system: str, board: str, model: str, folder: Path) -> str:
    """Run a model over the 28,000 and return its line of the table."""
    (plan,) = make_plans(Registry(), boards=[board], model=model, dataset="mnist-28k", reference=None)
    campaign = make_campaign(plan, journal=folder / "journal.sqlite", work_dir=folder, timeout_s=60.0, fresh=True)
    try:
        campaign.start()
        ids = np.arange(plan.samples, dtype=np.int64)
        assert campaign.wait_for(range(plan.samples), TIMEOUT_S)
        assert campaign.reference.wait_for(ids, TIMEOUT_S)
        campaign.finish()
        scores = campaign.run.scores.view(plan.model.output.dtype)
        found = compare(scores, campaign.reference.scores, plan.dataset.labels, ids, plan.model.output)
    finally:
        campaign.close()
        campaign.close_journal()
    assert found.top1_board is not None
    taken = cost(board, model, folder)
    apart = "bit-exact" if not found.differing else f"{found.differing:,} differ, at most {found.max_abs:.1e}"
    agreement = f"{found.argmax_agreement:.2%}, {apart} ({campaign.reference.name})"
    sizes = f"{len(plan.model.data):,} | {found.top1_board:.4%} | {agreement} | {taken.time}"
    return f"| {system.upper()} | {model} | {taken.engine} | {board} | {sizes} | {taken.flash:,} | {taken.arena:,} |"


def main() -> int:
    """Print the table; returns 1 if something was missing."""
    columns = "model B | accuracy | agreement (reference) | per inference | flash B | arena B"
    print(f"| system | model | engine | board | {columns} |")
    print("|---|---|---|---|---:|---:|---|---:|---:|---:|")
    lacking = 0
    for system in [name for name in sys.argv[1:] if name in SYSTEMS] or SYSTEMS:
        for model, boards in SYSTEMS[system]:
            for board in boards:
                missing = missing_for(Registry().get(board), {})
                if missing:
                    lacking = 1
                    print(f"{board}: needs {', '.join(item.what for item in missing)}", file=sys.stderr)
                    continue
                with tempfile.TemporaryDirectory(prefix="tinyml-bench-") as scratch:
                    try:
                        print(row(system, board, model, Path(scratch)), flush=True)
                    except MissingDependencyError as error:
                        lacking = 1
                        print(f"{model}: {error}", file=sys.stderr)
    return lacking


if __name__ == "__main__":
    sys.exit(main())
