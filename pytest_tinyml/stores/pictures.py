"""One photograph as a sample: the largest centred part of the wanted proportions, scaled to the wanted size.

The rule, in this order: the first frame; turned as EXIF says; transparent parts become white; RGB, or for grey the luma
of ITU-R BT.601 (Pillow's mode ``L``); the largest centred rectangle of the target's proportions, in whole pixels and if
need be one nearer to the upper left; Pillow's bilinear filter, which when it shrinks averages over all that an output
pixel covers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

ENDINGS: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
GREY, RGB = 1, 3
_EIGHT_BITS: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "La", "CMYK", "YCbCr", "HSV", "LAB"})
"""Pillow's modes with at most 8 bits a channel; it would clip the others."""


def pillow() -> Any:  # noqa: ANN401 - a module
    """Import Pillow with its parts ``Image`` and ``ImageOps``."""
    import PIL  # noqa: PLC0415 - only pictures need it
    from PIL import Image, ImageOps  # noqa: F401, PLC0415

    return PIL


def _load(path: Path) -> Any:  # noqa: ANN401 - PIL.Image.Image
    image_module = pillow().Image
    try:
        with image_module.open(path) as opened:
            _refuse_bomb(opened)
            opened.load()
            turned = pillow().ImageOps.exif_transpose(opened)
    except (
        *(OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, MemoryError, OverflowError),
        *(image_module.DecompressionBombError, image_module.DecompressionBombWarning),
    ) as error:
        # Pillow's decoders raise whatever a damaged file leads them to; UnidentifiedImageError is an OSError.
        reason = str(error).replace(f" {str(path)!r}", "")
        raise DatasetError(path, f"is not a picture that can be read: {reason}") from error
    if turned.mode not in _EIGHT_BITS:
        raise DatasetError(path, "unsuitable pixels", expected="at most 8 bits a channel", got=f"mode {turned.mode}")
    return turned


def _refuse_bomb(picture: Any) -> None:  # noqa: ANN401 - PIL.Image.Image
    """Refuse a file that says it has hundreds of megapixels, where Pillow, up to twice its limit, only warns.

    Not by making that warning an error: filters of warnings are the whole process's, and pictures are read in threads.
    """
    limit, pixels = pillow().Image.MAX_IMAGE_PIXELS, picture.width * picture.height
    if limit is not None and pixels > limit:
        msg = f"it has {pixels:,} pixels, more than Pillow's limit of {limit:,}: a decompression bomb?"
        raise ValueError(msg)


def _opaque(picture: Any) -> Any:  # noqa: ANN401 - PIL.Image.Image
    if not picture.has_transparency_data:
        return picture
    colours = picture.convert("RGBA")
    white = pillow().Image.new("RGBA", colours.size, "white")
    return pillow().Image.alpha_composite(white, colours)


def picture_size(path: Path) -> tuple[int, int, int]:
    """Return height, width and channels of a picture as it is: 1 channel if it is grey, else 3.

    Raises:
        DatasetError: it cannot be read.
    """
    picture = _load(path)
    return picture.height, picture.width, GREY if picture.mode in {"1", "L", "LA"} else RGB


def read_picture(path: Path, height: int, width: int, channels: int) -> npt.NDArray[np.uint8]:
    """Read a photograph by the module's rule.

    Args:
        path: a .jpg, .png or .bmp.
        height: of the sample, in pixels.
        width: likewise.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        uint8 [height, width] or [height, width, 3], 0 black .. 255 white.

    Raises:
        DatasetError: it cannot be read.
    """
    picture = _opaque(_load(path)).convert("L" if channels == GREY else "RGB")
    scale = min(picture.width / width, picture.height / height)
    part = (max(1, round(scale * width)), max(1, round(scale * height)))
    left, top = (picture.width - part[0]) // 2, (picture.height - part[1]) // 2
    # In two steps: the filter shall not reach into what is cut off.
    middle = picture.crop((left, top, left + part[0], top + part[1]))
    return np.asarray(middle.resize((width, height), pillow().Image.Resampling.BILINEAR), dtype=np.uint8)
