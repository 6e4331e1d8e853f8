"""Each cause is planted into a board, and named: the operator, and the kind of error."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pytest

from pytest_tinyml.boards.native import NativeBoard
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.culprit import host_scores
from pytest_tinyml.campaign.explain import Explainer, Explanation
from pytest_tinyml.campaign.plan import make_plans
from pytest_tinyml.campaign.probe import Probe
from pytest_tinyml.campaign.symptom import Symptom, symptom
from pytest_tinyml.engines.flatbuild import Builder, dense
from pytest_tinyml.records import Dataset, PreprocessSpec
from tests.regression.planted import (
    OtherModelBoard,
    PlantedBoard,
    PlantedKind,
    StaleBoard,
    TamperedBoard,
    at_place,
    edited,
    with_constants,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.records import Model

    Ints: TypeAlias = npt.NDArray[np.int64]
    Explain: TypeAlias = Callable[..., Explanation]

IMAGES: Final = np.random.default_rng(3).integers(0, 256, (32, 4, 6), dtype=np.uint8)
DATA: Final = Dataset(name="made", images=IMAGES, labels=None, sha256="0" * 64)
CLAMPED: Final = (
    "output[channel] = bknn_model_q31_clamp_s8(\n"
    "            (int64_t)scaled + output_zero_point, activation_min, activation_max);"
)


def network() -> bytes:
    """Return [1, 24] -> 0 dense 16 -> 1 dense 12, of which many values are at the limits -> 2 dense 5."""
    net = Builder()
    source = net.tensor([1, 24], scale=1 / 255, zero=-128)
    wide = dense(net, source, 16, 1, output_scale=0.01)
    narrow = dense(net, wide, 12, 2, output_scale=0.004)
    return net.finish(source, dense(net, narrow, 5, 3, output_scale=0.02))


def _second_layer(code: str) -> Callable[[str], str]:
    """Return an edit that adds code behind each value of the layer of 12."""
    return edited(CLAMPED, f"{CLAMPED}\n        if (output_count == 12u) {{ {code} }}")


# The weights of operator 1, row by row as they are written, and the same backwards.
WEIGHTS: Final = np.random.default_rng(2).integers(-127, 128, (12, 16)).astype(np.int8).ravel().tolist()
# Name: edit of the generated C, cause, index of the operator, and what the text has to say.
OPERATOR: Final[dict[str, tuple[Callable[[str], str], str, int, str]]] = {
    "kernel that leaves a value out": (
        edited("index < input_count;", "index + (output_count == 12u ? 1u : 0u) < input_count;"),
        "kernel",
        1,
        "and so do other constants",
    ),
    "bit of a weight": (at_place(192, 37, 0x40), "weights", 1, "exactly this comes of weight [2, 5] being "),
    "other weights": (
        with_constants(WEIGHTS, WEIGHTS[::-1]),
        "weights",
        1,
        "with other constants the operator is right",
    ),
    "no limit": (
        _second_layer("output[channel] = (int8_t)((int64_t)scaled + output_zero_point);"),
        "saturation",
        1,
        "all differences are where a value is limited",
    ),
    "order": (
        edited(
            CLAMPED,
            f"{CLAMPED}\n        if (output_count == 5u && channel == 4u) "
            "{ int8_t keep = output[1]; output[1] = output[3]; output[3] = keep; }",
        ),
        "order",
        2,
        "in another order: 1 holds 3's, 3 holds 1's",
    ),
}


@pytest.fixture
def explain(tmp_path: Path) -> Explain:
    """Run the network on a board that a function makes, and explain what differs."""

    def run(
        make: Callable[[Any], Any], *, seen: Symptom | None = None, limit_s: float = 600.0, **more: Any
    ) -> Explanation:
        plan = _plan(tmp_path, make, **more)
        shown = seen
        if shown is None:
            probe, ids = Probe(plan, tmp_path), range(len(IMAGES))
            scores = probe.answers(plan.model, ids).scores
            shown = symptom(scores, host_scores(probe, plan.model, ids), ids, plan.model)
        assert shown is not None
        return Explainer(plan, tmp_path, limit_s=limit_s).explain(shown)

    return run


def _plan(folder: Path, make: Callable[[Any], Any], **more: Any) -> Plan:
    registry = Registry()
    registry.register(PlantedKind(make))
    path = folder / "net.tflite"
    path.write_bytes(network())
    (plan,) = make_plans(registry, boards=["planted"], model=str(path), dataset=DATA, reference=None)
    return replace(plan, **more)


@pytest.mark.parametrize("name", OPERATOR)
def test_operator(name: str, explain: Explain) -> None:
    """The operator is named by its place and type, and its error by its kind."""
    edit, cause, index, why = OPERATOR[name]
    found = explain(lambda request: PlantedBoard(request, edit))
    assert found.operator is not None
    assert (found.cause, found.operator.index, found.operator.type) == (cause, index, "FULLY_CONNECTED")
    assert found.text.startswith(
        f"first diverging operator: {index} FULLY_CONNECTED ({cause}), up to {found.max_lsb} LSB"
    )
    assert why in found.text
    assert found.text.endswith("on the board it is bknn_model_linear_s8")
    assert (found.operator.shape, found.operator.dtype) == ((1, 12 if index == 1 else 5), "int8")
    assert found.operator.scale == pytest.approx(0.004 if index == 1 else 0.02)
    assert (found.complete, found.where is not None, found.sample in range(len(IMAGES))) == (True, True, True)


def test_input(explain: Explain) -> None:
    """A board that was built with another preprocessing gets a wrong input, and it is said what it does instead."""
    other = PreprocessSpec(scale=1 / 127.5, offset=-1.0)
    found = explain(lambda request: OtherModelBoard(request, lambda model: replace(model, preprocess=other)))
    assert (found.cause, found.operator, found.complete) == ("input", None, True)
    assert found.text == (
        "the input tensor on the board is not what model 'net' takes (preprocessing 'scale') for 8 of 8 samples; it is "
        "what 'pixel / 127.5 - 1' gives"
    )


def test_firmware(explain: Explain) -> None:
    """A board with an older build is told before any experiment."""
    found = explain(StaleBoard, seen=Symptom(ids=(1, 2)))
    assert (found.cause, found.steps) == ("firmware", ())
    assert found.text.startswith("stale firmware on the board: it runs build ")


def test_state(explain: Explain) -> None:
    """A board whose answers depend on what it did before is told from one that is random: a new start repeats them."""
    found = explain(NativeBoard, options={"fault": "state"})
    assert (found.cause, found.complete) == ("state", True)
    assert found.text == (
        "the board carries state from one inference to the next: 8 of 8 samples give other outputs the second time, "
        "and so again after a start"
    )


def test_nothing_to_explain(explain: Explain) -> None:
    """A board that is right, in the run and now, gives no cause."""
    found = explain(NativeBoard, seen=Symptom(ids=(4, 5)))
    assert (found.cause, found.text) == (None, "nothing differs in the 2 samples that were looked at")


def test_not_again(explain: Explain) -> None:
    """What a board gave in the run, and does not give any more, even behind the same samples, is not deterministic."""
    wrong = np.zeros((1, 5), np.int8)
    found = explain(NativeBoard, seen=Symptom(ids=(30,), seen=wrong))
    assert (found.cause, found.sample) == ("nondeterminism", 30)
    assert found.text == "the differences do not come again: sample 30 is right now, and was not in the run"


def test_time_is_up(explain: Explain) -> None:
    """Without time for the operators, what is known is said, and that it is not all."""
    found = explain(NativeBoard, options={"fault": "weights"}, limit_s=1e-6)
    assert (found.cause, found.complete) == ("operator", False)
    assert found.text == (
        "operator 2 FULLY_CONNECTED up to 1 LSB off in 8 of 40 values of 8 samples; the time was up before those "
        "before it were looked at"
    )


def _early(model: Model, scores: Ints) -> Ints:
    """Limit operator 1 too early, so that the whole model is off somehow."""
    return np.minimum(scores, 100) if scores.shape[1] == 12 else scores ^ (scores.shape[1] == 5)


def _rounded(model: Model, scores: Ints) -> Ints:
    """Let the last operator's smallest value be one step smaller."""
    smallest = (scores == scores.min()) & (scores > -128)
    return np.asarray(scores - (smallest & (scores.shape[1] == 5)))


def _first(model: Model, scores: Ints) -> Ints:
    """Let every operator be off."""
    return np.asarray(np.clip(scores + np.arange(scores.shape[1]) % 7 * 4, -128, 127))


TAMPERED: Final[dict[str, tuple[Callable[[Model, Ints], Ints], str, int, str]]] = {
    "limit too early": (
        _early,
        "saturation",
        1,
        "all differences are where a value is limited (the range is -128 to 127)",
    ),
    "rounding": (_rounded, "rounding", 2, "no label changes"),
    "the first operator": (_first, "kernel", 0, "and so do other constants"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampered(name: str, explain: Explain) -> None:
    """Likewise on a board that is TensorFlow Lite Micro with its outputs tampered with."""
    tamper, cause, index, why = TAMPERED[name]
    found = explain(lambda request: TamperedBoard(request, tamper))
    assert found.operator is not None
    assert (found.cause, found.operator.index) == (cause, index)
    assert found.text.endswith(why)


def test_random(explain: Explain) -> None:
    """A board that answers as it likes is not deterministic: a new start does not repeat its answers."""
    rng = np.random.default_rng(1)
    found = explain(lambda request: TamperedBoard(request, lambda _, scores: scores ^ rng.integers(0, 2, scores.shape)))
    assert found.cause == "nondeterminism"
    assert found.text.endswith("samples give other outputs the second time, and others again after a start")


def test_state_behind_others(explain: Explain) -> None:
    """State that shows after many inferences only is found by repeating those before the sample."""

    def make(request: BoardRequest) -> TamperedBoard:
        board = TamperedBoard(request, lambda _, scores: scores + (board.inferences > 28))
        return board

    found = explain(make)
    assert (found.cause, found.operator) == ("state", None)
    assert "is right alone, and wrong behind the" in found.text
