"""Data sets in .npz files: ``images`` with ``labels`` or ``targets``, or keras' ``x_train``, ``y_train``, ..."""

from __future__ import annotations

import zipfile
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.errors import DatasetError
from pytest_tinyml.stores.idx import parts_of
from pytest_tinyml.stores.samples import check_file_sum, check_images, check_labels, check_targets, make_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.records import Dataset

ZIP_MAGIC: Final = b"PK"
IMAGE_KEYS: Final = ("images", "x")
LABEL_KEYS: Final = ("labels", "y")
TARGET_KEYS: Final = ("targets",)
CLASS_KEY: Final = "class_names"


def load_npz(path: Path, split: str, name: str, *, classes: int | None = None, sha256: str | None = None) -> Dataset:
    """Load a .npz file.

    Args:
        path: has arrays ``images`` (or ``x``) and optionally ``labels`` (or ``y``), ``class_names`` and, for a
            regression, ``targets``; or, by split, ``x_train``/``x_test`` (or ``images_train``...) with their
            ``y_``/``labels_``/``targets_``. Without a split in the file, every split but ``train`` is the whole file.
        split: ``train``, ``test`` or ``all``.
        name: the data set's name.
        classes: labels are 0 .. classes - 1; None: as ``class_names`` in the file says, else any class index.
        sha256: of the file, checked if given.

    Raises:
        DatasetError: not a .npz, truncated, damaged, without images, or with arrays that are no data set.
    """
    arrays = _read(path, sha256)
    names = tuple(str(item) for item in arrays[CLASS_KEY].ravel()) if CLASS_KEY in arrays else ()
    if names:
        classes = len(names)
    whole = _pick(arrays, IMAGE_KEYS, "")
    suffixes = [""] if whole is not None and split != "train" else [f"_{part}" for part in parts_of(split)]
    checked = [check_images(path, _need(path, arrays, suffix)) for suffix in suffixes]
    if len({(part.dtype, part.shape[1:]) for part in checked}) > 1:
        first, second = (f"{part.dtype.name} {part.shape[1:]}" for part in checked)
        raise DatasetError(path, "train and test images differ", expected=first, got=second)
    counts = [len(part) for part in checked]
    labels = _joined(
        path, arrays, LABEL_KEYS, suffixes, [partial(check_labels, path, count=n, classes=classes) for n in counts]
    )
    targets = _joined(path, arrays, TARGET_KEYS, suffixes, [partial(check_targets, path, count=n) for n in counts])
    images: npt.NDArray[Any] = checked[0] if len(checked) == 1 else np.concatenate(checked)
    return make_dataset(name, images, labels, source=path, class_names=names, targets=targets)


def _joined(
    path: Path,
    arrays: dict[str, npt.NDArray[Any]],
    keys: tuple[str, ...],
    suffixes: list[str],
    checks: list[Callable[[npt.NDArray[Any]], npt.NDArray[Any]]],
) -> npt.NDArray[Any] | None:
    """Return the checked labels or targets of all parts one after the other, or None if there are none."""
    found = [(_pick(arrays, keys, suffix), check) for suffix, check in zip(suffixes, checks, strict=True)]
    parts = [check(array) for array, check in found if array is not None]
    if parts and len(parts) != len(found):
        raise DatasetError(path, f"only one of train and test has {keys[0]}", expected="both or none", got="one")
    if len({part.shape[1:] for part in parts}) > 1:
        first, second = (list(part.shape[1:]) for part in parts)
        raise DatasetError(path, f"{keys[0]} of train and test differ in shape", expected=first, got=second)
    return np.concatenate(parts) if parts else None


def save_npz(path: Path, parts: Mapping[str, Dataset]) -> None:
    """Write splits of a data set so that `load_npz` reads them as they are.

    Args:
        path: ends in ``.npz``.
        parts: by ``train`` and ``test``.

    Raises:
        DatasetError: another ending, or the file cannot be written.
    """
    if path.suffix != ".npz":
        raise DatasetError(path, "another ending", expected=".npz", got=path.suffix or "none")
    arrays: dict[str, npt.NDArray[Any]] = {}
    for split, part in parts.items():
        arrays[f"x_{split}"] = part.images
        if part.labels is not None:
            arrays[f"y_{split}"] = part.labels
        if part.targets is not None:
            arrays[f"{TARGET_KEYS[0]}_{split}"] = part.targets
        if part.class_names:
            arrays[CLASS_KEY] = np.array(part.class_names)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type] # numpy's stub takes its own option for a name
    except OSError as error:
        raise DatasetError(path, f"cannot be written: {error.strerror}") from error


def _need(path: Path, arrays: dict[str, npt.NDArray[Any]], suffix: str) -> npt.NDArray[Any]:
    found = _pick(arrays, IMAGE_KEYS, suffix)
    if found is None:
        expected = " or ".join(f"{key}{suffix}" for key in IMAGE_KEYS)
        raise DatasetError(path, "array is missing", expected=expected, got=", ".join(sorted(arrays)) or "no arrays")
    return found


def _pick(arrays: dict[str, npt.NDArray[Any]], keys: tuple[str, ...], suffix: str) -> npt.NDArray[Any] | None:
    return next((arrays[f"{key}{suffix}"] for key in keys if f"{key}{suffix}" in arrays), None)


def _read(path: Path, sha256: str | None) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as file:
            magic = file.read(len(ZIP_MAGIC))
        check_file_sum(path, expected=sha256)
    except OSError as error:
        raise DatasetError(path, f"cannot be read: {error.strerror}") from error
    if magic != ZIP_MAGIC:
        raise DatasetError(path, "not a .npz file", expected=f"0x{ZIP_MAGIC.hex()}", got=f"0x{magic.hex()}", offset=0)
    try:
        # Opened here: numpy leaves the file open if it is not a zip archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, KeyError, NotImplementedError) as error:
        # numpy reports damage by whichever layer meets it first: the zip directory, the stream or the array's header.
        raise DatasetError(path, f"damaged .npz file: {error}") from error
