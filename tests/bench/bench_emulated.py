"""The zoo on the emulated boards: 28,000 images, instructions, memories; and what the harness costs there.

Run as ``python -m tests.bench.bench_emulated [--cost]``; ``--cost`` leaves the zoo out.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.emulated import EmulatedBoard
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.plan import make_campaign, make_plans
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.models import load_model
from tests.campaigns import run_campaign, zoo_on

if TYPE_CHECKING:
    from pytest_tinyml.firmware import Firmware

BOARDS = {"qemu-stm32f405": "cmsis-nn", "qemu-xtensa": "esp-nn"}
COUNTED = 200
IMAGES = 28_000
ROUNDS = 3
MOST_OVERHEAD = 1.05
LEAST_SPEEDUP = 1.7


def counted(board: str, model: str, kernels: str, folder: Path) -> tuple[int, int, Firmware]:
    """Count instructions over a few images; returns their median, the bytes of arena and the image."""
    options = {"kernels": kernels}
    (plan,) = make_plans(
        Registry(), boards=[board], model=model, dataset="mnist-28k", reference="tflm", limit=COUNTED,
        clock="instructions", options=options,
    )  # fmt: skip
    campaign = make_campaign(plan, journal=folder / "counted.sqlite", work_dir=folder, timeout_s=60.0, fresh=True)
    try:
        campaign.bench.connect()
        campaign.start()
        assert campaign.wait_for(range(COUNTED), 600.0)
        campaign.end_threads()
        ticks = campaign.run.ticks
        (made,) = campaign.bench.boards
        assert isinstance(made, EmulatedBoard)
        return int(np.median(ticks)), campaign.bench.identity.arena_used, made.image
    finally:
        campaign.close()
        campaign.close_journal()


def zoo() -> None:
    """Print a row for every model, board and set of kernels; only the vendor's kernels run all images."""
    columns = "differing bytes | wall s | images/s | instructions (median) | flash B | RAM B | of which arena"
    print(f"| model | board | kernels | {columns} |")
    print("|---|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for board, vendor in BOARDS.items():
        # Floats are in bench_systems: their kernels are nobody's but ours.
        for model in [name for name in zoo_on(board) if not name.endswith("-float")]:
            for kernels in (vendor, "portable"):
                with tempfile.TemporaryDirectory(prefix="tinyml-bench-") as scratch:
                    folder = Path(scratch)
                    median, arena, image = counted(board, model, kernels, folder)
                    sizes = f"{image.flash_bytes:,} | {image.ram_bytes:,} | {arena:,}"
                    if kernels == vendor:
                        comparison, wall = run_campaign(board, model, folder)
                        run = f"{comparison.differing_elements:,} | {wall:.0f} | {comparison.count / wall:,.0f}"
                    else:
                        run = " | |"
                print(f"| {model} | {board} | {kernels} | {run} | {median:,} | {sizes} |", flush=True)


def bare_loop(board: str, folder: Path) -> float:
    """Return the seconds of 28,000 inferences in a loop on the emulated processor, without a session."""
    # The word loop=N is understood by images that understand faults.
    request = BoardRequest(model=load_model("s0-ptq"), work_dir=folder, options={"fault": "none"})
    made = Registry().get(board).create(request)
    assert isinstance(made, EmulatedBoard)
    dataset = load_dataset("mnist-28k")
    samples = SampleEncoder(made.request.model, dataset).tensors(slice(0, 100)).tobytes()
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as line:
        line.write(samples[:40_000])  # fits the pipe; the firmware takes the first 32 KB
    words = [f"in=/dev/fd/{reading}", "out=/dev/null", f"loop={IMAGES}"]
    command = made.emulator.command(made.image.path, made.emulator.machine, words)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=True, pass_fds=[reading]
    )
    os.close(reading)
    found = re.search(r"loop ms (0x[0-9a-f]+)", done.stderr + done.stdout)
    assert found is not None, done.stderr
    return int(found[1], 16) / 1000


def cost() -> int:
    """Print what a campaign takes over the bare loop, and what a second emulator brings."""
    ratios, speedups, rows = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="tinyml-bench-") as scratch:
            folder = Path(scratch)
            loop = bare_loop("qemu-stm32f405", folder)
            _, one = run_campaign("qemu-stm32f405", "s0-ptq", folder)
            _, two = run_campaign("qemu-stm32f405", "s0-ptq", folder, count=2)
        rows.append((loop, one, two))
        ratios.append(one / loop)
        speedups.append(one / two)
    print(f"| S0 on qemu-stm32f405, {IMAGES:,} images | wall s (rounds) | ratio (rounds) | median | bound |")
    print("|---|---|---|---:|---|")
    for name, column, values, bound in (
        ("bare loop in the guest", 0, [], ""),
        ("campaign / bare loop", 1, ratios, f"at most {MOST_OVERHEAD}"),
        ("one emulator / two", 2, speedups, f"at least {LEAST_SPEEDUP}"),
    ):
        walls = ", ".join(f"{row[column]:.1f}" for row in rows)
        each = ", ".join(f"{value:.3f}" for value in values)
        median = f"{statistics.median(values):.3f}" if values else ""
        print(f"| {name} | {walls} | {each} | {median} | {bound} |")
    return int(statistics.median(ratios) > MOST_OVERHEAD or statistics.median(speedups) < LEAST_SPEEDUP)


def main() -> int:
    """Print the tables; returns 1 if a bound is broken."""
    if "--cost" not in sys.argv[1:]:
        zoo()
        print()
    return cost()


if __name__ == "__main__":
    sys.exit(main())
