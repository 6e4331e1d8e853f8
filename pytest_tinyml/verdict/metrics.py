"""How far two sets of outputs are apart, in the names that ST's tools use.

With reference outputs r and board outputs b as flat real vectors (dequantised), e = b - r and n elements:

    acc   share of samples whose arg-max equals the label (or the reference's, where there are no labels)
    rmse  sqrt(sum(e^2) / n)
    mae   sum(|e|) / n
    l2r   ||e|| / ||r||, the L2 relative error
    nse   1 - sum(e^2) / sum((r - mean(r))^2); J. E. Nash, J. V. Sutcliffe, J. Hydrology 10(3), 1970
    cos   b.r / (||b|| ||r||)

Names and definitions follow "Evaluation report and metrics" of the X-CUBE-AI / ST Edge AI documentation.

The same formulas, with a data set's targets t in the place of r, say how good a regression with outputs o is: rmse,
mae, max |o - t|, and the coefficient of determination r2 = 1 - sum((o - t)^2) / sum((t - mean(t))^2) with one mean per
output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """See the module; None where a metric is not defined (a constant or zero reference)."""

    rmse: float
    mae: float
    l2r: float | None
    nse: float | None
    cos: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How far a regression's outputs are from what they should be; see the module.

    Attributes:
        rmse: root mean square error.
        mae: mean absolute error.
        max_error: largest absolute error.
        r2: coefficient of determination, 1 is perfect; None where the targets do not vary.
    """

    rmse: float
    mae: float
    max_error: float
    r2: float | None


class _Sums:
    """Sums of one column or more, so that figures of many arrays are had without holding them all.

    Squares are summed about the first array's mean, which costs no digits where values are far from zero.
    """

    def __init__(self) -> None:
        self.count = 0
        self.middle: npt.NDArray[np.float64] | None = None
        self._sum: npt.NDArray[np.float64] | float = 0.0
        self._square: npt.NDArray[np.float64] | float = 0.0

    def add(self, values: npt.NDArray[np.float64]) -> None:
        if self.middle is None:
            self.middle = np.asarray(values.mean(axis=0))
        away = values - self.middle
        self.count += len(values)
        self._sum = self._sum + away.sum(axis=0)
        self._square = self._square + np.square(away).sum(axis=0)

    @property
    def spread(self) -> float:
        """The sum of squares about the mean of each column."""
        return float(np.sum(self._square - np.square(self._sum) / self.count))


class FitTally:
    """`Fit` of outputs that come in parts: float64 arrays [N, C], each with its targets."""

    def __init__(self) -> None:
        """Nothing was added yet."""
        self._targets = _Sums()
        self._elements, self._square, self._absolute, self._largest = 0, 0.0, 0.0, 0.0

    def add(self, outputs: npt.NDArray[np.float64], targets: npt.NDArray[np.float64]) -> None:
        """Add outputs and what they should be."""
        error = outputs - targets
        self._elements += error.size
        self._square += float(np.square(error).sum())
        self._absolute += float(np.abs(error).sum())
        self._largest = float(np.maximum(self._largest, np.abs(error).max()))
        self._targets.add(targets)

    def fit(self) -> Fit:
        """Return what was found; something must have been added."""
        spread = self._targets.spread
        return Fit(
            rmse=float(np.sqrt(self._square / self._elements)),
            mae=self._absolute / self._elements,
            max_error=self._largest,
            r2=1.0 - self._square / spread if spread else None,
        )


class DistanceTally:
    """`Distance` of outputs that come in parts: two float64 arrays of one shape each, of real values."""

    def __init__(self) -> None:
        """Nothing was added yet."""
        self._reference = _Sums()
        self._square, self._absolute, self._dot, self._board, self._norm = 0.0, 0.0, 0.0, 0.0, 0.0

    def add(self, board: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> None:
        """Add the board's outputs and the reference's."""
        error = board - reference
        self._square += float(np.square(error).sum())
        self._absolute += float(np.abs(error).sum())
        self._dot += float((board * reference).sum())
        self._board += float(np.square(board).sum())
        self._norm += float(np.square(reference).sum())
        self._reference.add(reference.reshape(-1))

    def distance(self) -> Distance:
        """Return what was found; something must have been added."""
        elements, spread = self._reference.count, self._reference.spread
        norm_board, norm_reference = float(np.sqrt(self._board)), float(np.sqrt(self._norm))
        return Distance(
            rmse=float(np.sqrt(self._square / elements)),
            mae=self._absolute / elements,
            l2r=float(np.sqrt(self._square)) / norm_reference if norm_reference else None,
            nse=1.0 - self._square / spread if spread else None,
            cos=self._dot / (norm_board * norm_reference) if norm_board and norm_reference else None,
        )


def dequantize(scores: npt.NDArray[Any], tensor: TensorSpec) -> npt.NDArray[np.float64]:
    """Return float64 of the same shape: scale * (q - zero_point), or the values themselves for float32."""
    if tensor.dtype == "float32":
        return scores.astype(np.float64)
    return (scores.astype(np.float64) - tensor.zero_point) * tensor.scale


def apart(board: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how far real values are apart: 0 where they are equal, also where both are infinite."""
    difference = np.zeros_like(board)
    np.subtract(board, reference, out=difference, where=board != reference)
    return np.abs(difference)


def confusion(labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    """Count pairs: int64 [classes, classes], row = label, column = prediction."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (labels, predicted), 1)
    return table
