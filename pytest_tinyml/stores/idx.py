"""IDX files, as MNIST and Fashion-MNIST are published, plain or gzipped.

Format: two zero bytes, a type code (0x08 is unsigned byte), the rank, then the dimensions as big-endian u32 and the
elements, row-major (Y. LeCun, C. Cortes, "The MNIST database of handwritten digits", section "File formats").
"""

from __future__ import annotations

import gzip
import zlib
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.errors import DatasetError
from pytest_tinyml.stores.samples import (
    MNIST_CLASSES,
    check_file_sum,
    check_images,
    check_labels,
    class_names_beside,
    make_dataset,
)

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.records import Dataset

UNSIGNED_BYTE: Final = 0x08
GZIP_MAGIC: Final = b"\x1f\x8b"
PREFIX: Final = {"train": "train", "test": "t10k"}
IMAGE_RANKS: Final = (3, 4)
LABEL_RANKS: Final = (1,)


def read_idx(path: Path, ranks: tuple[int, ...]) -> tuple[npt.NDArray[np.uint8], int]:
    """Read an IDX file of unsigned bytes.

    Args:
        path: plain or gzipped; told apart by content, not by name.
        ranks: the ranks that are accepted.

    Returns:
        The array, and the offset of its first element in the (unpacked) file.

    Raises:
        DatasetError: wrong magic, truncated, bytes left over, damaged gzip, or the checksum beside it differs.
    """
    check_file_sum(path)
    data = _read(path)
    expected = " or ".join(f"0x{UNSIGNED_BYTE << 8 | rank:08x}" for rank in ranks)
    magic = int.from_bytes(data[:4], "big")
    if len(data) < 4 or magic not in {UNSIGNED_BYTE << 8 | rank for rank in ranks}:  # noqa: PLR2004 - bytes of the magic
        raise DatasetError(path, "wrong magic number", expected=expected, got=f"0x{data[:4].hex()}", offset=0)
    rank = magic & 0xFF
    header = 4 + 4 * rank
    if len(data) < header:
        raise DatasetError(
            path, "truncated header", expected=f"{header} bytes", got=f"{len(data)} bytes", offset=len(data)
        )
    shape = tuple(int(size) for size in np.frombuffer(data, dtype=">u4", count=rank, offset=4))
    size = header + prod(shape)
    if len(data) != size:
        problem = "truncated" if len(data) < size else "bytes left over"
        raise DatasetError(
            path,
            f"{problem}: the header says {'x'.join(map(str, shape))}",
            expected=f"{size} bytes",
            got=f"{len(data)} bytes",
            offset=min(size, len(data)),
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape), header


def load_idx_folder(folder: Path, split: str, name: str) -> Dataset:
    """Load ``train`` or ``t10k`` images and labels from a folder with the standard file names.

    Args:
        folder: holds ``{train,t10k}-images-idx3-ubyte`` and ``...-labels-idx1-ubyte``, each plain or ``.gz``.
        split: ``train``, ``test`` (the files ``t10k``) or ``all`` (train, then t10k).
        name: the data set's name.

    Raises:
        DatasetError: a file is missing or not well formed.
    """
    names = class_names_beside(folder)
    parts = [_load_pair(folder, part, len(names) or MNIST_CLASSES) for part in parts_of(split)]
    shapes = {part[0].shape[1:] for part in parts}
    if len(shapes) > 1:
        first, second = (part[0].shape[1:] for part in parts)
        raise DatasetError(folder, "train and t10k images differ in shape", expected=first, got=second)
    images = np.concatenate([part[0] for part in parts]) if len(parts) > 1 else parts[0][0]
    labels = np.concatenate([part[1] for part in parts]) if len(parts) > 1 else parts[0][1]
    return make_dataset(name, images, labels, source=folder, class_names=names)


def has_idx(folder: Path) -> bool:
    """Say whether a folder holds at least one of the standard image files."""
    return any(_find(folder, prefix, "images") is not None for prefix in PREFIX.values())


def parts_of(split: str) -> tuple[str, ...]:
    """Return the published parts that make a split, in order."""
    return ("train", "test") if split == "all" else (split,)


def _load_pair(folder: Path, part: str, classes: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    files = []
    for kind in ("images", "labels"):
        path = _find(folder, PREFIX[part], kind)
        if path is None:
            raise DatasetError(folder, "file is missing", expected=f"{_file_name(PREFIX[part], kind)}[.gz]", got="none")
        files.append(path)
    images, _ = read_idx(files[0], IMAGE_RANKS)
    labels, offset = read_idx(files[1], LABEL_RANKS)
    checked = check_images(files[0], images)
    return checked.astype(np.uint8, copy=False), check_labels(
        files[1], labels, len(images), classes, first_offset=offset
    )


def _file_name(prefix: str, kind: str) -> str:
    return f"{prefix}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"


def _find(folder: Path, prefix: str, kind: str) -> Path | None:
    stem = _file_name(prefix, kind)
    # Some copies write a dot before "idx", as the files were called once unpacked from the original server.
    for name in (stem, f"{stem}.gz", stem.replace("-idx", ".idx"), f"{stem.replace('-idx', '.idx')}.gz"):
        if (folder / name).is_file():
            return folder / name
    return None


def _read(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DatasetError(path, f"cannot be read: {error.strerror}") from error
    if not raw.startswith(GZIP_MAGIC):
        return raw
    try:
        return gzip.decompress(raw)
    except EOFError as error:
        raise DatasetError(
            path, "truncated gzip file", expected="an end marker", got=f"{len(raw)} bytes", offset=len(raw)
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(path, f"damaged gzip file: {error}") from error
