"""Ten changes that a pull request may bring: nine are stopped with the cause named, the harmless one passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from pytest_tinyml.stores.models import load_model
from tests.projects import output, refusal

if TYPE_CHECKING:
    from tests.projects import Project

CONFTEST: Final = """
from dataclasses import replace
from functools import partial

from pytest_tinyml.records import PreprocessSpec
from tests.regression import planted

PIXELS = PreprocessSpec(kind="scale")


def pytest_tinyml_boards(registry):
    registry.register(planted.PlantedKind({board}))
"""
NATIVE: Final = "planted.native.NativeBoard"
EDITED: Final = "partial(planted.PlantedBoard, edit={edit})"
# Halves are rounded away from zero; without this they are cut off.
HALF: Final = "remainder >= (UINT64_C(1) << (uint32_t)(exponent - 1))"
# As a race or memory that nobody initialised: other scores each time, also after a start.
NOISE: Final = (
    "lambda text: text.replace('#include <limits.h>', "
    "'#include <limits.h>\\n#include <time.h>\\nstatic uint32_t noise;', 1)"
    ".replace('(int64_t)scaled + output_zero_point', "
    "'(int64_t)scaled + output_zero_point + (int32_t)((noise += (uint32_t)clock() * 2654435761u) >> 31)')"
)
MODEL: Final = ("--tinyml-model=m.tflite", "--tinyml-preprocess=scale:255", "--tinyml-limit=400")
PLANTED: Final = ("--board=planted", *MODEL)
TFLM: Final = ("--board=tflm", *MODEL)
EMULATED: Final = ("--board=qemu-stm32f405", *MODEL, "--tinyml-limit=20", "--tinyml-clock=instructions")
EXPLAIN: Final = ("--tinyml-explain=auto", "--tinyml-explain-timeout=600")
GATES: Final = tuple(
    f"--tinyml-fail-on={gate}"
    for gate in ("top1:0.2pp", "agreement:0.1pp", "flips:10", "arena:1%", "flash:2%", "latency_p50:5%")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One change.

    Attributes:
        run: options of both runs.
        board: what makes the board after the change.
        change: done to the project between the two runs.
        options: of the second run only.
        cause: in the explanation; None where there is nothing to explain on the board.
        says: in the problems of the second run, or in its refusal.
    """

    run: tuple[str, ...] = PLANTED
    board: str = NATIVE
    change: Any = None
    options: tuple[str, ...] = ()
    cause: str | None = None
    says: str = ""


def put(project: Project, data: bytes) -> None:
    """Put a model in the place of the user's."""
    (project.path / "m.tflite").write_bytes(data)


def swap_classes(project: Project) -> None:
    """Exchange the model's classes 3 and 5, as a label file in another order would."""
    data = load_model("s1-ptq-pertensor").data
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    swapped = 0
    for detail in interpreter.get_tensor_details():
        try:
            values = interpreter.get_tensor(detail["index"])
        except ValueError:
            continue
        if values.shape in {(10, 64), (10,)} and data.count(values.tobytes()) == 1:
            other = values.copy()
            other[[3, 5]] = values[[5, 3]]
            data = data.replace(values.tobytes(), other.tobytes())
            swapped += 1
    assert swapped == 2
    put(project, data)


def other_data(project: Project) -> None:
    """Change one label of the data set."""
    from tests.projects import IMAGES, LABELS

    labels = LABELS.copy()
    labels[0] += 1
    project.data("own.npz", labels=labels, images=np.roll(IMAGES, 0))


CASES: Final = {
    "bad weights": Case(
        board=EDITED.format(edit="planted.at_place(640, 100, 0x40)"), cause="weights", says="samples differ from tflm"
    ),
    "other rounding": Case(
        board=EDITED.format(edit=f"planted.edited({HALF!r}, '0')"),
        cause="rounding",
        says="samples differ from tflm (max ",
    ),
    "swapped classes": Case(run=TFLM, change=swap_classes, says="classes 3 and 5 are swapped"),
    "wrong normalisation": Case(
        run=("--board=planted", "--tinyml-model=s2-ptq", "--tinyml-limit=400"),
        board="partial(planted.OtherModelBoard, other=lambda model: replace(model, preprocess=PIXELS))",
        cause="input",
        says="preprocessing differs",
    ),
    "lost sample": Case(
        run=("--board=native", *MODEL),
        options=("--tinyml-option=fault=crash#17",),
        says="1 samples failed on the board; first: #17: ",
    ),
    "slower kernel": Case(
        run=EMULATED,
        options=("--tinyml-option=kernels=portable", "--tinyml-fail-on=instructions:0.5%"),
        says="instructions per inference grew by ",
    ),
    "larger arena": Case(run=TFLM, change=lambda project: put(project, load_model("s4-ptq").data), says="arena"),
    "stale baseline": Case(
        run=("--board=tflm", "--tinyml-model=own.tflite", "--tinyml-dataset=own.npz"),
        change=other_data,
        says="baseline 0001_main of own is of data set own (SHA-256 ",
    ),
    "harmless": Case(run=("--board=native", *MODEL, "--tinyml-max-lsb=1"), options=("--tinyml-option=fault=weights",)),
    "non-determinism": Case(
        board=EDITED.format(edit=NOISE),
        cause="nondeterminism",
        says="it carries state from one inference to the next",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_regression(project: Project, name: str) -> None:
    """The run before the change is kept as a baseline; the one after it is stopped, and says why."""
    case = CASES[name]
    put(project, load_model("s1-ptq" if name != "swapped classes" else "s1-ptq-pertensor").data)
    project.pytester.makeconftest(CONFTEST.replace("{board}", NATIVE))
    before = project.run(*case.run, "--tinyml-save=main")
    assert before.ret == 0, output(before)
    if case.change is not None:
        case.change(project)
    project.pytester.makeconftest(CONFTEST.replace("{board}", case.board))
    after = project.run(*case.run, *case.options, "--tinyml-compare=main", *EXPLAIN, *GATES)
    if name == "stale baseline":
        assert refusal(after).startswith(case.says)
        return
    results = project.results()
    assert results["passed"] is (name == "harmless"), output(after)
    assert (after.ret == 0) is results["passed"]
    assert case.says in "\n".join(results["problems"]), results["problems"]
    cause = None if results["explanation"] is None else results["explanation"]["cause"]
    assert case.cause == cause, results["explanation"]
    if name == "harmless":
        assert results["metrics"]["bit_exact_ratio"] == 0.0
        assert {gate["status"] for gate in results["gates"]} <= {"passed", "skipped"}
