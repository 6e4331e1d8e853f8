"""Samples and a model compiled into one program of plain C, which prints what it makes of each; no host is needed."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_tinyml import firmware
from pytest_tinyml.engines.samplefile import FILE, HAS_SAMPLES, samples_source
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.errors import BoardCrashedError, BoardTimeoutError, UsageError

if TYPE_CHECKING:
    from pytest_tinyml.records import Dataset, Model

TIMEOUT_S: Final = 60.0
_IMAGE: Final = re.compile(r"image \d+(?: label (\d+))?")
_CLASS: Final = re.compile(r"class \d+ (-?\d+\.\d+|out-of-range)")
_PREDICTED: Final = re.compile(r"predicted (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What the program said of a sample.

    Attributes:
        label: as compiled in; None if there is none.
        predicted: the class.
        values: the outputs in real units, to four decimals; NaN for what has no such number.
    """

    label: int | None
    predicted: int
    values: tuple[float, ...]


def self_test(model: Model, dataset: Dataset, count: int, *, timeout_s: float = TIMEOUT_S) -> tuple[Tested, ...]:
    """Build the program with the first samples of a data set, run it, and return what it said of each.

    Raises:
        UsageError, BuildError: it cannot be built for this model, or of these samples.
        BoardCrashedError: it ended before its last line, or refused.
        BoardTimeoutError: it did not end in time.
    """
    if model.task != "classification":
        msg = f"the self-test predicts classes, but the task of model {model.name!r} is {model.task}"
        raise UsageError(msg)
    generated = sources_for(model)
    with tempfile.TemporaryDirectory(prefix="tinyml-") as scratch:
        samples = Path(scratch) / FILE
        samples.write_text(samples_source(model, dataset, count), encoding="utf-8")
        program = firmware.build_native(
            [*generated.own_sources, *generated.vendor_sources, samples],
            [*generated.include_dirs, generated.engine_dir],
            HAS_SAMPLES,
        )
    try:
        done = subprocess.run(
            [program.path, "--selftest"], capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        msg = f"the self-test did not end within {timeout_s:g} s"
        raise BoardTimeoutError(msg, board="native") from error
    tested = _parse(done.stdout)
    if done.returncode or len(tested) != count:
        msg = f"the self-test ended with {done.returncode} after {len(tested)} of {count} samples"
        tail = [*done.stderr.splitlines(), *done.stdout.splitlines()][-5:]
        raise BoardCrashedError(msg, board="native", console_tail=tail)
    return tested


def _parse(text: str) -> tuple[Tested, ...]:
    """Read the lines of firmware/apps/common/selftest.h."""
    tested: list[Tested] = []
    label, values = None, list[float]()
    for line in text.splitlines():
        if image := _IMAGE.fullmatch(line):
            label, values = None if image[1] is None else int(image[1]), []
        elif value := _CLASS.fullmatch(line):
            values.append(float("nan" if value[1] == "out-of-range" else value[1]))
        elif predicted := _PREDICTED.fullmatch(line):
            tested.append(Tested(label=label, predicted=int(predicted[1]), values=tuple(values)))
    return tuple(tested)
