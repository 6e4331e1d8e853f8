"""A run in a journal as a session leaves it, small, and a competition that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.campaign import submission as case
from pytest_tinyml.kaggle.competitions import Competition
from pytest_tinyml.stores.journal import Journal
from pytest_tinyml.stores.runs import RunJournal, RunKey
from pytest_tinyml.stores.submissions import load_run, load_submission
from tests.projects import OWN

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.stores.submissions import Submission

TFLM: Final = ("--board", "tflm", *OWN[2:])
SUBMIT: Final = (*TFLM, "--tinyml-submit", "digit-recognizer", "--tinyml-submit-timeout", "60")
SAMPLES: Final = 40
CLASSES: Final = 5
LABELS: Final = tuple(k % CLASSES for k in range(SAMPLES))
SMALL: Final = Competition(
    name="digit-recognizer", header=("ImageId", "Label"), first_id=1, count=SAMPLES, classes=CLASSES
)
"""The competition's rules, for fewer samples."""


def results(*, board: str = "tflm", labelled: bool = True, problems: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what a verdict holds, as far as a submission looks at it."""
    top1 = 1.0 if labelled else None
    return {
        "passed": not problems,
        "problems": list(problems),
        "board": {"name": board, "engine": "tflm"},
        "model": {
            "name": "own",
            "card_top1": None,
            "output": {"dtype": "int8", "shape": [1, CLASSES], "scale": 0.00390625, "zero_point": -128},
        },
        "dataset": {"name": "own", "count": SAMPLES, "labelled": labelled},
        "reference": {"name": "tflm"},
        "metrics": {"compared": SAMPLES, "top1_board": top1, "argmax_agreement": 1.0},
    }


def add_run(journal: Journal, *, board: str = "tflm", **verdict: Any) -> int:
    """Put a run into a journal whose predictions are `LABELS`, with its verdict; returns its number."""
    key = RunKey(
        model_sha256="0" * 64,
        dataset_sha256="1" * 64,
        samples=SAMPLES,
        preprocess="none",
        board=board,
        engine="tflm",
        link="socket",
        clock="wall",
        firmware_sha256="",
    )
    run = RunJournal.open(journal, key, CLASSES, fresh=True)
    scores = np.full((SAMPLES, CLASSES), -128, dtype=np.int8)
    scores[np.arange(SAMPLES), LABELS] = 127
    ids = np.arange(SAMPLES, dtype=np.uint32)
    run.record(run.begin_session(board, {}), ids, np.ones(SAMPLES, dtype=np.uint32), scores.view(np.uint8))
    run.keep_verdict(results(board=board, **verdict))
    run.finish()
    return run.id


def make_journal(path: Path, **verdict: Any) -> Path:
    """Write a journal with one run."""
    with Journal(path) as journal:
        add_run(journal, **verdict)
    return path


def submit(path: Path, *, run: int | None = None, timeout_s: float = 60.0, said: list[str] | None = None) -> Submission:
    """Submit a run as a new process would."""
    heard: list[str] = [] if said is None else said
    with Journal(path) as journal:
        return case.submit(
            journal,
            load_run(journal, run),
            SMALL,
            path=path.with_name("submission.csv"),
            timeout_s=timeout_s,
            say=heard.append,
        )


def kept(path: Path, run: int = 1) -> Submission:
    """Return what the journal knows."""
    with Journal(path) as journal:
        found = load_submission(journal, run, SMALL.name, "")
    assert found is not None
    return found
