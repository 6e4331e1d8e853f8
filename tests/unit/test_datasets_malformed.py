"""Malformed data-set files: each is named, with offset or line, expected and got."""

from __future__ import annotations

import gzip
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.errors import DatasetError
from pytest_tinyml.stores.datasets import load_dataset
from tests.unit.dataset_files import IMAGES, csv_text, idx, write_idx_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """A folder of IDX files, see write_idx_folder."""
    return write_idx_folder(tmp_path)


IDX_IMAGES = "train-images-idx3-ubyte"
IDX_LABELS = "train-labels-idx1-ubyte"
GZ_IMAGES = "t10k-images-idx3-ubyte.gz"


DAMAGED: list[tuple[str, Callable[[bytes], bytes], str]] = [
    (IDX_IMAGES, lambda _: b"", r"at offset 0: wrong magic number: expected 0x00000803 or 0x00000804, got 0x$"),
    (IDX_IMAGES, lambda data: b"\x00\x00\x0d\x03" + data[4:], r"at offset 0: wrong magic.*got 0x00000d03"),
    (IDX_LABELS, lambda data: b"\x00\x00\x08\x03" + data[4:], r"wrong magic.*expected 0x00000801, got 0x00000803"),
    (IDX_IMAGES, lambda data: data[:10], r"at offset 10: truncated header: expected 16 bytes, got 10 bytes"),
    (
        IDX_IMAGES,
        lambda data: data[:-1],
        r"at offset 215: truncated: the header says 8x5x5: expected 216 bytes, got 215 bytes",
    ),
    (IDX_IMAGES, lambda data: data + b"xy", r"at offset 216: bytes left over.*expected 216 bytes, got 218 bytes"),
    (IDX_IMAGES, lambda data: data[:4] + b"\xff" * 12, r"truncated: the header says 4294967295x4294967295"),
    (
        IDX_LABELS,
        lambda data: data[:-1] + b"\x0a",
        r"at offset 15: label of sample 7 is out of range: expected 0 .. 9, got 10",
    ),
    (
        IDX_LABELS,
        lambda data: data[:7] + b"\x07" + data[8:-1],
        r"images and labels differ in number: expected 8 labels, got 7",
    ),
    (GZ_IMAGES, lambda data: data[:-12], r"truncated gzip file: expected an end marker, got \d+ bytes"),
    (GZ_IMAGES, lambda data: data[:-8] + bytes(4) + data[-4:], r"damaged gzip file: CRC check failed"),
    (GZ_IMAGES, lambda data: data[:10] + b"\xff" * 20, r"damaged gzip file"),
]


@pytest.mark.parametrize(("file", "change", "message"), DAMAGED)
def test_malformed_idx(idx_folder: Path, file: str, change: Callable[[bytes], bytes], message: str) -> None:
    """A damaged IDX file is named, with offset, expected and got."""
    path = idx_folder / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DatasetError, match=rf"{file}.*({message})"):
        load_dataset(str(idx_folder), split="all")


def test_empty_idx(idx_folder: Path) -> None:
    """A well-formed file of no images is refused."""
    (idx_folder / IDX_IMAGES).write_bytes(idx(np.zeros((0, 5, 5), np.uint8)))
    with pytest.raises(DatasetError, match="no samples: expected at least 1 image, got shape"):
        load_dataset(str(idx_folder), split="train")


def test_missing_idx(idx_folder: Path) -> None:
    """A missing file of the four is named."""
    (idx_folder / IDX_LABELS).unlink()
    with pytest.raises(DatasetError, match=rf"file is missing: expected {IDX_LABELS}\[\.gz\], got none"):
        load_dataset(str(idx_folder), split="train")


def test_idx_parts_of_different_shape(idx_folder: Path) -> None:
    """Train and test images of different sizes are not one data set."""
    (idx_folder / IDX_IMAGES).write_bytes(idx(np.zeros((8, 6, 6), np.uint8)))
    with pytest.raises(DatasetError, match=r"train and t10k images differ in shape: expected \(6, 6\), got \(5, 5\)"):
        load_dataset(str(idx_folder), split="all")


HEADER = "label,pixel0,pixel1,pixel2,pixel3\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 is not the header"),
        ("1,2,3,4,5\n", "at offset 0: line 1 is not the header of Kaggle's digits: expected label,pixel0.*got 1,2,3"),
        ("label,pixel0,pixel2\n", "line 1 is not the header"),
        ("label,pixel0,pixel1,pixel2\n1,2,3,4\n", "images are not square: expected a square number of pixels, got 3"),
        (HEADER, "no samples: expected at least 1 line after the header, got 0"),
        (HEADER + "1,2,3,4,5\n1,2,3,4\n", "line 3: wrong number of columns: expected 5, got 4"),
        (HEADER + "1,2,3,4\n1,2,3,4\n", "line 2: wrong number of columns: expected 5, got 4"),
        (HEADER + "1,2,3,4,5,6\n", "line 2: wrong number of columns: expected 5, got 6"),
        (
            HEADER + "1,2,3,4,5\n\n1,2,256,4,5\n",
            r"line 4, column 3: not a pixel or label: expected .* 0 .. 255, got '256'",
        ),
        (HEADER + "1,2,3,4,-5\n", "line 2, column 5: not a pixel or label.*got '-5'"),
        (HEADER + "1,2,3,4,x\n", "line 2, column 5: not a pixel or label.*got 'x'"),
        (HEADER + "1,2,3.5,4,5\n", "line 2, column 3: not a pixel or label.*got '3.5'"),
        (HEADER + "1,2,,4,5\n", "line 2, column 3: not a pixel or label.*got ''"),
        (HEADER + "1,2,3,4,\u0663\n", "line 2, column 5: not a pixel or label"),
        (HEADER + "1,2,3,4,5\n10,2,3,4,5\n", "line 3: label is out of range: expected 0 .. 9, got 10"),
    ],
)
def test_malformed_csv(tmp_path: Path, text: str, message: str) -> None:
    """A malformed CSV file is named, with the line, expected and got."""
    path = tmp_path / "train.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=f"train.csv.*{message}"):
        load_dataset(str(path))


PIXELS = np.zeros((3, 2, 2), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "split", "message"),
    [
        ({}, "test", "array is missing: expected images_test or x_test, got no arrays"),
        ({"other": PIXELS}, "test", "array is missing: expected images_test or x_test, got other"),
        ({"images": PIXELS}, "train", "array is missing: expected images_train or x_train, got images"),
        ({"images": PIXELS[:0]}, "test", "no samples"),
        ({"images": PIXELS[0, 0]}, "test", "wrong shape of images"),
        ({"images": PIXELS[..., None, None]}, "test", r"wrong shape of images: expected \[N, H, W\] or \[N, H, W, C\]"),
        ({"images": np.zeros((3, 5), np.uint8)}, "test", "images are not square.*got 5"),
        ({"images": PIXELS.astype(bool)}, "test", "wrong dtype of images: expected uint8 or float32, got bool"),
        ({"images": PIXELS.astype(complex)}, "test", "wrong dtype of images.*got complex128"),
        ({"images": PIXELS + np.int16(256)}, "test", r"pixel of sample 0 at \(0, 0\) is out of range.*got 256"),
        ({"images": PIXELS - np.int16(1)}, "test", r"is out of range: expected 0 .. 255, got -1"),
        ({"images": np.full((3, 2), np.nan)}, "test", r"value of sample 0 at \(0,\) is not finite.*got nan"),
        ({"images": np.array([[0.0], [1e300]])}, "test", r"value of sample 1 at \(0,\) is not finite"),
        ({"images": np.zeros(3)}, "test", "wrong shape of float images"),
        ({"images": PIXELS, "labels": np.zeros(2, int)}, "test", "differ in number: expected 3 labels, got 2"),
        ({"images": PIXELS, "labels": np.zeros(3)}, "test", r"not one class index per image.*got float64 \[3\]"),
        (
            {"images": PIXELS, "labels": np.zeros((3, 10), int)},
            "test",
            r"not one class index per image.*int64 \[3, 10\]",
        ),
        ({"images": PIXELS, "labels": np.array([0, -1, 2])}, "test", "label of sample 1 is out of range.*got -1"),
        (
            {"images": PIXELS, "labels": np.array([0, 1, 2]), "class_names": np.array(["a", "b"])},
            "test",
            "label of sample 2 is out of range: expected 0 .. 1, got 2",
        ),
        (
            {"x_train": PIXELS, "x_test": PIXELS, "y_test": np.zeros(3, int)},
            "all",
            "only one of train and test has labels",
        ),
        ({"x_train": PIXELS, "x_test": np.zeros((1, 3, 3), np.uint8)}, "all", "train and test images differ"),
    ],
)
def test_malformed_npz(tmp_path: Path, arrays: dict[str, Any], split: str, message: str) -> None:
    """A .npz whose arrays are no data set is named, with expected and got."""
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(DatasetError, match=rf"own\.npz: .*{message}"):
        load_dataset(str(tmp_path / "own.npz"), split=split)


def test_keras_labels_are_digits(tmp_path: Path) -> None:
    """In keras' mnist.npz there is no label 10."""
    np.savez(tmp_path / "mnist.npz", x_test=PIXELS, y_test=np.array([0, 1, 10]))
    with pytest.raises(DatasetError, match=r"label of sample 2 is out of range: expected 0 \.\. 9, got 10"):
        load_dataset(str(tmp_path / "mnist.npz"))


def test_not_an_npz(tmp_path: Path) -> None:
    """A file of another kind with the name of a .npz is refused by its first bytes."""
    (tmp_path / "own.npz").write_bytes(b"\x93NUMPY")
    with pytest.raises(DatasetError, match=r"at offset 0: not a .npz file: expected 0x504b, got 0x934e"):
        load_dataset(str(tmp_path / "own.npz"))


def test_no_pickles(tmp_path: Path) -> None:
    """Arrays of Python objects, which would run code when loaded, are refused."""
    np.savez(tmp_path / "own.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DatasetError, match=r"damaged .npz file: Object arrays cannot be loaded"):
        load_dataset(str(tmp_path / "own.npz"))


@pytest.mark.parametrize("keep", [3, 40, 150, 400])
def test_truncated_npz(tmp_path: Path, keep: int) -> None:
    """A truncated .npz is reported as damaged wherever it ends."""
    path = tmp_path / "own.npz"
    np.savez_compressed(path, images=np.random.default_rng(1).integers(0, 256, (9, 28, 28), np.uint8))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetError, match=r"damaged .npz file"):
        load_dataset(str(path))


def test_flipped_bit_in_npz(tmp_path: Path) -> None:
    """A flipped bit in the data is found by the archive's CRC."""
    path = tmp_path / "own.npz"
    np.savez(path, images=np.zeros((9, 28, 28), np.uint8))
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"damaged .npz file: Bad CRC-32"):
        load_dataset(str(path))


def test_unknown_suffix(tmp_path: Path) -> None:
    """A file of an unknown format is refused with the known ones."""
    (tmp_path / "own.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match=r"expected .*\.npz, \.csv, \.csv\.gz or \.zip, got \.parquet"):
        load_dataset(str(tmp_path / "own.parquet"))


def _zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.csv", data)
    return path


def test_damaged_archives(tmp_path: Path) -> None:
    """An archive that is none, is cut short, has a wrong CRC or no CSV file is refused by name."""
    text = csv_text(IMAGES, None).encode()
    whole = _zip(tmp_path / "whole.zip", test=text).read_bytes()
    cases = {
        "none.zip": b"not an archive",
        "short.zip": whole[:500],
        "crc.zip": whole.replace(text[-20:], b"0" * 20),
        "short.csv.gz": gzip.compress(text)[:-200],
        "none.csv.gz": b"not compressed",
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DatasetError, match=f"{name}: cannot be unpacked: "):
            load_dataset(str(tmp_path / name))
    with pytest.raises(DatasetError, match=r"empty\.zip: no CSV file to be read: expected test\.csv, got nothing"):
        load_dataset(str(_zip(tmp_path / "empty.zip")))
