"""Photographs in one folder per class: ``class/picture.jpg``, or ``train/class/...`` beside ``validation/class/...``.

Classes are numbered in the order of their names. What is split and in which order samples come depends on names alone:

1. the pictures of each class are sorted by name (code points);
2. without folders for the splits, those of class k are permuted by ``numpy.random.Generator(PCG64([20170, k]))``; the
   first fifth of that order (rounded half to even, at least one) is held out, the others are for training;
3. the samples, class by class and each class by name, are permuted by ``Generator(PCG64(20170))``, so that the first N
   are of all classes.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.errors import DatasetError
from pytest_tinyml.stores.pictures import ENDINGS, GREY, RGB, picture_size, read_picture
from pytest_tinyml.stores.samples import make_dataset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.records import Dataset

SEED: Final = 20_170
HELD_OUT: Final = 0.2
_TRAIN: Final = ("train", "training")
_VALIDATION: Final = ("validation", "valid", "val")
_TEST: Final = ("test", "testing")
_FOLDERS: Final = {
    "train": _TRAIN,
    "validation": (*_VALIDATION, *_TEST),
    "test": (*_TEST, *_VALIDATION),
}
"""Names of the folder of a split, in lower case; the first that exists is taken."""
_SHOWN: Final = 3


def is_image_folder(folder: Path) -> bool:
    """Return whether there are pictures in a folder of the folder, or in one of theirs if that is a split."""
    return any(_pictures(inner) for inner in _class_folders(folder)) or _split_folder(folder, "train") is not None


def load_image_folder(folder: Path, split: str, name: str, shape: Sequence[int] | None = None) -> Dataset:
    """Load a folder of photographs.

    Args:
        folder: see the module.
        split: ``train``, ``validation``, ``test`` or ``all``; validation and test are the same where only one exists.
        name: the data set's name.
        shape: of a sample, ``[H, W]``, ``[H, W, 1]`` (grey) or ``[H, W, 3]`` (RGB); None takes pictures as they are,
            which then have to be of one size. ``stores.pictures`` has the rule by which they are cropped and scaled.

    Returns:
        uint8 images [N, H, W] or [N, H, W, 3], labels, class names, and the files' names.

    Raises:
        DatasetError: a picture cannot be read, a class has none (or too few to be split), pictures are of several sizes
            and no shape was asked for, or no pictures can have that shape.
    """
    classes, files = _listed(folder, split)
    paths = [path for of_class in files for path in of_class]
    labels = np.repeat(np.arange(len(classes)), [len(of_class) for of_class in files])
    order = np.random.Generator(np.random.PCG64(SEED)).permutation(len(paths))
    paths, labels = [paths[k] for k in order], labels[order].astype(np.int64)
    height, width, channels = _common_shape(folder, paths) if shape is None else _checked_shape(folder, shape)
    images = np.empty((len(paths), height, width, *([RGB] if channels == RGB else [])), dtype=np.uint8)

    def read(index: int) -> None:
        images[index] = read_picture(paths[index], height, width, channels)

    # Pillow computes without the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(read, range(len(paths))))
    names = [path.relative_to(folder).as_posix() for path in paths]
    return make_dataset(name, images, labels, source=folder, class_names=classes, sample_names=names)


def _class_folders(folder: Path) -> list[Path]:
    return sorted(inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    files = (file for file in folder.iterdir() if file.suffix.lower() in ENDINGS and not file.name.startswith("."))
    return sorted((file for file in files if file.is_file()), key=lambda file: file.name)


def _split_folder(folder: Path, split: str) -> Path | None:
    """Return the folder of a split, if it is one: it holds folders, and no pictures of its own."""
    found = {inner.name.lower(): inner for inner in _class_folders(folder)}
    for name in _FOLDERS[split]:
        if name in found and not _pictures(found[name]) and _class_folders(found[name]):
            return found[name]
    return None


def _listed(folder: Path, split: str) -> tuple[list[str], list[list[Path]]]:
    """Return the names of the classes, and the pictures of each."""
    if _split_folder(folder, "train") is None:
        classes, files = _class_pictures(folder)
        if split == "all":
            return classes, files
        return classes, [_part(folder / classes[k], k, files[k], train=split == "train") for k in range(len(classes))]
    wanted = ["train", "validation", "test"] if split == "all" else [split]
    parts = dict.fromkeys(_split_folder(folder, part) for part in wanted)
    if None in parts:
        expected = " or ".join(_FOLDERS[split if split != "all" else "validation"])
        raise DatasetError(folder, f"no folder for the split {split!r}", expected=expected, got="only one for training")
    listed = [_class_pictures(part) for part in parts if part is not None]
    classes = listed[0][0]
    for other, _ in listed[1:]:
        if other != classes:
            what = "train and validation have different classes"
            raise DatasetError(folder, what, expected=", ".join(classes), got=", ".join(other))
    return classes, [[path for _, files in listed for path in files[k]] for k in range(len(classes))]


def _class_pictures(folder: Path) -> tuple[list[str], list[list[Path]]]:
    folders = _class_folders(folder)
    files = [_pictures(inner) for inner in folders]
    for inner, pictures in zip(folders, files, strict=True):
        if not pictures:
            others = ", ".join(sorted(item.name for item in inner.iterdir())[:_SHOWN]) or "an empty folder"
            expected = f"at least one {', '.join(sorted(ENDINGS))}"
            raise DatasetError(inner, "class without pictures", expected=expected, got=others)
    return [inner.name for inner in folders], files


def _part(folder: Path, label: int, files: list[Path], *, train: bool) -> list[Path]:
    """Return one split of a class, by name; see the module."""
    held = max(1, round(len(files) * HELD_OUT))
    if len(files) <= held:
        problem = "too few pictures to be split into training and validation"
        raise DatasetError(folder, problem, expected="at least 2", got=len(files))
    order = np.random.Generator(np.random.PCG64([SEED, label])).permutation(len(files))
    return [files[k] for k in sorted(order[held:] if train else order[:held])]


def _checked_shape(folder: Path, shape: Sequence[int]) -> tuple[int, int, int]:
    height, width, channels = (*shape, GREY)[:3] if len(shape) in {2, 3} else (0, 0, 0)
    if channels not in {GREY, RGB} or height < 1 or width < 1:
        raise DatasetError(
            folder, "photographs cannot have this shape", expected="[H, W], [H, W, 1] or [H, W, 3]", got=list(shape)
        )
    return height, width, channels


def _common_shape(folder: Path, paths: list[Path]) -> tuple[int, int, int]:
    """Return the shape that all pictures have; RGB if some are.

    Raises:
        DatasetError: they are of several sizes.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        shapes: npt.NDArray[np.int64] = np.array(list(pool.map(picture_size, paths)))
    sizes, firsts = np.unique(shapes[:, :2], axis=0, return_index=True)
    if len(sizes) > 1:
        first, second = (paths[k] for k in sorted(firsts)[:2])
        shown = " and ".join(
            f"{path.relative_to(folder).as_posix()} {shapes[paths.index(path), 1]} x {shapes[paths.index(path), 0]}"
            for path in (first, second)
        )
        raise DatasetError(
            folder,
            f"photographs are of {len(sizes)} sizes: ask for one, as {folder}#HEIGHTxWIDTHxCHANNELS",
            expected="one size",
            got=shown,
        )
    return int(sizes[0][0]), int(sizes[0][1]), int(shapes[:, 2].max())
