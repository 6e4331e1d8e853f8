"""Compare a board's outputs with a reference's, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.verdict.metrics import Distance, DistanceTally, Fit, FitTally, apart, confusion, dequantize
from pytest_tinyml.verdict.moved import describe_moved, moved_classes

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Task, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A sample whose predicted class differs: its id, the two classes, and the label if there is one."""

    id: int
    reference: int
    board: int
    label: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is to be said about two sets of outputs.

    What is about classes is None, and there are no flips, if the model is a regression.

    Attributes:
        count: samples compared.
        differing: samples with at least one element different (bit-wise for float32).
        differing_elements: elements different.
        bit_exact_ratio: 1 - differing / count.
        within_1_lsb_ratio: share of samples with no element more than one step apart; None for float32.
        max_lsb: largest difference in steps; None for float32.
        max_abs: largest difference in real units.
        argmax_agreement: share of samples with equal arg-max.
        flips: every sample whose arg-max differs, by id.
        top1_board: share of samples whose arg-max is the label; None without labels.
        top1_reference: the same for the reference.
        correct_board: the count behind top1_board.
        correct_reference: the count behind top1_reference.
        distance: rmse, mae, l2r, nse, cos of the real values.
        confusion_board: int64 [C, C], row = label, column = prediction; None without labels.
        confusion_reference: the same for the reference.
        moved: classes that the board gives in the place of others, see `moved_classes`.
        fit_board: how far a regression on the board is from the targets; None for classes, or without targets.
        fit_reference: the same for the reference.
    """

    count: int
    differing: int
    differing_elements: int
    bit_exact_ratio: float
    within_1_lsb_ratio: float | None
    max_lsb: int | None
    max_abs: float
    argmax_agreement: float | None
    flips: tuple[Flip, ...]
    top1_board: float | None
    top1_reference: float | None
    correct_board: int | None
    correct_reference: int | None
    distance: Distance
    confusion_board: npt.NDArray[np.int64] | None
    confusion_reference: npt.NDArray[np.int64] | None
    moved: tuple[tuple[int, int], ...] = ()
    fit_board: Fit | None = None
    fit_reference: Fit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a board's outputs may be from the reference's; the default is not at all.

    Attributes:
        lsb: largest difference of a quantised output, in steps.
        absolute: largest difference of a float32 output.
        labels_only: the board gives labels, and scores that only say which; nothing but the labels is compared, and
            none may differ.
    """

    lsb: int = 0
    absolute: float = 0.0
    labels_only: bool = False

    def allows(self, comparison: Comparison) -> bool:
        """Return whether a comparison is within the tolerance; without one, the bytes have to be the same."""
        if self.labels_only:
            return not comparison.flips
        if comparison.max_lsb is not None:
            return comparison.max_lsb <= self.lsb
        return comparison.differing == 0 or comparison.max_abs <= self.absolute

    def describe(self, comparison: Comparison) -> str:
        """Say what would have been tolerated, in the unit of the comparison."""
        if self.labels_only:
            return "no other label"
        return f"{self.lsb} LSB" if comparison.max_lsb is not None else f"{self.absolute:g}"


def predictions(scores: npt.NDArray[Any], tensor: TensorSpec) -> npt.NDArray[np.int64]:
    """Return the predicted class of each sample, int64 [N]: the first of the largest outputs.

    A model with a single output gives the probability of class 1 (sigmoid).
    """
    if tensor.elements == 1:
        return (dequantize(scores.reshape(len(scores)), tensor) >= 0.5).astype(np.int64)  # noqa: PLR2004 - the middle
    return np.asarray(np.argmax(scores.reshape(len(scores), tensor.elements), axis=1), dtype=np.int64)


def differing_samples(board: npt.NDArray[Any], reference: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return bool [N]: the output's bytes differ (so that equal NaN patterns are equal)."""
    left = np.ascontiguousarray(board).reshape(len(board), -1).view(np.uint8)
    right = np.ascontiguousarray(reference).reshape(len(reference), -1).view(np.uint8)
    return np.asarray((left != right).any(axis=1))


def compare(
    board: npt.NDArray[Any],
    reference: npt.NDArray[Any],
    truth: npt.NDArray[Any] | None,
    ids: npt.NDArray[np.int64],
    tensor: TensorSpec,
    task: Task = "classification",
) -> Comparison:
    """Compare two sets of outputs.

    Args:
        board: [N, C] of the output's dtype.
        reference: the same for the host.
        truth: int64 [N], labels; of a regression float64 [N, C], targets; or None.
        ids: int64 [N], the samples' ids.
        tensor: the model's output.
        task: what the outputs mean.

    Raises:
        ValueError: the arrays do not belong together, or are empty.
    """
    if board.shape != reference.shape or board.dtype != reference.dtype or not len(board) == len(ids) > 0:
        msg = (
            f"cannot compare {board.dtype}{board.shape} with {reference.dtype}{reference.shape} for {len(ids)} samples"
        )
        raise ValueError(msg)
    tally = Tally(tensor, task)
    tally.add(board, reference, truth, ids)
    return tally.comparison()


class Tally:
    """A `Comparison` of outputs that come in parts, in the order of their ids; memory does not grow but by flips.

    Args:
        tensor: the model's output.
        task: what the outputs mean.
    """

    def __init__(self, tensor: TensorSpec, task: Task = "classification") -> None:
        """Nothing was added yet."""
        self.count = 0
        self._tensor, self._task = tensor, task
        self._quantised = tensor.dtype != "float32"
        self._differing, self._elements, self._within, self._lsb, self._abs = 0, 0, 0, 0, 0.0
        self._distance = DistanceTally()
        self._fits: tuple[FitTally, FitTally] | None = None
        self._flips: list[Flip] = []
        self._changes: npt.NDArray[np.int64] | None = None
        self._confusions: list[npt.NDArray[np.int64]] | None = None

    def add(
        self,
        board: npt.NDArray[Any],
        reference: npt.NDArray[Any],
        truth: npt.NDArray[Any] | None,
        ids: npt.NDArray[np.int64],
    ) -> None:
        """Add samples, at least one; the arrays are those of `compare`."""
        self.count += len(board)
        self._differing += int(differing_samples(board, reference).sum())
        self._elements += int((board != reference).sum())
        if self._quantised:
            steps = np.abs(board.astype(np.int64) - reference.astype(np.int64)).reshape(len(board), -1).max(axis=1)
            self._within += int((steps <= 1).sum())
            self._lsb = max(self._lsb, int(steps.max()))
        real_board, real_reference = dequantize(board, self._tensor), dequantize(reference, self._tensor)
        # Not max(): a NaN is the largest difference there is.
        self._abs = float(np.maximum(self._abs, apart(real_board, real_reference).max()))
        with np.errstate(invalid="ignore"):
            # Where outputs are infinite there is no mean distance.
            self._distance.add(real_board, real_reference)
        if self._task == "regression":
            self._add_values(real_board, real_reference, truth)
        else:
            self._add_classes(predictions(board, self._tensor), predictions(reference, self._tensor), truth, ids)

    def _add_values(
        self,
        board: npt.NDArray[np.float64],
        reference: npt.NDArray[np.float64],
        targets: npt.NDArray[np.float64] | None,
    ) -> None:
        if targets is not None:
            self._fits = self._fits or (FitTally(), FitTally())
            for one, outputs in zip(self._fits, (board, reference), strict=True):
                one.add(outputs.reshape(targets.shape), targets)

    def _add_classes(
        self,
        board: npt.NDArray[np.int64],
        reference: npt.NDArray[np.int64],
        labels: npt.NDArray[np.int64] | None,
        ids: npt.NDArray[np.int64],
    ) -> None:
        """Add predicted classes, int64 [N] each."""
        self._flips += [
            Flip(
                id=int(ids[k]),
                reference=int(reference[k]),
                board=int(board[k]),
                label=None if labels is None else int(labels[k]),
            )
            for k in np.flatnonzero(board != reference)
        ]
        classes = max(self._tensor.elements, 2)
        changes = confusion(reference, board, classes)
        self._changes = changes if self._changes is None else self._changes + changes
        if labels is not None:
            tables = [confusion(labels, one, classes) for one in (board, reference)]
            earlier = self._confusions or [np.zeros_like(table) for table in tables]
            self._confusions = [before + now for before, now in zip(earlier, tables, strict=True)]

    def comparison(self) -> Comparison:
        """Return what was found; something must have been added."""
        classes = self._task != "regression"
        correct = [None, None] if self._confusions is None else [int(np.trace(table)) for table in self._confusions]
        tables = [None, None] if self._confusions is None else self._confusions
        top1 = [None if right is None else right / self.count for right in correct]
        fits = [None, None] if self._fits is None else [one.fit() for one in self._fits]
        return Comparison(
            count=self.count,
            differing=self._differing,
            differing_elements=self._elements,
            bit_exact_ratio=1.0 - self._differing / self.count,
            within_1_lsb_ratio=self._within / self.count if self._quantised else None,
            max_lsb=self._lsb if self._quantised else None,
            max_abs=self._abs,
            argmax_agreement=1.0 - len(self._flips) / self.count if classes else None,
            flips=tuple(self._flips),
            top1_board=top1[0],
            top1_reference=top1[1],
            correct_board=correct[0],
            correct_reference=correct[1],
            distance=self._distance.distance(),
            confusion_board=tables[0],
            confusion_reference=tables[1],
            moved=() if self._changes is None else tuple(moved_classes(self._changes)),
            fit_board=fits[0],
            fit_reference=fits[1],
        )


def describe_difference(comparison: Comparison, reference: str, *, labels_only: bool = False) -> str:
    """Say in one line how a run differs from its reference, e.g. for a failing assertion."""
    total = f"{comparison.count:,}"
    moved = describe_moved(comparison.moved)
    places = f"; {moved}" if moved else ""
    if labels_only:
        flips = _flips(comparison)
        return f"{flips} among {total} samples, against {reference}; scores were not compared{places}"
    if not comparison.differing:
        return f"{total} of {total} samples are bit-exact with {reference}"
    size = f"max {comparison.max_lsb} LSB" if comparison.max_lsb is not None else f"max {comparison.max_abs:.3g}"
    flips = "" if comparison.argmax_agreement is None else f", {_flips(comparison)}"
    return f"{comparison.differing:,} of {total} samples differ from {reference} ({size}{flips}){places}"


def _flips(comparison: Comparison) -> str:
    flips = len(comparison.flips)
    shown = ", ".join(f"#{flip.id} host {flip.reference}, board {flip.board}" for flip in comparison.flips[:3])
    more = f", and {flips - 3} more" if flips > 3 else ""  # noqa: PLR2004 - three examples fit on a line
    return f"{flips} label flip{'' if flips == 1 else 's'}" + (f": {shown}{more}" if flips else "")
