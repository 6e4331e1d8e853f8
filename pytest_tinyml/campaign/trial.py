"""Does a board work at all? A few samples through everything that a run uses, but without journal and report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_tinyml.boards.base import engine_for
from pytest_tinyml.campaign.bench import Bench
from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.campaign.plan import make_boards
from pytest_tinyml.campaign.reference import ReferenceRun
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.errors import BoardError
from pytest_tinyml.verdict.compare import compare, describe_difference

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.campaign.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a trial found.

    Attributes:
        reference: name of the runtime on the host.
        samples: how many were run.
        difference: from the reference, in words; empty if it is within the tolerance.
        prepare_s: seconds to build (and flash) what is needed, or to find it in the cache.
        run_s: seconds from the start of the board to the last answer, canaries included.
    """

    reference: str
    samples: int
    difference: str
    prepare_s: float
    run_s: float


def try_board(plan: Plan, work_dir: Path, *, timeout_s: float = 10.0) -> Trial:
    """Build, start, check the identity, send the canaries and then every sample of a plan, and compare.

    Args:
        plan: with few samples, and one board.
        work_dir: for console logs.
        timeout_s: longest silence of the board.

    Raises:
        TinymlError: the board cannot be built, started or used, or is not what was asked for.
    """
    encoder = SampleEncoder(plan.model, plan.dataset)
    reference = ReferenceRun(plan.reference, plan.model, plan.dataset, encoder, samples=plan.samples)
    (board,) = make_boards(plan, work_dir, timeout_s)
    bench = Bench(
        boards=(board,),
        engine=engine_for(plan.kind, plan.model, plan.options),
        clock=plan.clock,
        model=plan.model,
        dataset=plan.dataset,
        samples=plan.samples,
        reference=reference,
        tolerance=plan.tolerance,
        encoder=encoder,
    )
    ids = range(plan.samples)
    expected = reference.canary_scores(encoder.tensors(ids))
    try:
        started = time.monotonic()
        board.prepare()
        prepared = time.monotonic()
        bench.check_canaries()
        work = ListWork(encoder, ids)
        board.stream(work)
        ended = time.monotonic()
        if work.failed:
            sample, reason = min(work.failed.items())
            msg = f"sample {sample} failed: {reason}"
            raise BoardError(msg, board=board.name, console_tail=board.console_tail)
    finally:
        bench.close()
        reference.close()
    scores = np.frombuffer(b"".join(work.scores[k] for k in ids), dtype=plan.model.output.dtype).reshape(len(ids), -1)
    comparison = compare(scores, expected, None, np.asarray(ids, dtype=np.int64), plan.model.output, plan.model.task)
    return Trial(
        reference=reference.name,
        samples=len(ids),
        difference="" if plan.tolerance.allows(comparison) else describe_difference(comparison, reference.name),
        prepare_s=prepared - started,
        run_s=ended - prepared,
    )
