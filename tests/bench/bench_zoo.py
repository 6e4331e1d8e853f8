"""Every model of the zoo over the 28,000 on native and on tflm: what differs from TFLM, and how long it takes.

Run as ``python -m tests.bench.bench_zoo``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.campaigns import run_campaign, zoo_on


def main() -> int:
    """Print the table."""
    print("| model | board | link | differing elements | label flips | correct of 28,000 | wall s | images/s |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    cases = [
        (board, model, "socket") for model in zoo_on("tflm") for board in ("native", "tflm") if model in zoo_on(board)
    ]
    for board, model, link in [*cases, ("native", "s0-ptq", "serial")]:
        with tempfile.TemporaryDirectory(prefix="tinyml-bench-") as scratch:
            comparison, wall = run_campaign(board, model, Path(scratch), link=link)
        difference = f"{comparison.differing_elements:,} | {len(comparison.flips)} | {comparison.correct_board:,}"
        print(
            f"| {model} | {board} | {link} | {difference} | {wall:.1f} | {comparison.count / wall:,.0f} |", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
