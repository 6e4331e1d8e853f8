"""Asking boards for a few samples: which model they are given, and how."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.boards import native
from pytest_tinyml.boards.crossbuild import reply_definitions
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.explain import ESPDL_LIMIT, Explainer
from pytest_tinyml.campaign.plan import Plan, make_plans
from pytest_tinyml.campaign.probe import Probe
from pytest_tinyml.campaign.symptom import Symptom, symptom
from pytest_tinyml.engines.truncate import cut, cut_points
from pytest_tinyml.errors import ModelError, UsageError
from pytest_tinyml.records import Dataset, PreprocessSpec
from pytest_tinyml.references.espdl import EspdlReference
from pytest_tinyml.stores.models import list_models, load_model
from pytest_tinyml.verdict.compare import Tolerance
from tests.regression.planted import PlantedKind, TamperedBoard
from tests.unit.tflite_models import convnet, keras_mlp, record

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.records import Identity, Model

IMAGES = np.random.default_rng(2).integers(0, 256, (6, 4, 6), dtype=np.uint8)


class Uploaded(TamperedBoard):
    """It takes models over its link, and remembers which."""

    given: list[str]

    def give(self, model: Model) -> None:
        """See `StreamedBoard.give`."""
        self.given.append(model.name)
        self._request = replace(self._request, model=model)

    def open(self) -> Identity:
        """Say that it takes models."""
        return replace(super().open(), loads_models=True)


def _same(model: Model, scores: Any) -> Any:
    del model
    return scores


def _plan(folder: Path, kind: PlantedKind, **more: Any) -> Plan:
    path = folder / "own.tflite"
    path.write_bytes(keras_mlp())
    registry = Registry()
    registry.register(kind)
    dataset = Dataset(name="made", images=IMAGES, labels=None, sha256="0" * 64)
    (plan,) = make_plans(registry, boards=["planted"], model=str(path), dataset=dataset, reference=None)
    return replace(plan, **more)


def test_models_travel_to_a_board_that_takes_them(tmp_path: Path) -> None:
    """One board is made; the cuts, and the plan's model after them, are given to it."""
    made: list[Uploaded] = []

    def make(request: BoardRequest) -> Uploaded:
        made.append(Uploaded(request, _same))
        made[-1].given = []
        return made[-1]

    probe = Probe(_plan(tmp_path, PlantedKind(make)), tmp_path, reflash=False)
    model = probe.plan.model
    short = cut(model, cut_points(model)[1], tmp_path)
    for each in (model, short, model):
        assert probe.answers(each, [0, 3]).scores.shape == (2, each.output.elements)
    assert probe.uploads is True
    assert [board.given for board in made] == [[short.name, model.name]]


def test_part_that_was_not_to_be_flashed(tmp_path: Path) -> None:
    """A part that takes no models is not given other firmware unless that is allowed."""
    kind = PlantedKind(lambda request: TamperedBoard(request, _same))
    kind.hardware = True
    probe = Probe(_plan(tmp_path, kind), tmp_path, reflash=False)
    model = probe.plan.model
    short = cut(model, cut_points(model)[1], tmp_path)
    assert probe.answers(model, [0]).inputs_right.all()
    with pytest.raises(UsageError, match="takes no models over its link, and other firmware was not to be written"):
        probe.answers(short, [0])
    assert Probe(probe.plan, tmp_path).answers(short, [0]).scores.shape == (1, short.output.elements)


def test_not_flashed_is_said(tmp_path: Path) -> None:
    """The explanation says why no operator was looked for, and is not complete."""
    kind = PlantedKind(lambda request: TamperedBoard(request, lambda _, scores: scores ^ 1))
    kind.hardware = True
    found = Explainer(_plan(tmp_path, kind), tmp_path, limit_s=60.0, reflash=False).explain(Symptom(ids=(1, 2)))
    assert (found.cause, found.complete) == (None, False)
    assert found.text.startswith("no cause was found: the board takes no models over its link")
    assert found.steps[-1].startswith("outputs of the whole model: up to 1 LSB off")


def test_other_engine(tmp_path: Path) -> None:
    """A cut that another engine would execute says nothing about the one that differs."""

    class Choosing(PlantedKind):
        def engine_for(self, model: Model, options: Any) -> str:
            """Choose by the model's length."""
            del options
            return "aot" if len(model.operators) > 2 else "other"

    probe = Probe(_plan(tmp_path, Choosing(lambda request: TamperedBoard(request, _same))), tmp_path)
    model = probe.plan.model
    probe.check(model)
    first = cut_points(model)[0]
    probe.check(cut(model, first, tmp_path))
    short = cut(record(convnet()), cut_points(record(convnet()))[0], tmp_path)
    with pytest.raises(ModelError, match="engine 'other' would execute it, not 'aot'"):
        probe.check(short)


def test_first_of_several_boards(tmp_path: Path) -> None:
    """Where several boards share the work, the first one is asked, at its own port."""
    plan = _plan(tmp_path, PlantedKind(lambda request: TamperedBoard(request, _same)))
    probe = Probe(replace(plan, count=2, device={"port": "/dev/a|/dev/b"}), tmp_path)
    assert (probe.plan.count, probe.plan.device) == (1, {"port": "/dev/a"})


def test_replies_that_hold_an_output(tmp_path: Path) -> None:
    """Firmware is told of an output that its usual buffer does not hold, and of no other."""
    model = load_model("s0-ptq")
    assert reply_definitions(model) == {}
    # 26 x 26 x 8 = 5,408 bytes, framed.
    assert reply_definitions(cut(model, cut_points(model)[0], tmp_path)) == {"TML_TX_BYTES": "6144U"}


def test_worst_samples() -> None:
    """Samples whose label differs come first, then those with the largest difference; those that are right never."""
    model = record(keras_mlp())
    host = np.tile(np.array([-100, -50, 0, 50, 20], np.int8), (5, 1))
    board = host.copy()
    board[1, 0] += 9
    board[2, 4] += 31
    board[3, 0] += 20
    found = symptom(board, host, [10, 11, 12, 13, 14], model)
    assert found is not None
    assert (found.ids, found.flips) == ((12, 13, 11), 1)
    assert found.seen is not None
    np.testing.assert_array_equal(found.seen, board[[2, 3, 1]])
    assert symptom(host, host, range(5), model) is None


def test_espdl_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an .espdl, what the whole model shows is told, and that the operator cannot be named."""
    name = next(row.name for row in list_models() if load_model(row.name).format == "espdl")
    model = load_model(name)
    images = np.random.default_rng(1).random((2, *model.input.shape[1:]), dtype=np.float32)
    plan = Plan(
        kind=native.KIND,
        model=replace(model, preprocess=PreprocessSpec(kind="none")),
        dataset=Dataset(name="made", images=images, labels=None, sha256="0" * 64),
        samples=2,
        reference=EspdlReference(),
        tolerance=Tolerance(),
        link="socket",
    )
    right = Probe(plan, tmp_path).answers(plan.model, [0, 1]).scores
    # esp-ppq is not installed wherever this is tested.
    monkeypatch.setattr("pytest_tinyml.campaign.explain.host_scores", lambda *_: right + right.dtype.type(3))
    found = Explainer(plan, tmp_path, limit_s=60.0).explain(Symptom(ids=(0, 1)))
    assert (found.cause, found.operator, found.complete) == (None, None, False)
    assert found.text == ESPDL_LIMIT
    assert found.max_abs == pytest.approx(3 * (model.output.scale or 1.0))
