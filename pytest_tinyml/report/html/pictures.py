"""Arrays as PNG inside the page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tinyml.report.html.matrices import Cell

_RED, _GREEN, _BLUE, _ORANGE = (205, 43, 49), (24, 132, 82), (37, 99, 235), (224, 90, 10)
_COLOURS: Final = {"right": _BLUE, "wrong": _ORANGE, "better": _GREEN, "worse": _RED}
_LARGEST: Final = 320
"""Pixels: larger pictures are made smaller, the report is not an archive of photographs."""


def data_uri(pixels: Any) -> str:  # noqa: ANN401 - an array
    """Return an image as the address that holds it.

    Args:
        pixels: uint8 [H, W] or [H, W, 1] grey, [H, W, 3] RGB, [H, W, 4] RGBA, 0 black .. 255 white; of other shapes
            the first of the last axis is shown in grey.
    """
    from PIL import Image  # noqa: PLC0415 - only pictures need it

    if pixels.ndim == 1:
        pixels = pixels.reshape(1, -1)
    while pixels.ndim > 3 or (pixels.ndim == 3 and pixels.shape[2] not in {3, 4}):  # noqa: PLR2004 - colours
        pixels = pixels[..., 0]
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if max(picture.size) > _LARGEST:
        picture.thumbnail((_LARGEST, _LARGEST))
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def matrix_uri(rows: Sequence[Sequence[Cell]]) -> str:
    """Return a matrix as a picture, one pixel per cell, transparent where there is nothing."""
    pixels = [[(*_COLOURS[cell.kind], round(255 * min(cell.heat, 1.0))) for cell in row] for row in rows]
    return data_uri(np.array(pixels, dtype=np.uint8))
