"""Data sets by name or by path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import DatasetError, UnknownNameError, UsageError
from pytest_tinyml.records import Dataset
from pytest_tinyml.stores.idx import has_idx, load_idx_folder
from pytest_tinyml.stores.imagefolder import is_image_folder, load_image_folder
from pytest_tinyml.stores.kagglecsv import ENDINGS, csv_name, load_csv
from pytest_tinyml.stores.npz import load_npz
from pytest_tinyml.stores.samples import MNIST_CLASSES
from pytest_tinyml.stores.splits import MNIST_TEST_FILE_SHA256, seeded_split

if TYPE_CHECKING:
    from collections.abc import Sequence

MNIST_28K: Final = "mnist-28k"
SEEDED: Final = ("train-42k", "test-28k")
VALIDATION: Final = "validation"
SPLITS: Final = ("train", "test", "all", *SEEDED, VALIDATION)
_SHAPE: Final = re.compile(r"[1-9]\d{0,4}x[1-9]\d{0,4}(x[13])?")
KAGGLE_FILES: Final = {"train": "train.csv", "test": "test.csv"}


def dataset_names() -> tuple[str, ...]:
    """Return the names that ``load_dataset`` knows without a path."""
    return (MNIST_28K,)


def load_dataset(spec: str, *, split: str = "test", shape: Sequence[int] | None = None) -> Dataset:
    """Load a data set.

    Args:
        spec: ``mnist-28k`` (the committed, labelled test split); or a path: a folder of IDX files (plain or .gz), a
            folder with Kaggle's ``train.csv`` and ``test.csv``, Kaggle's ``digit-recognizer.zip`` with the same, one
            .csv (also .gz or .zip), one .npz file, or a folder of photographs with a folder per class
            (``stores.imagefolder``). ``PATH#SPLIT``, ``PATH#HxWxC`` and ``PATH#SPLIT,HxWxC`` override the other
            arguments.
        split: ``train``, ``test`` or ``all``, as published; ``train-42k`` or ``test-28k``: the seeded split of 70,000
            (``stores.splits``). A file that holds one split only is that whole file, whatever ``test`` or ``all`` says.
            Photographs have ``validation``, too.
        shape: of a sample, for photographs: they are cropped and scaled to it.

    Raises:
        UnknownNameError: neither a known name nor an existing path, or no such split.
        DatasetError: the files are not usable; names file, offset or line, expected and got.
    """
    spec, split, shape = _parts(spec, split, shape)
    if spec == MNIST_28K:
        return _load_mnist_28k(split)
    path = Path(spec)
    if not path.exists():
        if path.name == spec and not path.suffix:
            raise UnknownNameError("data set (nor file)", spec, dataset_names())
        raise DatasetError(path, "no such file or folder")
    if path.is_dir() and not has_idx(path) and is_image_folder(path):
        if split in SEEDED:
            raise UnknownNameError("split of photographs", split, ("train", "validation", "test", "all"))
        return load_image_folder(path, split, path.resolve().name, shape)
    if split == VALIDATION:
        msg = f"{path}: only folders of photographs have the split {split!r}"
        raise UsageError(msg)
    if split in SEEDED:
        return seeded_split(_load_path(path, "all"))[SEEDED.index(split)]
    return _load_path(path, split)


def _parts(spec: str, split: str, shape: Sequence[int] | None) -> tuple[str, str, Sequence[int] | None]:
    """Return path, split and shape; what stands behind ``#`` overrides the others."""
    path, mark, suffix = spec.rpartition("#")
    if mark and not Path(spec).exists():
        spec = path
        for part in suffix.split(","):
            if _SHAPE.fullmatch(part):
                shape = [int(size) for size in part.split("x")]
            else:
                split = part
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    return spec, split, shape


def _load_mnist_28k(split: str) -> Dataset:
    if split not in {"test", "all", "test-28k"}:
        msg = f"{MNIST_28K!r} is the test split; for {split!r} name a folder with all of MNIST (tinyml data fetch)"
        raise UsageError(msg)
    loaded = load_npz(
        assets_dir("models") / "data" / f"{MNIST_28K}.npz",
        "test",
        MNIST_28K,
        classes=MNIST_CLASSES,
        sha256=MNIST_TEST_FILE_SHA256,
    )
    names = tuple(str(digit) for digit in range(MNIST_CLASSES))
    return Dataset(
        name=loaded.name,
        images=loaded.images,
        labels=loaded.labels,
        sha256=loaded.sha256,
        source=loaded.source,
        class_names=names,
    )


def _load_path(path: Path, split: str) -> Dataset:
    name = path.resolve().name if path.is_dir() else path.stem
    if path.is_dir():
        if has_idx(path):
            return load_idx_folder(path, split, name)
        return _load_kaggle_folder(path, split, name)
    if path.suffix == ".npz":
        # keras' file of the same arrays has ten classes too, but a user's own file may have any number.
        return load_npz(path, split, name, classes=MNIST_CLASSES if path.name == "mnist.npz" else None)
    if path.suffix in ENDINGS:
        return load_csv(path, csv_name(path), member=KAGGLE_FILES.get(split, f"one file for {split!r}"))
    expected = "a folder of IDX or CSV files or of photographs by class, .npz, .csv, .csv.gz or .zip"
    raise DatasetError(path, "unknown format", expected=expected, got=path.suffix)


def _load_kaggle_folder(folder: Path, split: str, name: str) -> Dataset:
    if split == "all":
        raise DatasetError(
            folder, "Kaggle's test.csv has no labels: 'all' cannot be made of it", expected="train or test"
        )
    file = folder / KAGGLE_FILES[split]
    if not file.is_file():
        found = ", ".join(sorted(item.name for item in folder.iterdir())[:8]) or "an empty folder"
        expected = (
            f"IDX files (train-images-idx3-ubyte[.gz], ...), {KAGGLE_FILES[split]}, or a folder of pictures per class"
        )
        raise DatasetError(folder, "no data set in this folder", expected=expected, got=found)
    return load_csv(file, f"{name}-{split}")
