"""Arrays become PNG inside the page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pytest_tinyml.report.html.matrices import matrices, written_out
from pytest_tinyml.report.html.page import environment
from pytest_tinyml.report.html.pictures import data_uri

GREY = np.arange(24, dtype=np.uint8).reshape(4, 6)
COLOUR = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)


def decoded(uri: str) -> Any:
    """Return the pixels behind an address."""
    head, _, data = uri.partition(",")
    assert "data:image/png;base64" == head
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (GREY, GREY),
        (GREY[..., None], GREY),
        (COLOUR, COLOUR),
        (COLOUR[..., :2], COLOUR[..., 0]),
        (GREY[:, ::-2], GREY[:, ::-2]),
        (GREY[0], GREY[:1]),
    ],
    ids=["grey", "one channel", "colour", "two channels", "not contiguous", "a row"],
)
def test_pixels(pixels: Any, expected: Any) -> None:
    """Every pixel is as it was."""
    assert expected.tolist() == decoded(data_uri(pixels)).tolist()


def test_large_ones_shrink() -> None:
    """A photograph is made smaller, in its proportions."""
    assert (160, 320, 3) == decoded(data_uri(np.zeros((800, 1600, 3), dtype=np.uint8))).shape


def test_many_classes_are_a_picture() -> None:
    """A matrix that nobody could read as numbers is one pixel per cell, with words for those who do not see it."""
    host = np.eye(40, dtype=int) * 10
    board = host.copy()
    board[3, 3], board[3, 5] = 9, 1
    assert not written_out(40)
    one = matrices(host.tolist(), board.tolist(), ("host", "board"))[2]
    text = '{% import "figures.html.j2" as draw %}{{ draw.matrix(one, names, false) }}'
    html = environment().from_string(text).render(one=one, names=list(range(40)))
    assert 'alt="Difference: 40 classes, one row per label, one column per class that was predicted"' in html
    found = decoded(html.partition('src="')[2].partition('"')[0])
    assert (40, 40, 4) == found.shape
    assert [[3, 3], [3, 5]] == np.argwhere(found[..., 3] > 0).tolist()
