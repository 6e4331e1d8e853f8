"""Answers that are labels only, as output tensors: so that a journal and a comparison take them like any others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import TensorSpec


def label_outputs(label: int, output: TensorSpec) -> npt.NDArray[Any]:
    """Return outputs that say nothing but the label: the largest value for it, the smallest for others.

    Args:
        label: 0-based class; of a single output, whether it is class 1.
        output: the model's output tensor.

    Returns:
        The tensor's dtype, little-endian, [elements].

    Raises:
        ValueError: there is no such class.
    """
    classes = max(output.elements, 2)
    if not 0 <= label < classes:
        msg = f"expected a label from 0 to {classes - 1}"
        raise ValueError(msg)
    dtype = np.dtype(output.dtype).newbyteorder("<")
    low, high = (0, 1) if output.dtype == "float32" else (np.iinfo(output.dtype).min, np.iinfo(output.dtype).max)
    row = np.full(output.elements, low, dtype=dtype)
    if output.elements > 1:
        row[label] = high
    elif label:
        row[0] = high
    return row
