"""How much memory a model needs in TensorFlow Lite Micro; found in a process of its own, which may die of it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_tinyml.engines.support import TFLM, family_of
from pytest_tinyml.engines.support import refusal as operator_refusal
from pytest_tinyml.errors import ModelError, UsageError

if TYPE_CHECKING:
    from pytest_tinyml.records import Model

WORKER: Final = Path(__file__).with_name("tflm_worker.py")
FIRST_BYTES: Final = 1 << 20
LARGEST_BYTES: Final = 1 << 30
_MISSING_OPERATOR = re.compile(r"Didn't find op for builtin opcode '(\w+)'")
_TOTAL = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")
_PARTS = re.compile(r"'([^']+)' used (\d+) bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaReport:
    """TensorFlow Lite Micro's own account of a model's memory, on this machine: structures hold 64-bit pointers here.

    Attributes:
        used_bytes: head and tail together.
        head_bytes: activations and scratch buffers, planned to overlap.
        tail_bytes: what persists: structures, quantisation parameters, variables.
        parts: persistent parts by TensorFlow Lite Micro's names, in bytes.
        arena_bytes: the arena that the model was run in.
    """

    used_bytes: int
    head_bytes: int
    tail_bytes: int
    parts: dict[str, int]
    arena_bytes: int


def tflm_available() -> bool:
    """Return whether the tflite-micro wheel is installed; does not import it."""
    return find_spec("tflite_micro") is not None


def require_tflm() -> None:
    """Raise unless the wheel is installed.

    Raises:
        UsageError: it is not; names the reference that is there everywhere.
    """
    if not tflm_available():
        raise UsageError(
            "reference 'tflm' needs the package tflite-micro, whose wheels exist for Linux on x86-64 only: install it "
            "there (pip install tflite-micro), or use --tinyml-reference litert, which is compared with a tolerance"
        )


def worker_command(mode: str, *arguments: int) -> list[str]:
    """Return the command line of a worker; -P keeps its folder off the import path."""
    return [sys.executable, "-P", str(WORKER), mode, *map(str, arguments)]


def refusal(model: Model, stderr: str) -> ModelError | None:
    """Return the error that TensorFlow Lite Micro's words on fd 2 stand for, if they are about the model itself."""
    missing = _MISSING_OPERATOR.search(stderr)
    if not missing:
        return None
    index = model.operators.index(missing[1]) if missing[1] in model.operators else _index(model, missing[1])
    reason = "the tflite-micro wheel has no kernel registered for it"
    return operator_refusal(model.name, family_of(model), TFLM, index, missing[1], reason)


def _index(model: Model, operator: str) -> int:
    from pytest_tinyml.engines.flatgraph import load  # noqa: PLC0415 - only for this message

    graph = load(model.data, model.name)
    return [graph.kind(op) for op in graph.sub.operators].index(operator)


def probe_arena(model: Model, *, arena_bytes: int | None = None, timeout_s: float = 60.0) -> ArenaReport:
    """Run a model once on zeros and report the memory that it took.

    An arena that is too small raises an error in TensorFlow Lite Micro, or crashes it: both are survived, and a
    larger one is tried, up to 1 GiB.

    Args:
        model: to be run.
        arena_bytes: try this size only.
        timeout_s: bound for each try.

    Raises:
        UnsupportedOperatorError: TensorFlow Lite Micro has no kernel for an operator; names it.
        ModelError: the model cannot be run, crashes, or takes too long.
        UsageError: tflite-micro is not installed.
    """
    require_tflm()
    sizes = [arena_bytes] if arena_bytes else []
    size = max(FIRST_BYTES, 10 * len(model.data), 10 * (model.input.nbytes + model.output.nbytes))
    while not arena_bytes and (not sizes or sizes[-1] < LARGEST_BYTES):
        sizes.append(min(size, LARGEST_BYTES))
        size *= 8
    reason = ""
    for size in sizes:
        try:
            done = subprocess.run(
                worker_command("probe", size), input=model.data, capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            msg = f"{model.name}: one inference in TensorFlow Lite Micro did not end within {timeout_s:g} s"
            raise ModelError(msg) from error
        text = done.stderr.decode(errors="replace")
        totals = dict(_TOTAL.findall(text))
        if done.returncode == 0 and len(totals) == 3:  # noqa: PLR2004 - total, head and tail
            parts = {name: int(used) for name, used in _PARTS.findall(text)}
            return ArenaReport(
                used_bytes=int(totals["total"]),
                head_bytes=int(totals["head"]),
                tail_bytes=int(totals["tail"]),
                parts=parts,
                arena_bytes=size,
            )
        known = refusal(model, text)
        if known is not None:
            raise known
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        reason = f"killed by signal {-done.returncode}" if done.returncode < 0 else (lines or ["no output"])[-1]
        first = next((line for line in lines if not line.startswith(("Traceback", "File "))), "")
        reason = reason if first in reason else f"{first}; {reason}"
    msg = f"{model.name}: TensorFlow Lite Micro cannot run it in an arena of {sizes[-1]:,} bytes: {reason}"
    raise ModelError(msg)
