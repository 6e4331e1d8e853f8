"""How long `tinyml report` takes for 28,000 and for 1,000,000 samples, and how much memory: a process of its own each.

The journals are made up, but written as a session writes them. Run as ``python -m tests.bench.bench_report [SAMPLES]``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from pytest_tinyml.report.view import results_of
from pytest_tinyml.stores.archive import Archive
from pytest_tinyml.stores.journal import Journal
from pytest_tinyml.stores.runs import RunJournal, RunKey
from tests.report.made import facts

ROUNDS: Final = 3
BOUNDS_S: Final = {28_000: 3.0, 1_000_000: 30.0}
MOST_MORE_MB: Final = 32.0
"""Memory that a million samples may take more than 28,000."""
CLASSES: Final = 10
_BATCH: Final = 8192
_OUTPUT: Final = {"dtype": "int8", "shape": [1, CLASSES], "scale": 1 / 256, "zero_point": -128}
_COMMAND: Final = "import sys; from pytest_tinyml.cli import main; sys.exit(main(sys.argv[1:]))"


def fill(path: Path, samples: int, *, finished: bool) -> None:
    """Write a run of which one answer in a thousand differs, and one in ten thousand by its class.

    Args:
        path: of the journal.
        samples: how many.
        finished: with its verdict; otherwise as a process leaves it that was killed, and everything has to be computed.
    """
    key = RunKey(
        model_sha256="e" * 64, dataset_sha256="d" * 64, samples=samples, preprocess="scale:255",
        board="nucleo-f446re", engine="aot", link="serial", clock="cycles", firmware_sha256="f" * 64,
    )  # fmt: skip
    source = np.random.default_rng(1)
    with Journal(path) as journal:
        run = RunJournal.open(journal, key, CLASSES)
        known = facts(_OUTPUT, samples)
        run.keep_facts(known)
        labels = source.integers(0, CLASSES, samples)
        run.keep_host("truth", 0, labels.astype(np.uint8))
        session = run.begin_session("desk-1", {})
        for start in range(0, samples, _BATCH):
            ids = np.arange(start, min(start + _BATCH, samples))
            host = source.integers(-128, 0, (len(ids), CLASSES)).astype(np.int8)
            # One in twenty is wrong.
            host[np.arange(len(ids)), (labels[ids] + (source.random(len(ids)) < 0.05)) % CLASSES] = 100
            board = host.copy()
            board[ids % 1000 == 7, 0] ^= 1
            board[ids % 10_000 == 9] = np.roll(board[ids % 10_000 == 9], 1, axis=1)
            run.keep_host("scores", start, host)
            ticks = source.normal(225_000, 900, len(ids)).astype(np.uint32)
            run.record(session, ids.astype(np.uint32), ticks, board.view(np.uint8))
        run.keep_pictures({k: source.integers(0, 256, (28, 28)).astype(np.uint8) for k in range(7, 64_000, 1000)})
        if finished:
            archive = Archive(journal)
            run.keep_verdict(results_of(archive, archive.find(run.id)) | {"problems": ["it differs"]})
            run.finish()


def report(journal: Path, folder: Path) -> tuple[float, float]:
    """Run the command; returns wall seconds and its peak memory in MB."""
    arguments = [sys.executable, "-c", _COMMAND, "report", "--journal", str(journal), "--output", str(folder)]
    started = time.perf_counter()
    child = os.posix_spawn(
        sys.executable, arguments, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    if status:
        msg = f"tinyml report ended with {os.waitstatus_to_exitcode(status)}"
        raise RuntimeError(msg)
    return seconds, usage.ru_maxrss / 1024


def main(sizes: tuple[int, ...] = tuple(BOUNDS_S)) -> int:
    """Print the table; returns 1 if a bound is broken."""
    broken = 0
    print(f"| samples | journal MB | with its verdict s | killed s | peak MB | report kB | bound s, best of {ROUNDS} |")
    print("|---|---|---|---|---|---|---|")
    least: float | None = None
    for samples in sizes:
        with tempfile.TemporaryDirectory(prefix="tinyml-bench-") as scratch:
            folder = Path(scratch)
            found: list[tuple[float, float]] = []
            for finished in (True, False):
                journal = folder / f"{finished}.sqlite"
                fill(journal, samples, finished=finished)
                rounds = [report(journal, folder / str(finished)) for _ in range(ROUNDS)]
                found.append((min(seconds for seconds, _ in rounds), max(memory for _, memory in rounds)))
            results: dict[str, Any] = json.loads((folder / "True" / "results.json").read_text(encoding="utf-8"))
            assert samples == results["metrics"]["compared"]
            size = (folder / "True" / "report.html").stat().st_size
            megabytes = (folder / "True.sqlite").stat().st_size / 1e6
        bound, peak = BOUNDS_S.get(samples), max(memory for _, memory in found)
        least = peak if least is None else least
        seconds = " | ".join(f"{one:.2f}" for one, _ in found)
        print(f"| {samples:,} | {megabytes:.0f} | {seconds} | {peak:.0f} | {size / 1e3:.0f} | {bound or '-'} |")
        broken |= int(bound is not None and found[0][0] > bound) | int(peak - least > MOST_MORE_MB)
    return broken


if __name__ == "__main__":
    sys.exit(main(tuple(int(text) for text in sys.argv[1:]) or tuple(BOUNDS_S)))
