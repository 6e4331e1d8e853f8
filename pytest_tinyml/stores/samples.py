"""Checks that every data-set loader shares, and the identity of a data set."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.errors import DatasetError
from pytest_tinyml.records import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

MNIST_CLASSES = 10
PIXEL_MAX = 255
CHECKSUMS = "SHA256SUMS"
CLASS_NAMES = "classes.txt"


def digest(
    images: npt.NDArray[Any], labels: npt.NDArray[Any] | None, targets: npt.NDArray[np.float64] | None = None
) -> str:
    """Return the identity of a data set: hex SHA-256.

    What is hashed: a line ``tinyml-dataset 1 DTYPE D0xD1x...`` in ASCII, the images' bytes in row-major little-endian
    order, then ``labels`` and the labels as little-endian int64, or ``unlabelled``; then, if there are any, ``targets``
    and the targets as little-endian float64.
    """
    shape = "x".join(str(size) for size in images.shape)
    state = hashlib.sha256(f"tinyml-dataset 1 {images.dtype.name} {shape}\n".encode("ascii"))
    state.update(np.ascontiguousarray(images, dtype=images.dtype.newbyteorder("<")).data)
    if labels is None:
        state.update(b"unlabelled")
    else:
        state.update(b"labels")
        state.update(np.ascontiguousarray(labels, dtype="<i8").data)
    if targets is not None:
        state.update(b"targets")
        state.update(np.ascontiguousarray(targets, dtype="<f8").data)
    return state.hexdigest()


def check_images(path: Path | str, images: npt.NDArray[Any]) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    """Return images as uint8 [N, H, W] or [N, H, W, C], or as float32 [N, ...].

    Integers are taken as pixels 0 .. 255; [N, side * side] becomes [N, side, side]. Floats are taken as preprocessed.

    Raises:
        DatasetError: no sample, another rank or dtype, a pixel out of range, or a value that is not finite.
    """
    if images.ndim == 0 or len(images) == 0 or images.size == 0:
        raise DatasetError(path, "no samples", expected="at least 1 image", got=f"shape {images.shape}")
    if images.dtype.kind == "f":
        if images.ndim == 1:
            raise DatasetError(path, "wrong shape of float images", expected="[N, ...]", got=f"shape {images.shape}")
        with np.errstate(over="ignore"):
            floats = np.ascontiguousarray(images, dtype=np.float32)
        finite = np.isfinite(floats)
        if not finite.all():
            at = np.argwhere(~finite)[0]
            raise DatasetError(
                path,
                f"value of sample {at[0]} at {tuple(at[1:].tolist())} is not finite",
                expected="finite float32 values",
                got=images[tuple(at)],
            )
        return floats
    if images.dtype.kind not in "iu":
        raise DatasetError(path, "wrong dtype of images", expected="uint8 or float32", got=images.dtype.name)
    if images.dtype != np.uint8 and (images.min() < 0 or images.max() > PIXEL_MAX):
        at = np.argwhere((images < 0) | (images > PIXEL_MAX))[0]
        raise DatasetError(
            path,
            f"pixel of sample {at[0]} at {tuple(at[1:].tolist())} is out of range",
            expected="0 .. 255",
            got=images[tuple(at)],
        )
    pixels = np.ascontiguousarray(images, dtype=np.uint8)
    if pixels.ndim == 2:  # noqa: PLR2004 - [N, pixels]
        side = square_side(path, pixels.shape[1])
        return pixels.reshape(-1, side, side)
    if pixels.ndim not in {3, 4}:
        raise DatasetError(path, "wrong shape of images", expected="[N, H, W] or [N, H, W, C]", got=pixels.shape)
    return pixels


def check_labels(
    path: Path | str, labels: npt.NDArray[Any], count: int, classes: int | None, *, first_offset: int | None = None
) -> npt.NDArray[np.int64]:
    """Return labels as int64 [N].

    Args:
        path: the file, for the message.
        labels: what was read.
        count: the number of images.
        classes: labels are 0 .. classes - 1; None if the number of classes is not known.
        first_offset: byte offset of label 0 in the file if labels are single bytes in it.

    Raises:
        DatasetError: other count, shape or dtype, or a label out of range.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DatasetError(
            path,
            "labels are not one class index per image",
            expected="integers [N]",
            got=f"{labels.dtype.name} {list(labels.shape)}",
        )
    if len(labels) != count:
        raise DatasetError(path, "images and labels differ in number", expected=f"{count} labels", got=len(labels))
    upper = np.iinfo(np.int64).max if classes is None else classes - 1
    bad = np.flatnonzero((labels < 0) | (labels > upper))
    if bad.size:
        first = int(bad[0])
        raise DatasetError(
            path,
            f"label of sample {first} is out of range",
            expected="0 or more" if classes is None else f"0 .. {classes - 1}",
            got=int(labels[first]),
            offset=None if first_offset is None else first_offset + first,
        )
    return labels.astype(np.int64)


def check_targets(path: Path | str, targets: npt.NDArray[Any], count: int) -> npt.NDArray[np.float64]:
    """Return what a regression should give as float64 [N, K]; [N] becomes [N, 1].

    Raises:
        DatasetError: other count, shape or dtype, or a value that is not finite.
    """
    if targets.ndim not in {1, 2} or targets.dtype.kind not in "iuf":
        got = f"{targets.dtype.name} {list(targets.shape)}"
        raise DatasetError(path, "targets are not numbers", expected="numbers [N] or [N, outputs]", got=got)
    if len(targets) != count:
        raise DatasetError(path, "images and targets differ in number", expected=f"{count} targets", got=len(targets))
    values: npt.NDArray[np.float64] = targets.astype(np.float64).reshape(count, -1)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        sample, output = bad[0].tolist()
        what = f"target {output} of sample {sample} is not finite"
        raise DatasetError(path, what, expected="finite numbers", got=values[sample, output])
    return values


def square_side(path: Path | str, pixels: int) -> int:
    """Return the side of a square image of that many pixels.

    Raises:
        DatasetError: the number is not a square.
    """
    side = int(np.sqrt(pixels))
    if side * side != pixels or pixels == 0:
        raise DatasetError(path, "images are not square", expected="a square number of pixels", got=pixels)
    return side


def check_file_sum(path: Path, *, expected: str | None = None) -> None:
    """Check a file against a digest, or against ``SHA256SUMS`` beside it if that exists and lists the file.

    Raises:
        DatasetError: the digests differ, or ``SHA256SUMS`` is malformed.
    """
    if expected is None:
        sums = path.parent / CHECKSUMS
        if not sums.is_file():
            return
        for number, line in enumerate(sums.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            hexdigest, _, name = line.strip().partition(" ")
            if line.strip() and (len(hexdigest) != hashlib.sha256().digest_size * 2 or not name.strip(" *")):
                raise DatasetError(sums, f"malformed line {number}", expected="DIGEST  FILE", got=repr(line))
            if name.strip(" *") == path.name:
                expected = hexdigest.lower()
        if expected is None:
            return
    with path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != expected:
        raise DatasetError(path, "SHA-256 differs: the file is damaged or another one", expected=expected, got=got)


def class_names_beside(folder: Path) -> tuple[str, ...]:
    """Return the lines of ``classes.txt`` in a folder: one name per class; empty if there is no such file."""
    file = folder / CLASS_NAMES
    if not file.is_file():
        return ()
    return tuple(
        line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
    )


def make_dataset(
    name: str,
    images: npt.NDArray[np.uint8] | npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64] | None,
    *,
    source: Path | str = "",
    class_names: Sequence[str] = (),
    targets: npt.NDArray[np.float64] | None = None,
    sample_names: Sequence[str] = (),
) -> Dataset:
    """Build a data set from checked arrays and compute its identity."""
    return Dataset(
        name=name,
        images=images,
        labels=labels,
        sha256=digest(images, labels, targets),
        source=str(source),
        class_names=tuple(class_names),
        targets=targets,
        sample_names=tuple(sample_names),
    )
