"""What each operator of a model costs on a board: differences between the model cut short at one place and the next.

A model cut behind an operator takes the time of that operator and of all that it depends on. What these take is known
when their turn has come, and the rest is the operator's own. So the costs add up to the whole model's, exactly. What a
board does once per inference, whatever the model, is in the first operator's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.engines.truncate import cut, cut_points
from pytest_tinyml.errors import BoardError, BuildError, ModelError
from pytest_tinyml.records import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from pytest_tinyml.campaign.probe import Probe, TimeLimit
    from pytest_tinyml.engines.truncate import Point
    from pytest_tinyml.records import Identity

COUNTED: Final = 4
"""Samples that are enough where instructions are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCost:
    """One operator.

    Attributes:
        index: 0-based, in the file.
        type: e.g. ``CONV_2D``.
        tensor: its output's name in the file.
        kernel: the function that computes it on the board; empty if that is not known.
        ticks: of the board's clock, mean over the samples, or the median of a clock that does not count instructions;
            None if it could not be measured by itself, and is in that of the next operator that depends on it.
        share: of the whole model's ticks, 0 .. 1; None likewise.
    """

    index: int
    type: str
    tensor: str
    kernel: str
    ticks: float | None
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """All operators of a model.

    Attributes:
        identity: what the board says it is; its clock says what a tick is.
        total: ticks of one inference of the whole model, likewise.
        operators: in order of execution.
        complete: there was time for all of them.
    """

    identity: Identity
    total: float
    operators: tuple[OperatorCost, ...]
    complete: bool


def operator_costs(probe: Probe, ids: Sequence[int], limit: TimeLimit, say: Callable[[str], object]) -> Costs:
    """Measure every operator.

    Args:
        probe: asks boards; its plan says which clock.
        ids: samples.
        limit: says whether there is time for another measurement.
        say: told of every step.

    Raises:
        TinymlError: the board cannot run the model at all.
        ModelError: it is not a .tflite.
    """
    model = probe.plan.model
    points: dict[int, Point] = {}
    for point in cut_points(model):
        points.setdefault(point.operator, point)
    with probe.started(model) as asked:
        identity, whole = asked.identity, asked.answers(ids).ticks
    own: dict[int, npt.NDArray[np.int64]] = {}
    complete = True
    last = max(points)
    for index, point in points.items():
        ticks: npt.NDArray[np.int64] | None = whole
        if index != last:
            complete = complete and limit.allows()
            ticks = _ticks(probe, point, ids, say) if complete else None
        if ticks is not None:
            own[index] = ticks - sum((own[k] for k in point.needs if k in own and k != index), np.zeros_like(ticks))
    # A wall clock is now and then far off, when something else takes the processor.
    typical = np.mean if identity.clock is Clock.INSTRUCTIONS else np.median
    total = float(typical(whole))
    costs = {index: float(typical(ticks)) for index, ticks in own.items()}
    return Costs(
        identity=identity,
        total=total,
        complete=complete,
        operators=tuple(
            OperatorCost(
                index=index,
                type=point.kind,
                tensor=point.name,
                kernel=probe.kernels.get(index, ""),
                ticks=costs.get(index),
                share=costs[index] / total if index in costs and total else None,
            )
            for index, point in points.items()
        ),
    )


def _ticks(
    probe: Probe, point: Point, ids: Sequence[int], say: Callable[[str], object]
) -> npt.NDArray[np.int64] | None:
    """Return the time of the model up to a point, per sample; None if the board cannot run that."""
    try:
        model = cut(probe.plan.model, point, probe.folder / "cut")
        probe.check(model)
        ticks = probe.answers(model, ids).ticks
    except (ModelError, BuildError, BoardError) as error:
        say(f"operator {point.operator} {point.kind}: cannot be measured by itself: {str(error).splitlines()[0]}")
        return None
    say(f"up to operator {point.operator} {point.kind}: {ticks.mean():,.0f}")
    return ticks
