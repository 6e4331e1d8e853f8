"""What a run looks like to a client of the image server."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pytest_tinyml.records import Dataset, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRun:
    """What ``GET /v1/run`` and ``GET /image`` need.

    Attributes:
        model: what is executed.
        dataset: where the images are.
        samples: how many of them, from the first.
    """

    model: Model
    dataset: Dataset
    samples: int

    def image(self, sample: int) -> bytes:
        """Return one sample as in the data set: uint8 row-major pixels, or little-endian float32 where it has those."""
        row = self.dataset.images[sample]
        little: bytes = row.astype(row.dtype.newbyteorder("<"), copy=False).tobytes()
        return little

    def _shape(self) -> tuple[int, ...]:
        shape = self.dataset.images.shape[1:]
        return shape if len(shape) > 2 else (*shape, 1)  # noqa: PLR2004 - height and width

    def describe(self) -> dict[str, Any]:
        """Return the part of ``GET /v1/run`` that depends on the run."""
        # Flat samples are images one pixel high; grey ones have one channel.
        *head, width, channels = self._shape()
        height = prod(head)
        dtype = np.dtype(self.dataset.images.dtype)
        output = self.model.output
        return {
            "model": {"name": self.model.name, "sha256": self.model.sha256},
            "samples": self.samples,
            "image": {
                "height": height,
                "width": width,
                "channels": channels,
                "dtype": dtype.name,
                "bytes": height * width * channels * dtype.itemsize,
            },
            "scores": {"count": output.elements, "dtype": output.dtype, "bytes": output.nbytes},
        }
