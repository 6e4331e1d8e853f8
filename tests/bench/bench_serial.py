"""A serial line with a baud rate: how full it is, what an image costs on it, and what faults cost.

Run as ``python -m tests.bench.bench_serial``; ``--full`` takes the 28,000 at 115,200 baud too, 8 minutes per model. The
line is `tests.lines`, the board the native firmware with the window of a small one (8 KB, frames of 4 KB). Counted is
the stream: from the first lease to the last answer in the journal, without greeting and canaries, which `setup` shows.
Line use = bytes to the board * 10 / (baud * wall time), all bytes of all frames counted, repetitions too. Ends with
exit code 1 if a line is less than 97 % used or an answer is wrong.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.plan import make_campaign, make_plans
from pytest_tinyml.verdict.compare import compare
from pytest_tinyml.wire import deflate_sample
from tests.lines.plug import LineKind, LineSettings, measure_rate

if TYPE_CHECKING:
    from pytest_tinyml.campaign.plan import Plan

LEAST_USE: Final = 0.97
RATE_ERROR: Final = 0.005
TIMEOUT_S: Final = 1800.0
ALL: Final = 28_000
SOME: Final = 2_000
FAULTS: Final = {
    "none": {},
    "bit errors, 1e-6 per bit": {"bit_error": 1e-6},
    "bit errors, 1e-5": {"bit_error": 1e-5},
    "bit errors, 1e-4": {"bit_error": 1e-4},
    "dropped bytes, 1e-4 per byte": {"dropped": 1e-4},
    "doubled bytes, 1e-4 per byte": {"doubled": 1e-4},
    "all three, 1e-4": {"bit_error": 1e-4, "dropped": 1e-4, "doubled": 1e-4},
    "cable pulled twice for 2 s": {"cuts": ((100_000, 2.0), (250_000, 2.0))},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One run over a line.

    Attributes:
        samples: answered.
        wall_s: of the stream.
        setup_s: from switching the board on to the last canary.
        sent: bytes to the board while streaming.
        received: bytes from it.
        differing: bytes of scores that are not the reference's.
        unanswered: samples without scores.
        faults: events in the journal.
        summary: of the losses, if there were many.
    """

    samples: int
    wall_s: float
    setup_s: float
    sent: int
    received: int
    differing: int
    unanswered: int
    faults: int
    summary: str

    @property
    def right(self) -> bool:
        """Whether everything was answered as the reference does."""
        return not (self.differing or self.unanswered)

    def use(self, baud: int) -> float:
        """Return which part of the time the direction to the board was busy."""
        return self.sent * 10 / (baud * self.wall_s)


def plan_for(model: str, samples: int, kind: LineKind) -> Plan:
    """Plan a run over MNIST."""
    registry = Registry()
    registry.register(kind)
    (plan,) = make_plans(
        registry, boards=[kind.name], model=model, dataset="mnist-28k", reference="tflm", limit=samples
    )
    return plan


def run_over(settings: LineSettings, model: str, samples: int) -> Passage:
    """Run a campaign over a line and compare it with TFLM."""
    kind = LineKind(settings)
    plan = plan_for(model, samples, kind)
    ids = np.arange(samples, dtype=np.int64)
    with tempfile.TemporaryDirectory(prefix="tinyml-bench-") as scratch:
        folder = Path(scratch)
        campaign = make_campaign(plan, journal=folder / "j.sqlite", work_dir=folder, timeout_s=10.0, fresh=True)
        try:
            # The reference first, and the compiler: they would take the processors from the line.
            campaign.reference.start()
            assert campaign.reference.wait_for(ids, TIMEOUT_S)
            for board in campaign.bench.boards:
                board.prepare()
            began = time.monotonic()
            campaign.bench.check_canaries()
            setup = time.monotonic() - began
            link = kind.lines[-1].link
            assert link is not None
            sent, received = link.sent, link.received
            campaign.start()
            assert campaign.wait_for(range(samples), TIMEOUT_S)
            campaign.end_threads()
            sent, received = link.sent - sent, link.received - received
            campaign.finish()
            events = campaign.run.events()
            scores = campaign.run.scores.view(plan.model.output.dtype)
            comparison = compare(scores, campaign.reference.scores, None, ids, plan.model.output)
            return Passage(
                samples=samples,
                wall_s=campaign.wall_s,
                setup_s=setup,
                sent=sent,
                received=received,
                differing=comparison.differing_elements,
                unanswered=int((~campaign.run.done).sum()),
                faults=len(events),
                summary=next((event.text for event in events if event.kind == "losses"), ""),
            )
        finally:
            campaign.close()
            campaign.close_journal()


def rates() -> bool:
    """Measure the line itself."""
    good = True
    for baud in (115_200, 921_600):
        measured = measure_rate(LineSettings(baud=baud), 3.0)
        good &= all(abs(rate * 10 / baud - 1) <= RATE_ERROR for rate in measured.values())
        parts = [f"{rate:,.1f} B/s {name.replace('_', ' ')}" for name, rate in measured.items()]
        print(
            f"the line at {baud:,} baud, both directions busy: {', '.join(parts)}; {baud / 10:,.0f} expected",
            flush=True,
        )
    return good


def clean(full: bool) -> bool:
    """Print what a clean line carries."""
    good = True
    print(
        "\n| model | baud | images | wall s | images/s | line use | B/image to board | from board | setup s | wrong |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for baud, samples in ((921_600, ALL), (115_200, ALL if full else SOME)):
        for model in ("s0-ptq", "s1-ptq"):
            run = run_over(LineSettings(baud=baud), model, samples)
            good &= run.right and run.use(baud) >= LEAST_USE
            print(
                f"| {model} | {baud:,} | {samples:,} | {run.wall_s:.1f} | {samples / run.wall_s:,.1f} | "
                f"{100 * run.use(baud):.1f} % | {run.sent / samples:.1f} | {run.received / samples:.1f} | "
                f"{run.setup_s:.2f} | {run.differing + run.unanswered} |",
                flush=True,
            )
    return good


def limits() -> None:
    """Print what the line could carry without a protocol."""
    images = plan_for("s0-ptq", ALL, LineKind(LineSettings(baud=0))).dataset.images
    packed = sum(len(deflate_sample(image.tobytes())) for image in images) / len(images)
    print("\n| bytes alone, no protocol | B/image | images/s at 115,200 | at 921,600 |")
    print("|---|---:|---:|---:|")
    for what, size in (("pixels", float(images[0].size)), ("packed", packed)):
        print(f"| {what} | {size:.1f} | {11_520 / size:,.1f} | {92_160 / size:,.1f} |", flush=True)


def faulty() -> bool:
    """Print what faults cost."""
    good = True
    baud, first = 921_600, 0.0
    print(f"\n{SOME:,} images, s0-ptq, {baud:,} baud\n")
    print("| faults | wall s | images/s | of clean | B/image | events in the journal | wrong |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for what, faults in FAULTS.items():
        run = run_over(LineSettings(baud=baud, **faults), "s0-ptq", SOME)  # type: ignore[arg-type]
        first = first or run.wall_s
        good &= run.right
        print(
            f"| {what} | {run.wall_s:.2f} | {SOME / run.wall_s:,.0f} | {100 * first / run.wall_s:.0f} % | "
            f"{run.sent / SOME:.1f} | {run.faults}{': ' if run.summary else ''}{run.summary} | "
            f"{run.differing + run.unanswered} |",
            flush=True,
        )
    return good


def main(*, full: bool = False) -> int:
    """Print the tables; returns 1 if a bound is broken."""
    good = [rates(), clean(full), faulty()]
    limits()
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main(full="--full" in sys.argv[1:]))
