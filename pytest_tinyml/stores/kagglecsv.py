"""Kaggle's CSV files of digits: ``label,pixel0,...,pixel783`` (train.csv), or without the label (test.csv).

They are read as they were downloaded: plain, ``.gz``, or in a ``.zip``.
"""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.errors import DatasetError
from pytest_tinyml.stores.samples import (
    MNIST_CLASSES,
    PIXEL_MAX,
    check_file_sum,
    class_names_beside,
    make_dataset,
    square_side,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.records import Dataset

LABEL: Final = "label"
ENDINGS: Final = (".csv", ".gz", ".zip")


def csv_name(path: Path) -> str:
    """Return the name of a data set in a file: without its endings."""
    return path.name.removesuffix(".gz").removesuffix(".zip").removesuffix(".csv")


def load_csv(path: Path, name: str, *, member: str = "") -> Dataset:
    """Load a CSV file with a header line and one image per line, pixels row-major.

    Args:
        path: first column ``label`` or none; then ``pixel0``, ``pixel1``, ... of a square image.
        name: the data set's name.
        member: which file of a .zip with several.

    Raises:
        DatasetError: the header or a line is malformed; the message names the line (1-based, the header is line 1).
    """
    check_file_sum(path)
    try:
        with _opened(path, member) as file:
            header = [cell.strip().strip('"') for cell in file.readline().split(",")]
            labelled = header[0] == LABEL
            pixels = header[1:] if labelled else header
            if not pixels or pixels != [f"pixel{index}" for index in range(len(pixels))]:
                raise DatasetError(
                    path,
                    "line 1 is not the header of Kaggle's digits",
                    expected="label,pixel0,... or pixel0,...",
                    got=",".join(header[:3])[:60],
                    offset=0,
                )
            side = square_side(path, len(pixels))
            table = _read_table(path, member, file, len(header))
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # An encrypted member is a RuntimeError, one of an unknown method a NotImplementedError.
        raise DatasetError(path, f"cannot be unpacked: {error}") from error
    except OSError as error:
        raise DatasetError(path, f"cannot be read: {error.strerror}") from error
    if len(table) == 0:
        raise DatasetError(path, "no samples", expected="at least 1 line after the header", got=0)
    names = class_names_beside(path.parent)
    labels = None
    if labelled:
        classes = len(names) or MNIST_CLASSES
        labels = table[:, 0].astype(np.int64)
        bad = np.flatnonzero(labels >= classes)
        if bad.size:
            line = int(bad[0]) + 2
            raise DatasetError(
                path, f"line {line}: label is out of range", expected=f"0 .. {classes - 1}", got=int(labels[bad[0]])
            )
    images = np.ascontiguousarray(table[:, 1:] if labelled else table).reshape(-1, side, side)
    return make_dataset(name, images, labels, source=path, class_names=names)


@contextmanager
def _opened(path: Path, member: str) -> Iterator[io.TextIOWrapper]:
    """Open the text in a file, unpacked as it is read."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="ascii", errors="replace") as file:
            yield file
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".csv")]
            if len(names) > 1:
                names = [name for name in names if name.rpartition("/")[2] == member]
            if len(names) != 1:
                raise DatasetError(
                    path, "no CSV file to be read", expected=member, got=", ".join(archive.namelist()[:8]) or "nothing"
                )
            with archive.open(names[0]) as raw, io.TextIOWrapper(raw, encoding="ascii", errors="replace") as file:
                yield file
    else:
        with path.open(encoding="ascii", errors="replace") as file:
            yield file


def _read_table(path: Path, member: str, file: Iterable[str], columns: int) -> npt.NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            # numpy 1 only warns when it takes "1.5" for an integer, and when there is no line.
            warnings.simplefilter("error", DeprecationWarning)
            warnings.simplefilter("ignore", UserWarning)
            table = np.loadtxt(file, dtype=np.uint8, delimiter=",", comments=None, ndmin=2)
    except (ValueError, DeprecationWarning, OverflowError) as error:
        _explain(path, member, columns)
        raise DatasetError(path, f"is not a table of numbers: {error}") from error
    if table.size and table.shape[1] != columns:
        _explain(path, member, columns)
        raise DatasetError(path, "wrong number of columns", expected=columns, got=table.shape[1])
    return table


def _explain(path: Path, member: str, columns: int) -> None:
    """Find the first malformed line and raise the error that names it; numpy's own does not know the file's lines."""
    with _opened(path, member) as file:
        for number, line in enumerate(file, start=1):
            cells = line.rstrip("\r\n").split(",")
            if number == 1 or cells == [""]:
                continue
            if len(cells) != columns:
                raise DatasetError(path, f"line {number}: wrong number of columns", expected=columns, got=len(cells))
            for column, cell in enumerate(cells):
                text = cell.strip()
                if not (text.isascii() and text.isdigit() and int(text) <= PIXEL_MAX):
                    raise DatasetError(
                        path,
                        f"line {number}, column {column + 1}: not a pixel or label",
                        expected=f"an integer 0 .. {PIXEL_MAX}",
                        got=repr(cell),
                    )
