"""Use case: say why a board gives other outputs than the host, by experiments on the few samples that show it most.

The order is that of what could make everything after it meaningless: does the board get the right input, does it give
the same answer every time, which operator is the first to differ, and what kind of error is that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.campaign.behaviour import check_input, check_repeats
from pytest_tinyml.campaign.causes import Difference
from pytest_tinyml.campaign.classify import Classifier
from pytest_tinyml.campaign.culprit import Search, described, host_scores
from pytest_tinyml.campaign.probe import Probe, TimeLimit
from pytest_tinyml.campaign.symptom import SAMPLES
from pytest_tinyml.errors import IdentityError, TinymlError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.campaign.causes import Cause
    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.campaign.symptom import Symptom
    from pytest_tinyml.engines.truncate import Point
    from pytest_tinyml.records import Model

ESPDL_LIMIT: Final = "the operator cannot be named: .espdl files are not cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """The first diverging operator: its place in the model's file, and its output tensor.

    Attributes:
        index: 0-based, in the file.
        type: e.g. ``CONV_2D``.
        tensor: the output's name in the file.
        shape: batch first.
        dtype: element type.
        scale: real = scale * (q - zero_point); 0.0 for float32.
        zero_point: see scale.
        kernel: the function that computes it on the board; empty if that is not known.
    """

    index: int
    type: str
    tensor: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    kernel: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What was found.

    Attributes:
        cause: one word, see `causes.MEANING`; None if nothing was found.
        text: for people, one line.
        operator: the first that diverges, if one was found.
        max_lsb: largest difference of its output in steps; None for float32.
        max_abs: the same in real units.
        where: index of the largest difference in the output tensor.
        sample: id of the sample that shows it.
        steps: what was tried, and what it gave, one line each.
        seconds: that it took.
        complete: nothing was left out for want of time or means.
    """

    cause: Cause | None
    text: str
    operator: Operator | None = None
    max_lsb: int | None = None
    max_abs: float | None = None
    where: tuple[int, ...] | None = None
    sample: int | None = None
    steps: tuple[str, ...] = ()
    seconds: float = 0.0
    complete: bool = True


class Explainer:
    """See the module.

    Args:
        plan: of the run.
        folder: for logs and cut models.
        limit_s: seconds that it may take; a step that was begun is ended.
        timeout_s: longest silence of a board.
        reflash: other firmware may be written to a part that takes no models over its link.
        say: told of every step.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        *,
        limit_s: float,
        timeout_s: float = 10.0,
        reflash: bool = True,
        say: Callable[[str], object] | None = None,
    ) -> None:
        """Start nothing."""
        self._probe = Probe(plan, folder, timeout_s=timeout_s, reflash=reflash)
        self._limit, self._say = TimeLimit(limit_s), say
        self._steps: list[str] = []

    def explain(self, symptom: Symptom) -> Explanation:
        """Find the cause; what goes wrong on the way is part of the answer."""
        try:
            found = self._explain(symptom)
        except IdentityError as error:
            found = Explanation(cause="firmware", text=error.message)
        except TinymlError as error:
            found = Explanation(cause=None, text=f"no cause was found: {str(error).splitlines()[0]}", complete=False)
        finally:
            self._probe.close()
        return replace(found, steps=tuple(self._steps), seconds=round(self._limit.seconds, 2))

    def _note(self, text: str) -> None:
        self._steps.append(text)
        if self._say is not None:
            self._say(text)

    def _explain(self, symptom: Symptom) -> Explanation:
        plan, ids = self._probe.plan, symptom.ids[:SAMPLES]
        if not plan.canaried:
            text = f"board {plan.name!r} takes no single samples: no experiment can be made"
            return Explanation(cause=None, text=text, complete=False)
        expected = host_scores(self._probe, plan.model, ids)
        with self._probe.started(plan.model) as asked:
            first = asked.answers(ids)
            self._note(f"input tensors: right for {int(first.inputs_right.sum())} of {len(ids)} samples")
            text = check_input(plan, ids, first, asked.input_crcs)
            if text:
                return Explanation(cause="input", text=text, sample=ids[int(np.argmin(first.inputs_right))])
            rounds = [first.scores, asked.answers(ids).scores, asked.answers(ids[::-1]).scores[::-1]]
        seen = None if symptom.seen is None else symptom.seen[: len(ids)]
        unsteady = check_repeats(self._probe, ids, rounds, expected, seen, self._note)
        if unsteady is not None:
            return Explanation(cause=unsteady[0], text=unsteady[1], sample=ids[0])
        whole = Difference(board=first.scores, reference=expected, tensor=plan.model.output)
        self._note(f"outputs of the whole model: {described(whole)}")
        if not whole.elements.any():
            return Explanation(cause=None, text=f"nothing differs in the {len(ids)} samples that were looked at")
        if plan.model.format != "tflite":
            return replace(self._of(whole, ids, ESPDL_LIMIT, cause=None), complete=False)
        return self._culprit(symptom, ids, whole)

    def _culprit(self, symptom: Symptom, ids: tuple[int, ...], whole: Difference) -> Explanation:
        search = Search(self._probe, ids, self._limit, self._note)
        search.found[search.points[-1].tensor] = whole
        point = search.run()
        difference = search.found[point.tensor]
        assert difference is not None  # noqa: S101 - a target differs
        model = search.model(point)
        operator = self._operator(point, model)
        which = f"{operator.index} {operator.type}"
        size = f"{described(difference)} of {len(ids)} samples"
        if not search.complete:
            text = f"operator {which} {size}; the time was up before those before it were looked at"
            return replace(self._of(difference, ids, text, cause="operator"), operator=operator, complete=False)
        before = search.unseen(point)
        cause, why = Classifier(self._probe, search, ids, self._limit, self._note).classify(
            point, model, difference, symptom.flips
        )
        text = f"first diverging operator: {which} ({cause}), {size}; {why}"
        if before:
            names = " and ".join(f"{p.operator} {p.kind}" for p in before)
            text += f"; it may as well be {names}, which the board cannot be asked for"
        text += "" if not operator.kernel else f"; on the board it is {operator.kernel}"
        return replace(self._of(difference, ids, text, cause=cause), operator=operator, complete=cause != "operator")

    def _operator(self, point: Point, model: Model) -> Operator:
        output = model.output
        return Operator(
            index=point.operator,
            type=point.kind,
            tensor=point.name,
            shape=output.shape,
            dtype=output.dtype,
            scale=output.scale,
            zero_point=output.zero_point,
            kernel=self._probe.kernels.get(point.operator, ""),
        )

    def _of(self, difference: Difference, ids: tuple[int, ...], text: str, *, cause: Cause | None) -> Explanation:
        row, where = difference.worst
        return Explanation(
            cause=cause,
            text=text,
            max_lsb=difference.max_lsb,
            max_abs=difference.max_abs,
            where=where,
            sample=ids[row],
        )
