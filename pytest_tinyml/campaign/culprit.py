"""Search of the first diverging operator: the model cut short, on the board and on the host, by bisection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tinyml.campaign.causes import Difference
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.engines.truncate import Point, cut, cut_points
from pytest_tinyml.errors import BoardError, BuildError, ModelError
from pytest_tinyml.references import get_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from pytest_tinyml.campaign.probe import Probe, TimeLimit
    from pytest_tinyml.records import Model


class Search:
    """Finds an operator whose output differs while its inputs do not.

    Bisection assumes that a difference does not vanish on its way to the output. Where it does, that is noticed at the
    end: what the operator reads is compared itself, and if it differs the search goes on from there.

    Args:
        probe: asks boards.
        ids: samples.
        limit: says whether there is time for another step.
        say: told of every step, in a line.

    Attributes:
        points: of the model.
        found: what the board and the host gave, by tensor; None where the board could not be asked.
        reasons: why not, by tensor.
        complete: the search came to an end; False while it has not, and when there was no time left.
    """

    def __init__(self, probe: Probe, ids: Sequence[int], limit: TimeLimit, say: Callable[[str], None]) -> None:
        """Ask nothing yet.

        Raises:
            ModelError: the model is not a .tflite.
        """
        self.points = cut_points(probe.plan.model)
        self.found: dict[int, Difference | None] = {}
        self.reasons: dict[int, str] = {}
        self.complete = False
        self._by_tensor = {point.tensor: point for point in self.points}
        self._probe, self._ids, self._limit, self._say = probe, tuple(ids), limit, say

    def model(self, point: Point) -> Model:
        """Return the model cut at a point; see `truncate.cut`."""
        return cut(self._probe.plan.model, point, self._probe.folder / "cut")

    def reference(self, model: Model) -> npt.NDArray[Any]:
        """Return what the host gives for the samples: [n, elements]."""
        return host_scores(self._probe, model, self._ids)

    def run(self) -> Point:
        """Return the operator's output; of a search that is not `complete`, the first that is known to differ."""
        target = self.points[-1]
        assumed: set[int] = set()
        while True:
            known = self.reasons.keys() | assumed | self._same()
            left = [point for point in self._before(target) if point.tensor not in known]
            # At the end: those that were only taken to be the same because a later one is.
            unsure = [self._by_tensor[t] for t in target.sources if t in assumed and t not in self.found]
            if not (left or unsure):
                self.complete = True
                return target
            if not self._limit.allows():
                return target
            point = left[len(left) // 2] if left else unsure[0]
            before = {earlier.tensor for earlier in self._before(point)}
            differs = self._differs(point)
            if differs:
                target = point
                assumed -= set() if left else before
            elif differs is False:
                assumed |= before

    def _same(self) -> set[int]:
        """Return the tensors that were compared and do not differ."""
        return {tensor for tensor, seen in self.found.items() if seen is not None and not seen.elements.any()}

    def unseen(self, point: Point) -> list[Point]:
        """Return the operators right before a point that the board could not be asked for, in order of execution."""
        found: dict[int, Point] = {}
        waiting = list(point.sources)
        while waiting:
            tensor = waiting.pop()
            if tensor in self.reasons and tensor not in found:
                found[tensor] = self._by_tensor[tensor]
                waiting += found[tensor].sources
        return sorted(found.values(), key=lambda p: p.operator)

    def _before(self, point: Point) -> list[Point]:
        """Return the points that a point depends on, in order of execution."""
        seen: set[int] = set()
        waiting: Iterable[int] = point.sources
        while waiting:
            new = [tensor for tensor in waiting if tensor not in seen and tensor in self._by_tensor]
            seen.update(new)
            waiting = [source for tensor in new for source in self._by_tensor[tensor].sources]
        return [p for p in self.points if p.tensor in seen]

    def _differs(self, point: Point) -> bool | None:
        """Compare one tensor; None if the board cannot be asked for it."""
        if point.tensor not in self.found and point.tensor not in self.reasons:
            try:
                model = self.model(point)
                self._probe.check(model)
                board = self._probe.answers(model, self._ids)
                self.found[point.tensor] = Difference(
                    board=board.scores, reference=self.reference(model), tensor=model.output
                )
            except (ModelError, BuildError, BoardError) as error:
                # E.g. a shape that no board can give, an output larger than its frames, an engine that refuses.
                self.reasons[point.tensor] = str(error).splitlines()[0]
                self.found[point.tensor] = None
                self._say(f"operator {point.operator} {point.kind}: cannot be looked at: {self.reasons[point.tensor]}")
                return None
            difference = self.found[point.tensor]
            assert difference is not None  # noqa: S101 - just made
            self._say(f"operator {point.operator} {point.kind}: {described(difference)}")
        difference = self.found.get(point.tensor)
        return None if difference is None else bool(difference.elements.any())


def host_scores(probe: Probe, model: Model, ids: Sequence[int]) -> npt.NDArray[Any]:
    """Return what the plan's reference gives for samples with any model: the output's dtype, [n, elements]."""
    reference = get_reference(probe.plan.reference.name, jobs=1)
    try:
        return reference.scores(model, SampleEncoder(model, probe.plan.dataset).tensors(list(ids)))
    finally:
        reference.close()


def described(difference: Difference) -> str:
    """Say in a few words how far two tensors are apart."""
    elements = difference.elements
    if not elements.any():
        return "the same"
    size = f"{difference.max_lsb} LSB" if difference.max_lsb is not None else f"{difference.max_abs:.3g}"
    return f"up to {size} off in {int(elements.sum()):,} of {elements.size:,} values"
