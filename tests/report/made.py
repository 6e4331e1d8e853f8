"""Runs in a journal, without a board: what a board and the host answered is made up, all else follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.report.base import Report
from pytest_tinyml.report.metrics import metrics
from pytest_tinyml.report.view import results_of
from pytest_tinyml.stores.archive import Archive
from pytest_tinyml.stores.runs import RunJournal, RunKey

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.stores.journal import Journal

INT8: Final = {"dtype": "int8", "shape": [1, 3], "scale": 0.5, "zero_point": -1}
FLOAT: Final = {"dtype": "float32", "shape": [1, 3], "scale": 0.0, "zero_point": 0}
EVIL: Final = 'a|b `c` ```d``` <img src=x onerror=1> & "q" ]]> @team #12 **x** \x00\x1b[31m \ud800 \n# head\n$1 ü'
"""What a board may say in its last words."""


def facts(output: dict[str, Any], samples: int, *, task: str = "classification", labelled: bool = True) -> Any:
    """Return results.json as known when a run begins."""
    tensor = output | {"shape": [1, 4, 4]}
    return {
        "schema": "tinyml-results/1",
        "passed": False,
        "problems": [],
        "created": "2026-02-03T04:05:06Z",
        "pytest_tinyml": "1.2.3",
        "board": {
            "name": "nucleo-f446re", "id": "desk-1", "engine": "aot", "verified": True, "clock": "cycles",
            "tick_hz": 180_000_000, "chip": "STM32F446", "link": "serial", "count": 1, "lost": [],
            "firmware_sha256": "f" * 64, "firmware_version": "7", "preprocess": "lut",
        },
        "boards": [{"name": "desk-1", "samples": samples, "samples_per_s": 500.0, "lost": False}],
        "model": {
            "name": "own", "task": task, "sha256": "e" * 64, "bytes": 1000, "operators": ["FULLY_CONNECTED"],
            "input": tensor, "output": output, "preprocess": "scale:255", "preprocess_assumed": False,
            "card_top1": None,
        },
        "dataset": {
            "name": "own-data", "sha256": "d" * 64, "count": samples, "available": samples, "labelled": labelled,
        },
        "reference": {
            "name": "tflm", "version": "9.8", "exact": True, "compared": "scores", "max_lsb_tolerated": 0,
            "max_abs_tolerated": 0.0, "resolution": 0.0, "cross_check": None,
        },
        "metrics": metrics(None, 0, {}, labels_only=False),
        "latency": {
            "clock": "cycles", "unit": "us", "gated": True, "p50": 1250.5, "p90": 1300.0, "p99": 1400.25,
            "min": 1200.0, "max": 1500.0, "mean": 1260.0, "total": 1260.0 * samples,
        },
        "performance": None,
        "memory": {
            "arena_bytes": 922, "arena_capacity_bytes": 1024, "flash_bytes": 70_000, "ram_bytes": 9_000,
            "stack_bytes": None, "stack_unused_bytes": None,
            "memories": [{"name": "FLASH", "used": 70_000, "size": 524_288}],
        },
        "build": None,
        "throughput": {"samples_per_s": 500.0, "wall_s": 1.5, "resumed_samples": 0},
        "faults": [], "conflicts": [], "server": None, "canary": {"desk-1": [0]}, "submission": None, "extra": {},
        "git": {"commit": "c" * 40, "dirty": False, "branch": "work"},
    }  # fmt: skip


def make_run(  # noqa: PLR0913 - whatever a run can differ in
    journal: Journal,
    board: npt.NDArray[Any],
    host: npt.NDArray[Any],
    *,
    truth: npt.NDArray[Any] | None,
    task: str = "classification",
    answered: npt.NDArray[np.int64] | None = None,
    compared: int | None = None,
    names: tuple[str, ...] = ("desk-1",),
    firmware: str = "f",
) -> Report:
    """Record a run as a session would, and return what its reports are made from.

    Args:
        journal: receives it.
        board: [N, 3] of dtype int8 or float32, what the board answers.
        host: the same of the host.
        truth: [N] labels or [N, C] targets, or None.
        task: what the outputs mean.
        answered: the ids that are answered; by default all.
        compared: so many of the host's answers, from the first, are known; by default all.
        names: boards; they answer in turn.
        firmware: a hexadecimal digit, other than that of a run that the same journal has.
    """
    count, output = len(board), INT8 if board.dtype == np.int8 else FLOAT
    key = RunKey(
        model_sha256="e" * 64, dataset_sha256="d" * 64, samples=count, preprocess="scale:255",
        board="nucleo-f446re", engine="aot", link="serial", clock="cycles", firmware_sha256=firmware * 64,
    )  # fmt: skip
    run = RunJournal.open(journal, key, board[0].nbytes, fresh=True)
    known = facts(output, count, task=task, labelled=truth is not None)
    known["board"]["firmware_sha256"] = firmware * 64
    run.keep_facts(known)
    if truth is not None:
        run.keep_host("truth", 0, truth)
    run.keep_host("scores", 0, host[:compared])
    ids = np.arange(count) if answered is None else answered
    for place, name in enumerate(names):
        own = ids[place :: len(names)]
        outputs = np.ascontiguousarray(board[own]).view(np.uint8).reshape(len(own), -1)
        run.record(run.begin_session(name, {}), own.astype(np.uint32), (own + 7).astype(np.uint32), outputs)
    archive = Archive(journal)
    record = archive.find(run.id)
    # As it would be had the session come to its end.
    results = results_of(archive, record) | {"passed": True, "problems": [], "latency": known["latency"]}
    return Report(results=results, archive=archive, run=record)
