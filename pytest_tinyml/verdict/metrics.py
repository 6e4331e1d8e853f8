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


def fit(outputs: npt.NDArray[np.float64], targets: npt.NDArray[np.float64]) -> Fit:
    """Measure real outputs against targets: two float64 arrays [N, C]."""
    error = outputs - targets
    square_error = float(np.square(error).sum())
    spread = float(np.square(targets - targets.mean(axis=0)).sum())
    return Fit(
        rmse=float(np.sqrt(square_error / error.size)),
        mae=float(np.abs(error).mean()),
        max_error=float(np.abs(error).max()),
        r2=1.0 - square_error / spread if spread else None,
    )


def dequantize(scores: npt.NDArray[Any], tensor: TensorSpec) -> npt.NDArray[np.float64]:
    """Return float64 of the same shape: scale * (q - zero_point), or the values themselves for float32."""
    if tensor.dtype == "float32":
        return scores.astype(np.float64)
    return (scores.astype(np.float64) - tensor.zero_point) * tensor.scale


def distance(board: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> Distance:
    """Measure `board` against `reference`: two float64 arrays [N, C] of real values."""
    error = board - reference
    square_error = float(np.square(error).sum())
    norm_board, norm_reference = float(np.linalg.norm(board)), float(np.linalg.norm(reference))
    spread = float(np.square(reference - reference.mean()).sum())
    dot = float((board * reference).sum())
    return Distance(
        rmse=float(np.sqrt(square_error / error.size)),
        mae=float(np.abs(error).mean()),
        l2r=float(np.sqrt(square_error)) / norm_reference if norm_reference else None,
        nse=1.0 - square_error / spread if spread else None,
        cos=dot / (norm_board * norm_reference) if norm_board and norm_reference else None,
    )


def confusion(labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    """Count pairs: int64 [classes, classes], row = label, column = prediction."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (labels, predicted), 1)
    return table
