"""What kind of error the first diverging operator makes: by the pattern of its output, and by experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.campaign.causes import Difference, is_rounding, is_saturation, other_order
from pytest_tinyml.campaign.constants import MAX_CHANNELS, MIN_VALUES, constants_of, fitter
from pytest_tinyml.campaign.culprit import host_scores
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.engines.truncate import changed
from pytest_tinyml.errors import BoardError, BuildError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from pytest_tinyml.campaign.causes import Cause
    from pytest_tinyml.campaign.constants import Constants, Fitter, Guess
    from pytest_tinyml.campaign.culprit import Search
    from pytest_tinyml.campaign.probe import Probe, TimeLimit
    from pytest_tinyml.engines.truncate import Point
    from pytest_tinyml.records import Model


class Classifier:
    """See the module.

    Args:
        probe: asks boards.
        search: that found the operator.
        ids: samples.
        limit: says whether there is time for another experiment.
        say: told of every step.
    """

    def __init__(
        self, probe: Probe, search: Search, ids: Sequence[int], limit: TimeLimit, say: Callable[[str], None]
    ) -> None:
        """Ask nothing yet."""
        self._probe, self._search, self._ids = probe, search, tuple(ids)
        self._limit, self._say = limit, say

    def classify(self, point: Point, model: Model, difference: Difference, flips: int) -> tuple[Cause, str]:
        """Return a cause and why it is that.

        Args:
            point: the operator's output.
            model: ends with it.
            difference: of it.
            flips: labels that changed in the run.
        """
        if is_rounding(difference, flips):
            return "rounding", "no label changes"
        order = other_order(difference)
        if order is not None:
            moved = ", ".join(f"{board} holds {host}'s" for board, host in list(order.items())[:MAX_CHANNELS])
            return "order", f"the values are the host's in another order: {moved}"
        constants = constants_of(model)
        guesses = self._wrong_constants(point, model, difference)
        if guesses:
            return "weights", "; ".join(self._told(guess, constants) for guess in guesses)
        low, high = constants.low, constants.high
        if is_saturation(difference, low, high):
            return "saturation", f"all differences are where a value is limited (the range is {low} to {high})"
        return self._by_other_constants(point, model, constants)

    def _told(self, guess: Guess, constants: Constants) -> str:
        what = "bias" if guess.tensor == constants.bias_tensor else "weight"
        return f"exactly this comes of {what} {list(guess.index)} being {guess.value} in place of {guess.file_value}"

    def _wrong_constants(self, point: Point, model: Model, difference: Difference) -> list[Guess]:
        """Return the constants, one per wrong channel, with which the host gives exactly what the board gives."""
        inputs = self._inputs(point)
        fits = None if inputs is None or difference.tensor.dtype != "int8" else fitter(model, inputs)
        if fits is None:
            return []
        channels = difference.tensor.shape[-1]
        board, host = (each.reshape(-1, channels).astype(np.int64) for each in (difference.board, difference.reference))
        counts = (board != host).sum(axis=0)
        wrong = [int(k) for k in np.flatnonzero(counts)]
        # Any error of one or two values could be put down to some constant.
        if len(wrong) > MAX_CHANNELS or counts[wrong].min() < MIN_VALUES:
            return []
        guesses = [self._fitting(fits, channel, board, host) for channel in wrong]
        good = [guess for guess in guesses if guess is not None]
        self._say(f"single constants that explain {len(wrong)} wrong channels: {len(good)} found")
        return good if len(good) == len(wrong) else []

    def _fitting(
        self, fits: Fitter, channel: int, board: npt.NDArray[np.int64], host: npt.NDArray[np.int64]
    ) -> Guess | None:
        """Return the constant that makes the host give the board's values in one channel, computed by the reference."""
        model, constants = fits.model, fits.constants
        for guess in fits.guesses(channel, board[:, channel], host[:, channel]):
            values = constants.bias if guess.tensor == constants.bias_tensor else constants.weights
            assert values is not None  # noqa: S101 - it is one of them
            other = values.copy()
            other[guess.index] = guess.value
            tried = changed(model, {guess.tensor: other}, f"{model.name}-guess", self._probe.folder / "cut")
            scores = host_scores(self._probe, tried, self._ids).reshape(board.shape)
            if np.array_equal(scores[:, channel], board[:, channel]):
                return guess
        return None

    def _inputs(self, point: Point) -> npt.NDArray[Any] | None:
        """Return what the operator reads, as the host has it: [n, elements]; None for several tensors."""
        if len(point.sources) > 1:
            return None
        if not point.sources:
            model = self._probe.plan.model
            tensors = SampleEncoder(model, self._probe.plan.dataset).tensors(list(self._ids))
            return np.asarray(tensors.reshape(len(self._ids), -1))
        seen = self._search.found.get(point.sources[0])
        if seen is not None:
            return seen.reference
        source = next(each for each in self._search.points if each.tensor == point.sources[0])
        try:
            return host_scores(self._probe, self._search.model(source), self._ids)
        except ModelError:
            return None

    def _by_other_constants(self, point: Point, model: Model, constants: Constants) -> tuple[Cause, str]:
        """Give the operator other constants: a board that is right then had wrong ones before."""
        if constants.weights is None:
            return "kernel", f"{point.kind} has no constants, and its inputs are the same"
        others = constants.others()
        if not others or not self._limit.allows():
            return "operator", "there was no time to try it with other constants"
        other = changed(model, others, f"{model.name}-others", self._probe.folder / "cut")
        try:
            self._probe.check(other)
            board = self._probe.answers(other, self._ids)
        except (ModelError, BuildError, BoardError) as error:
            return "operator", f"it could not be tried with other constants: {str(error).splitlines()[0]}"
        difference = Difference(
            board=board.scores, reference=host_scores(self._probe, other, self._ids), tensor=model.output
        )
        differs = bool(difference.elements.any())
        self._say(f"operator {point.operator} with other constants: {'differs' if differs else 'the same'}")
        if differs:
            return "kernel", "the same inputs and constants give something else, and so do other constants"
        return "weights", "with other constants the operator is right: those on the board are not those of the file"
