"""What kind of error the outputs of one operator show; arrays in, names out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from pytest_tinyml.verdict.metrics import apart

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import TensorSpec

Cause: TypeAlias = Literal[
    "firmware",
    "input",
    "state",
    "nondeterminism",
    "operator",
    "rounding",
    "order",
    "saturation",
    "weights",
    "kernel",
]
MEANING: Final[dict[Cause, str]] = {
    "firmware": "the board runs another firmware or model than was asked for",
    "input": "the board feeds its engine with another input tensor than the host",
    "state": "what the board gives for a sample depends on the inferences before it",
    "nondeterminism": "the board does not give the same answers again",
    "operator": "an operator computes something else; what kind of error it is could not be decided",
    "rounding": "an operator rounds in another way: it is 1 step off, and no label changes",
    "order": "the values of an operator are right, but in another order",
    "saturation": "an operator differs only where values are at the limits of their range",
    "weights": "an operator computes with other constants than those in the model's file",
    "kernel": "an operator computes something else from the same inputs and constants",
}
FLOAT_ROUNDING: Final = 1e-5
"""Relative to the largest value: about a hundred roundings of binary32, as another order of additions gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One tensor as the board and the host have it.

    Attributes:
        board: of the tensor's dtype, [n, elements].
        reference: likewise.
        tensor: type, shape and quantisation.
    """

    board: npt.NDArray[Any]
    reference: npt.NDArray[Any]
    tensor: TensorSpec

    @property
    def elements(self) -> npt.NDArray[np.bool_]:
        """Which elements differ, bool [n, elements]; two NaN are the same."""
        both_nan = (self.board != self.board) & (self.reference != self.reference)
        return np.asarray((self.board != self.reference) & ~both_nan)

    @property
    def sizes(self) -> npt.NDArray[np.float64]:
        """Size of each difference in steps, or in the unit of float32; float64 [n, elements]."""
        sizes = apart(self.board.astype(np.float64), self.reference.astype(np.float64))
        return np.where(self.elements, np.nan_to_num(sizes, nan=np.inf, posinf=np.inf), 0.0)

    @property
    def max_lsb(self) -> int | None:
        """Largest difference in steps; None for float32."""
        return None if self.tensor.dtype == "float32" else int(self.sizes.max())

    @property
    def max_abs(self) -> float:
        """Largest difference in real units."""
        return float(self.sizes.max()) * (self.tensor.scale or 1.0)

    @property
    def worst(self) -> tuple[int, tuple[int, ...]]:
        """Row of the sample with the largest difference, and the element's index in the tensor's shape."""
        row, element = np.unravel_index(int(np.argmax(self.sizes)), self.sizes.shape)
        return int(row), tuple(int(k) for k in np.unravel_index(int(element), self.tensor.shape))


def is_rounding(difference: Difference, flips: int) -> bool:
    """Whether differences are those of another way to round: 1 step (float32: `FLOAT_ROUNDING`), and no label changes.

    Args:
        difference: of the operator's output.
        flips: labels that changed in the run.
    """
    if flips:
        return False
    if difference.max_lsb is not None:
        return difference.max_lsb <= 1
    largest = float(np.abs(np.nan_to_num(difference.reference)).max())
    return difference.max_abs <= FLOAT_ROUNDING * max(largest, 1e-30)


def is_saturation(difference: Difference, low: int, high: int) -> bool:
    """Whether values differ only because one side limits them, and the other does not, or elsewhere.

    Either the host has every differing value at a limit of its range (the board lets it pass, or wraps around), and
    every value of the host that is within the limits is right on the board; or the board has every one of them at
    one and the same value, beyond which it never goes and the host does.

    Args:
        difference: of the operator's output.
        low: smallest value that the operator gives, activation included.
        high: largest.
    """
    where = difference.elements
    if difference.tensor.dtype == "float32" or not where.any():
        return False
    host, board = difference.reference[where].astype(np.int64), difference.board[where].astype(np.int64)
    if np.isin(host, (low, high)).all():
        return True
    (limit, *others) = np.unique(board)
    if others:
        return False
    every = difference.board.astype(np.int64)
    above, below = (host > limit).all() and every.max() == limit, (host < limit).all() and every.min() == limit
    return bool(above or below)


def other_order(difference: Difference) -> dict[int, int] | None:
    """Return which of the host's elements stand where on the board, if the board has the same values in another order.

    Args:
        difference: of a tensor of few elements, as scores are.

    Returns:
        The host's element by the board's, of those that moved; None if that does not explain everything.
    """
    board, host = difference.board, difference.reference
    if not np.array_equal(np.sort(board, axis=1), np.sort(host, axis=1)):
        return None
    moved = [int(k) for k in np.flatnonzero((board != host).any(axis=0))]
    columns = {k: [j for j in moved if np.array_equal(board[:, k], host[:, j])] for k in moved}
    # Columns that are equal on the host for all samples do not tell which is which.
    if not moved or any(len(found) != 1 for found in columns.values()):
        return None
    return {k: found[0] for k, found in columns.items()}
