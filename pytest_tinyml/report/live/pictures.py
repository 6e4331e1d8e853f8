"""Samples as small pictures in the page's own data, so that it has nothing to ask for while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.report.html.pictures import data_uri

if TYPE_CHECKING:
    import numpy.typing as npt

SIDE: Final = 64
"""Pixels of the longer side at most; larger samples are thinned out."""
_CHANNELS: Final = frozenset({1, 3})


def picture(sample: npt.NDArray[Any]) -> str | None:
    """Return a sample as a PNG in a ``data:`` address.

    Args:
        sample: uint8 [H, W] or [H, W, C], 0 black .. 255 white; or floats, of which the least becomes black and the
            largest white.

    Returns:
        None if it is no picture.
    """
    shape = sample.shape
    flat = len(shape) == 2 or (len(shape) == 3 and shape[2] in _CHANNELS)  # noqa: PLR2004 - with or without colours
    if not flat or min(shape[:2]) < 2:  # noqa: PLR2004 - a row of numbers
        return None
    step = -(-max(shape[:2]) // SIDE)
    thin = sample[::step, ::step]
    if thin.dtype != np.uint8:
        known = thin[np.isfinite(thin)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        thin = np.nan_to_num(255.0 * (thin - low) / ((high - low) or 1.0), posinf=255.0, neginf=0.0)
        thin = thin.clip(0, 255).astype(np.uint8)
    return data_uri(thin)
