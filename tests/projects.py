"""A user's project in a temporary folder: own model, own data, and pytest run on it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tests.processes import end_session
from tests.unit.tflite_models import keras_mlp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pytest

    Bytes = npt.NDArray[np.uint8]

SAMPLES: Final = 40
CLASSES: Final = 5
IMAGES: Final = np.random.default_rng(11).integers(0, 256, (SAMPLES, 4, 6), dtype=np.uint8)
LABELS: Final = np.arange(SAMPLES) % CLASSES
OWN: Final = ("--board", "native", "--tinyml-model", "own.tflite", "--tinyml-dataset", "own.npz")
S1: Final = ("--board", "native", "--tinyml-model", "s1-ptq")


class Project:
    """Files and runs of pytest in pytester's folder.

    ``own.tflite`` ([1, 4, 6] to 5 classes, a file as Keras 3 writes it) and ``own.npz`` (40 labelled images) are there.
    """

    def __init__(self, pytester: pytest.Pytester) -> None:
        """Write the model and the data."""
        self.pytester, self.path = pytester, pytester.path
        (self.path / "own.tflite").write_bytes(keras_mlp())
        self.data("own.npz")

    def data(self, name: str, *, labels: npt.NDArray[np.int64] | None = LABELS, images: Bytes = IMAGES) -> Path:
        """Write a data set; without labels if they are None."""
        path = self.path / name
        if labels is None:
            np.savez(path, images=images)
        else:
            np.savez(path, images=images, labels=labels)
        return path

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in this process, which is faster."""
        return self.pytester.runpytest_inprocess(*arguments)

    def spawn(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start pytest as a process, in a session of its own as a terminal would have it."""
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=self.path,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def results(self, folder: str = "tinyml-report") -> dict[str, Any]:
        """Return results.json."""
        loaded: dict[str, Any] = json.loads((self.path / folder / "results.json").read_text(encoding="utf-8"))
        return loaded

    @property
    def journal(self) -> Path:
        """The journal at its default place."""
        return self.path / ".tinyml" / "journal.sqlite"

    def answers(self) -> int:
        """Count the answers in the journal, also while a run is writing to it; 0 without one."""
        if not self.journal.exists():
            return 0
        try:
            db = sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True, timeout=5.0)
            ((rows,),) = db.execute("SELECT count(*) FROM result").fetchall()
            db.close()
        except sqlite3.OperationalError:
            return 0  # in the moment in which it is made
        return int(rows)


def results_schema() -> dict[str, Any]:
    """Return the JSON Schema of results.json, which is in the package."""
    loaded: dict[str, Any] = json.loads((files("pytest_tinyml") / "report" / "results.schema.json").read_text("utf-8"))
    return loaded


def output(result: pytest.RunResult) -> str:
    """Return all that the user saw."""
    return f"{result.stdout}\n{result.stderr}"


def refusal(result: pytest.RunResult) -> str:
    """Return the one message of a session that was refused before anything was run; fail if it is anything else."""
    text = output(result)
    assert result.ret == 4, text
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text
    assert "collected" not in text
    errors = str(result.stderr).strip()
    assert errors.startswith("ERROR: ")
    assert errors.count("ERROR: ") == 1
    return errors.removeprefix("ERROR: ")


def wait_until(condition: Callable[[], object], timeout_s: float, process: subprocess.Popen[str]) -> None:
    """Wait for a condition while a process runs; fail with its output if it ends or the time is up before."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            end_session(process)
            out, _ = process.communicate(timeout=10)
            message = f"process ended with {process.returncode} before the condition was met:\n{out}"
            raise AssertionError(message)
        time.sleep(0.005)


def command_line(options: Sequence[str], **more: object) -> list[str]:
    """Return options with more of ours, e.g. ``limit=200`` for ``--tinyml-limit=200``."""
    return [*options, *(f"--tinyml-{key.replace('_', '-')}={value}" for key, value in more.items())]
