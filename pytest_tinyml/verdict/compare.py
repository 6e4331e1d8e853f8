"""Compare a board's outputs with a reference's, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.verdict.metrics import Distance, confusion, dequantize, distance

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import TensorSpec


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
    """

    count: int
    differing: int
    differing_elements: int
    bit_exact_ratio: float
    within_1_lsb_ratio: float | None
    max_lsb: int | None
    max_abs: float
    argmax_agreement: float
    flips: tuple[Flip, ...]
    top1_board: float | None
    top1_reference: float | None
    correct_board: int | None
    correct_reference: int | None
    distance: Distance
    confusion_board: npt.NDArray[np.int64] | None
    confusion_reference: npt.NDArray[np.int64] | None


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
    labels: npt.NDArray[np.int64] | None,
    ids: npt.NDArray[np.int64],
    tensor: TensorSpec,
) -> Comparison:
    """Compare two sets of outputs.

    Args:
        board: [N, C] of the output's dtype.
        reference: the same for the host.
        labels: int64 [N], or None.
        ids: int64 [N], the samples' ids.
        tensor: the model's output.

    Raises:
        ValueError: the arrays do not belong together, or are empty.
    """
    if board.shape != reference.shape or board.dtype != reference.dtype or not len(board) == len(ids) > 0:
        msg = (
            f"cannot compare {board.dtype}{board.shape} with {reference.dtype}{reference.shape} for {len(ids)} samples"
        )
        raise ValueError(msg)
    differing = differing_samples(board, reference)
    class_board, class_reference = predictions(board, tensor), predictions(reference, tensor)
    flipped = class_board != class_reference
    quantised = tensor.dtype != "float32"
    steps = np.abs(board.astype(np.int64) - reference.astype(np.int64)) if quantised else None
    real_board, real_reference = dequantize(board, tensor), dequantize(reference, tensor)
    count = len(board)
    classes = max(tensor.elements, 2)
    return Comparison(
        count=count,
        differing=int(differing.sum()),
        differing_elements=int((board != reference).sum()),
        bit_exact_ratio=1.0 - float(differing.sum()) / count,
        within_1_lsb_ratio=None if steps is None else float((steps.reshape(count, -1).max(axis=1) <= 1).mean()),
        max_lsb=None if steps is None else int(steps.max()),
        max_abs=float(np.abs(real_board - real_reference).max()),
        argmax_agreement=1.0 - float(flipped.sum()) / count,
        flips=tuple(
            Flip(
                id=int(ids[k]),
                reference=int(class_reference[k]),
                board=int(class_board[k]),
                label=None if labels is None else int(labels[k]),
            )
            for k in np.flatnonzero(flipped)
        ),
        top1_board=None if labels is None else float((class_board == labels).mean()),
        top1_reference=None if labels is None else float((class_reference == labels).mean()),
        correct_board=None if labels is None else int((class_board == labels).sum()),
        correct_reference=None if labels is None else int((class_reference == labels).sum()),
        distance=distance(real_board, real_reference),
        confusion_board=None if labels is None else confusion(labels, class_board, classes),
        confusion_reference=None if labels is None else confusion(labels, class_reference, classes),
    )


def describe_difference(comparison: Comparison, reference: str, *, labels_only: bool = False) -> str:
    """Say in one line how a run differs from its reference, e.g. for a failing assertion."""
    total = f"{comparison.count:,}"
    if labels_only:
        return f"{_flips(comparison)} among {total} samples, against {reference}; scores were not compared"
    if not comparison.differing:
        return f"{total} of {total} samples are bit-exact with {reference}"
    size = f"max {comparison.max_lsb} LSB" if comparison.max_lsb is not None else f"max {comparison.max_abs:.3g}"
    return f"{comparison.differing:,} of {total} samples differ from {reference} ({size}, {_flips(comparison)})"


def _flips(comparison: Comparison) -> str:
    flips = len(comparison.flips)
    shown = ", ".join(f"#{flip.id} host {flip.reference}, board {flip.board}" for flip in comparison.flips[:3])
    more = f", and {flips - 3} more" if flips > 3 else ""  # noqa: PLR2004 - three examples fit on a line
    return f"{flips} label flip{'' if flips == 1 else 's'}" + (f": {shown}{more}" if flips else "")
