"""Small data-set files in the formats that the loaders take."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

IMAGES: Final = np.random.default_rng(7).integers(0, 256, (12, 5, 5), dtype=np.uint8)
"""Twelve random images, 5 x 5."""
LABELS: Final = (np.arange(12) % 10).astype(np.uint8)
"""Twelve labels, of each class at least one."""


def idx(array: npt.NDArray[np.uint8]) -> bytes:
    """Return an IDX file of unsigned bytes."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(int(size).to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def write_idx_folder(folder: Path) -> Path:
    """Write IDX files: the first eight samples are train, the others t10k, whose files are gzipped."""
    (folder / "train-images-idx3-ubyte").write_bytes(idx(IMAGES[:8]))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:8]))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES[8:])))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS[8:])))
    return folder


def csv_text(images: npt.NDArray[Any], labels: npt.NDArray[Any] | None) -> str:
    """Return a CSV file in Kaggle's format; without labels if they are None."""
    flat = images.reshape(len(images), -1)
    names = [f"pixel{index}" for index in range(flat.shape[1])]
    rows = [",".join(["label", *names] if labels is not None else names)]
    for index, row in enumerate(flat):
        cells = [str(value) for value in row]
        rows.append(",".join(cells if labels is None else [str(labels[index]), *cells]))
    return "\n".join(rows) + "\n"
