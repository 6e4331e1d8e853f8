"""The search of the first diverging operator, on boards that are arrays."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.campaign import culprit
from pytest_tinyml.campaign.causes import Difference
from pytest_tinyml.campaign.culprit import Search, described
from pytest_tinyml.campaign.probe import Answers, TimeLimit
from pytest_tinyml.engines.truncate import cut_points
from pytest_tinyml.errors import BoardError, ModelError
from tests.unit.branched_models import branched
from tests.unit.tflite_models import convnet, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pytest_tinyml.records import Model

IDS = (3, 1)


class Simulated:
    """A probe whose board differs from the host in the tensors that it is told.

    Attributes:
        asked: tensors that it was asked for, in that order.
    """

    def __init__(self, model: Model, folder: Path, wrong: Iterable[int], refused: Iterable[int] = ()) -> None:
        """Remember what is wrong, and what the engine refuses to end with."""
        self.plan = SimpleNamespace(model=model)
        self.folder = folder
        self.asked: list[int] = []
        self._wrong, self._refused = set(wrong), set(refused)

    def check(self, model: Model) -> None:
        """See `Probe.check`."""
        if _tensor(model) in self._refused:
            msg = "the engine does not take it"
            raise ModelError(msg)

    def answers(self, model: Model, ids: tuple[int, ...]) -> Answers:
        """See `Probe.answers`."""
        tensor = _tensor(model)
        self.asked.append(tensor)
        scores = np.zeros((len(ids), model.output.elements), model.output.dtype)
        scores[1, 0] = 7 if tensor in self._wrong else 0
        return Answers(scores=scores, ticks=np.zeros(len(ids), np.int64), inputs_right=np.ones(len(ids), np.bool_))


def _tensor(model: Model) -> int:
    return int(model.name.rpartition("-")[2])


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(probe: Any, model: Model, ids: tuple[int, ...]) -> Any:
        return np.zeros((len(ids), model.output.elements), model.output.dtype)

    monkeypatch.setattr(culprit, "host_scores", zeros)


def _search(probe: Simulated, limit: TimeLimit | None = None) -> tuple[Search, list[str]]:
    said: list[str] = []
    search = Search(probe, IDS, limit or TimeLimit(60.0), said.append)  # type: ignore[arg-type]
    last = search.points[-1]
    whole = replace(probe.plan.model, name=f"whole-{last.tensor}")
    search.found[last.tensor] = Difference(
        board=np.ones((2, whole.output.elements), np.int8),
        reference=np.zeros((2, whole.output.elements), np.int8),
        tensor=whole.output,
    )
    return search, said


def test_every_operator_of_a_chain(tmp_path: Path) -> None:
    """Whichever operator is the first to differ, it is found, in about as many steps as a bisection takes."""
    model = record(convnet())
    points = cut_points(model)
    for first in range(len(points)):
        probe = Simulated(model, tmp_path, (point.tensor for point in points[first:]))
        search, _ = _search(probe)
        assert (search.run().tensor, search.complete) == (points[first].tensor, True)
        assert len(probe.asked) <= 5


@pytest.mark.parametrize("data", [convnet, branched])
def test_differences_that_vanish(data: Callable[[], bytes], tmp_path: Path) -> None:
    """Whatever hides differences again: what is found differs, and all that it reads was seen to be right."""
    model = record(data())
    points = cut_points(model)
    rng = np.random.default_rng(4)
    for _ in range(25):
        wrong = {point.tensor for point in points[:-1] if rng.random() < 0.5} | {points[-1].tensor}
        probe = Simulated(model, tmp_path, wrong)
        search, _ = _search(probe)
        found = search.run()
        assert search.complete
        assert found.tensor in wrong
        assert wrong.isdisjoint(found.sources)
        assert set(found.sources) <= set(probe.asked)


def test_sources_are_looked_at(tmp_path: Path) -> None:
    """In branches, what is taken to be the same because something behind it is, is compared before it is believed."""
    model = record(branched())
    by_operator = {point.operator: point for point in cut_points(model)}
    # The trunk (0) is wrong. Branch 2, 3 hides it, branch 1 does not.
    wrong = [by_operator[k].tensor for k in (0, 1, 4)] + [p.tensor for p in cut_points(model) if p.operator >= 5]
    search, _ = _search(Simulated(model, tmp_path, wrong))
    assert (search.run().operator, search.complete) == (0, True)


@pytest.mark.parametrize("first", range(5))
def test_branches(first: int, tmp_path: Path) -> None:
    """An operator of a branch is found, and not one of the other branch."""
    model = record(branched())
    points = cut_points(model)
    wrong = [point.tensor for point in points if first in point.needs]
    search, _ = _search(Simulated(model, tmp_path, wrong))
    assert (search.run().operator, search.complete) == (first, True)


def test_what_cannot_be_asked_for(tmp_path: Path) -> None:
    """An operator that the engine refuses at the end of a model is named as one that it may be as well."""
    model = record(convnet())
    points = cut_points(model)
    probe = Simulated(model, tmp_path, (p.tensor for p in points[4:]), refused=[points[4].tensor, points[3].tensor])
    search, said = _search(probe)
    found = search.run()
    assert (found.tensor, search.complete) == (points[5].tensor, True)
    assert [point.operator for point in search.unseen(found)] == [3, 4]
    assert "operator 4 CONV_2D: cannot be looked at: the engine does not take it" in said


def test_board_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that cannot send a tensor does not end the search."""
    model = record(convnet())
    points = cut_points(model)
    probe = Simulated(model, tmp_path, (p.tensor for p in points[3:]))
    usual = probe.answers

    def answers(asked: Model, ids: tuple[int, ...]) -> Answers:
        if _tensor(asked) == points[3].tensor:
            raise BoardError("too large\nconsole", board="b")
        return usual(asked, ids)

    monkeypatch.setattr(probe, "answers", answers)
    search, _ = _search(probe)
    assert search.run().tensor == points[4].tensor
    assert search.reasons == {points[3].tensor: "board 'b': too large"}


def test_time_is_up(tmp_path: Path) -> None:
    """Without time, the last operator that is known to differ is what is said, and that it is not all."""
    model = record(convnet())
    probe = Simulated(model, tmp_path, ())
    search, _ = _search(probe, TimeLimit(0.0))
    assert (search.run().tensor, search.complete, probe.asked) == (search.points[-1].tensor, False, [])


def test_step_that_would_not_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is begun only if one as long as the longest so far would end in time."""
    now = 0.0
    monkeypatch.setattr("pytest_tinyml.campaign.probe.time.monotonic", lambda: now)
    limit = TimeLimit(10.0)
    assert limit.allows()
    now = 4.0
    assert limit.allows()
    now = 6.0
    assert limit.allows()
    now = 6.5
    assert not limit.allows()


def test_words() -> None:
    """A difference is told in steps, or for floats in their unit."""
    tensor = record(convnet()).output
    same = np.zeros((1, 5), np.int8)
    other = same.copy()
    other[0, 3] = -9
    assert described(Difference(board=same, reference=same, tensor=tensor)) == "the same"
    said = described(Difference(board=other, reference=same, tensor=tensor))
    assert said == "up to 9 LSB off in 1 of 5 values"
