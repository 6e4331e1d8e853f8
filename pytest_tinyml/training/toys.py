"""Small labelled pictures that are made on the spot: what networks are tried on that have no data of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]
    Labels = npt.NDArray[np.int64]

_FONT: Final = (
    "111101101101111",
    "010110010010111",
    "111001111100111",
    "111001111001111",
    "101101111001001",
    "111100111001111",
    "111100111101111",
    "111001001001001",
    "111101111101111",
    "111101111001111",
)
"""Digits of 5 rows of 3 dots."""


def make(kind: str, count: int, shape: tuple[int, int, int], seed: int) -> tuple[Images, Labels]:
    """Make pictures with labels; the same arguments give the same ones.

    Args:
        kind: ``brighter`` (which half is brighter), ``lines`` (lying or standing), ``glyphs`` (digits of dots), or
            ``photographs`` (a disc or a square before a shaded background, in colour).
        count: how many.
        shape: channels, height and width.
        seed: of the random numbers.

    Returns:
        uint8 [count, H, W, C] and int64 [count].

    Raises:
        UnknownNameError: no such kind.
    """
    if kind not in _KINDS:
        raise UnknownNameError("kind of pictures", kind, _KINDS)
    random = np.random.Generator(np.random.PCG64(seed))
    channels, height, width = shape
    labels = random.integers(0, 10 if kind == "glyphs" else 2, count)
    values = _KINDS[kind](random, labels, height, width, channels)
    noise = random.normal(0.0, 12.0, values.shape)
    return np.clip(np.round(values + noise), 0, 255).astype(np.uint8), labels


def _brighter(
    random: np.random.Generator, labels: Labels, height: int, width: int, channels: int
) -> npt.NDArray[np.float64]:
    low = random.uniform(0.0, 150.0, len(labels))
    high = low + random.uniform(40.0, 105.0, len(labels))
    half = np.arange(width) >= width // 2
    bright = half[None, :] == (labels[:, None] == 1)
    values = np.where(bright, high[:, None], low[:, None])
    return np.broadcast_to(values[:, None, :, None], (len(labels), height, width, channels)).copy()


def _lines(
    random: np.random.Generator, labels: Labels, height: int, width: int, channels: int
) -> npt.NDArray[np.float64]:
    values = np.zeros((len(labels), height, width, channels))
    for image, label in zip(values, labels, strict=True):
        if label:
            image[:, int(random.integers(0, width))] = 220.0
        else:
            image[int(random.integers(0, height))] = 220.0
    return values


def _glyphs(
    random: np.random.Generator, labels: Labels, height: int, width: int, channels: int
) -> npt.NDArray[np.float64]:
    font = np.array([[int(dot) for dot in digit] for digit in _FONT], dtype=np.float64).reshape(10, 5, 3) * 230.0
    values = np.zeros((len(labels), height, width, channels))
    for image, label in zip(values, labels, strict=True):
        glyph = np.kron(font[label], np.ones((2, 3)))[:, :, None]
        top = int(random.integers(0, height - glyph.shape[0] + 1))
        left = int(random.integers(0, width - glyph.shape[1] + 1))
        image[top : top + glyph.shape[0], left : left + glyph.shape[1]] = glyph
    return values


def _photographs(
    random: np.random.Generator, labels: Labels, height: int, width: int, channels: int
) -> npt.NDArray[np.float64]:
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    values = np.zeros((len(labels), height, width, channels))
    for image, label in zip(values, labels, strict=True):
        slope = random.uniform(0.0, 30.0, (2, channels)) / height
        image[:] = random.uniform(20.0, 90.0, channels) + rows[..., None] * slope[0] + columns[..., None] * slope[1]
        radius = random.uniform(0.25, 0.4) * min(height, width)
        y, x = (random.uniform(radius, size - radius) for size in (height, width))
        far = np.maximum(abs(rows - y), abs(columns - x)) if label else np.hypot(rows - y, columns - x)
        image[far < radius] = random.uniform(180.0, 255.0, channels)
    return values


_KINDS: Final[Mapping[str, Callable[[np.random.Generator, Labels, int, int, int], npt.NDArray[np.float64]]]] = {
    "brighter": _brighter,
    "glyphs": _glyphs,
    "lines": _lines,
    "photographs": _photographs,
}
