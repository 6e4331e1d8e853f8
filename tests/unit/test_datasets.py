"""Loading data sets in every format: the same samples come out, and malformed files are named."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pytest_tinyml.errors import DatasetError, UnknownNameError, UsageError
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.samples import digest
from pytest_tinyml.stores.splits import MNIST_TEST_SHA256, seeded_split
from tests.presence import lacking
from tests.unit.dataset_files import IMAGES, LABELS, csv_text, write_idx_folder

FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts its files."""


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """A folder of IDX files, see write_idx_folder."""
    return write_idx_folder(tmp_path)


def test_mnist_28k() -> None:
    """The committed test split is complete and is the one whose digest the code states."""
    dataset = load_dataset("mnist-28k")
    assert (28_000, 28, 28) == dataset.images.shape
    assert np.uint8 == dataset.images.dtype
    assert MNIST_TEST_SHA256 == dataset.sha256 == digest(dataset.images, dataset.labels)
    assert tuple("0123456789") == dataset.class_names
    assert dataset.labels is not None
    assert [2820, 3136, 2817, 2850, 2699, 2509, 2815, 2919, 2716, 2719] == np.bincount(dataset.labels).tolist()


def test_mnist_28k_has_no_training_data() -> None:
    """Asking the test split for training data says where to get them."""
    with pytest.raises(UsageError, match="is the test split; for 'train' name a folder"):
        load_dataset("mnist-28k", split="train")


def test_digest_is_documented() -> None:
    """The identity is the SHA-256 of what its docstring says."""
    images, labels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.array([1, 2])
    text = b"tinyml-dataset 1 uint8 2x2x2\n" + bytes(range(8))
    with_labels = text + b"labels" + bytes([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])
    assert hashlib.sha256(with_labels).hexdigest() == digest(images, labels)
    assert hashlib.sha256(text + b"unlabelled").hexdigest() == digest(images, None)


def test_digest_tells_shapes_apart() -> None:
    """The same bytes in another shape are another data set."""
    images = np.zeros((2, 4, 1), np.uint8)
    assert digest(images, None) != digest(images.reshape(2, 2, 2), None)


@pytest.mark.parametrize(("split", "first", "last"), [("train", 0, 8), ("test", 8, 12), ("all", 0, 12)])
def test_idx(idx_folder: Path, split: str, first: int, last: int) -> None:
    """IDX files are read by split, plain and gzipped alike."""
    dataset = load_dataset(str(idx_folder), split=split)
    assert IMAGES[first:last].tolist() == dataset.images.tolist()
    assert dataset.labels is not None
    assert LABELS[first:last].tolist() == dataset.labels.tolist()
    assert dataset.sha256 == load_dataset(f"{idx_folder}#{split}", split="test").sha256


def test_formats_agree(idx_folder: Path) -> None:
    """The same samples have the same identity in every format."""
    expected = load_dataset(str(idx_folder)).sha256
    keras = {"x_train": IMAGES[:8], "y_train": LABELS[:8], "x_test": IMAGES[8:], "y_test": LABELS[8:]}
    np.savez(idx_folder / "mnist.npz", **keras)  # type: ignore[arg-type] # numpy's stub takes ** for allow_pickle
    np.savez_compressed(idx_folder / "own.npz", images=IMAGES[8:], labels=LABELS[8:].astype(np.int32))
    np.savez(idx_folder / "flat.npz", x=IMAGES[8:].reshape(4, 25).astype(np.int64), y=LABELS[8:])
    (idx_folder / "train.csv").write_text(csv_text(IMAGES[8:], LABELS[8:]))
    for name in ("mnist.npz", "own.npz", "flat.npz", "train.csv"):
        assert expected == load_dataset(str(idx_folder / name)).sha256, name


def test_kaggle_folder(tmp_path: Path) -> None:
    """Kaggle's folder: train.csv has labels, test.csv has none."""
    (tmp_path / "train.csv").write_text(csv_text(IMAGES[:8], LABELS[:8]))
    (tmp_path / "test.csv").write_text(csv_text(IMAGES[8:], None))
    train, test = load_dataset(str(tmp_path), split="train"), load_dataset(str(tmp_path))
    assert train.labels is not None
    assert LABELS[:8].tolist() == train.labels.tolist()
    assert test.labels is None
    assert IMAGES[8:].tolist() == test.images.tolist()
    with pytest.raises(DatasetError, match=r"test\.csv has no labels: 'all' cannot be made of it"):
        load_dataset(str(tmp_path), split="all")


def test_packed_csv(tmp_path: Path) -> None:
    """The same file has the same name and identity plain, gzipped and zipped."""
    (tmp_path / "test.csv").write_text(csv_text(IMAGES, None))
    (tmp_path / "test.csv.gz").write_bytes(gzip.compress(csv_text(IMAGES, None).encode()))
    with zipfile.ZipFile(tmp_path / "test.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("test.csv", csv_text(IMAGES, None))
    loaded = [load_dataset(str(tmp_path / f"test.csv{ending}")) for ending in ("", ".gz", ".zip")]
    assert ["test"] * 3 == [dataset.name for dataset in loaded]
    assert 1 == len({dataset.sha256 for dataset in loaded})


def test_kaggle_archive(tmp_path: Path) -> None:
    """The archive that Kaggle gives is read by split, like the folder that it unpacks to."""
    path = tmp_path / "digit-recognizer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sample_submission.csv", "ImageId,Label\n1,0\n")
        archive.writestr("test.csv", csv_text(IMAGES[8:], None))
        archive.writestr("train.csv", csv_text(IMAGES[:8], LABELS[:8]))
    train, test = load_dataset(f"{path}#train"), load_dataset(str(path))
    assert train.labels is not None
    assert LABELS[:8].tolist() == train.labels.tolist()
    assert (IMAGES[8:].tolist(), None) == (test.images.tolist(), test.labels)
    with pytest.raises(
        DatasetError,
        match=r"no CSV file to be read: expected one file for 'all', got sample_submission\.csv, test\.csv",
    ):
        load_dataset(f"{path}#all")


def test_csv_of_windows(tmp_path: Path) -> None:
    """Line ends of Windows and a missing last line end are accepted."""
    path = tmp_path / "train.csv"
    path.write_bytes(csv_text(IMAGES, LABELS).replace("\n", "\r\n").rstrip().encode())
    assert IMAGES.tolist() == load_dataset(str(path)).images.tolist()


def test_float_images(tmp_path: Path) -> None:
    """Float images are taken as preprocessed, as float32, whatever their shape."""
    values = np.linspace(-1.0, 1.0, 24).reshape(4, 6)
    np.savez(tmp_path / "own.npz", x=values)
    dataset = load_dataset(str(tmp_path / "own.npz"))
    assert np.float32 == dataset.images.dtype
    assert values.astype(np.float32).tolist() == dataset.images.tolist()
    assert dataset.labels is None


def test_colour_images(tmp_path: Path) -> None:
    """Images with channels keep them."""
    np.savez(tmp_path / "own.npz", images=np.zeros((3, 4, 5, 3), np.uint8), labels=np.array([0, 77, 3]))
    dataset = load_dataset(str(tmp_path / "own.npz"))
    assert (3, 4, 5, 3) == dataset.images.shape


def test_class_names(idx_folder: Path) -> None:
    """Names beside the files, or in the .npz, are the data set's class names."""
    (idx_folder / "classes.txt").write_text("\n".join(f"class {index}" for index in range(10)))
    assert load_dataset(str(idx_folder)).class_names[9] == "class 9"
    np.savez(idx_folder / "own.npz", images=IMAGES, labels=np.zeros(12, int), class_names=["shoe", "bag"])
    assert load_dataset(str(idx_folder / "own.npz")).class_names == ("shoe", "bag")


def test_fashion_mnist() -> None:
    """Fashion-MNIST, 70,000 images in gzipped IDX files, is a second data set of the same format."""
    if not FASHION.is_dir():
        lacking("Fashion-MNIST is not installed (apt install dataset-fashion-mnist)")
    dataset = load_dataset(str(FASHION))
    assert (10_000, 28, 28) == dataset.images.shape
    assert dataset.labels is not None
    assert [1000] * 10 == np.bincount(dataset.labels).tolist()
    assert len(load_dataset(f"{FASHION}#test-28k")) == 28_000


def test_seeded_split_is_a_partition(tmp_path: Path) -> None:
    """Every one of 70,000 samples is in exactly one of the two splits, in the order that the generator gives."""
    images = np.arange(70_000, dtype=np.uint32).view(np.uint8).reshape(70_000, 2, 2)
    np.savez(tmp_path / "own.npz", images=images, labels=np.zeros(70_000, int))
    train, test = seeded_split(load_dataset(str(tmp_path / "own.npz")))
    order = np.random.Generator(np.random.PCG64(42_000)).permutation(70_000)
    assert images[order[:42_000]].tobytes() == train.images.tobytes()
    assert images[order[42_000:]].tobytes() == test.images.tobytes()
    assert test.sha256 == load_dataset(f"{tmp_path / 'own.npz'}#test-28k").sha256
    assert ("own-42k", "own-28k") == (train.name, test.name)


def test_split_needs_70_000(idx_folder: Path) -> None:
    """Another number of samples is refused."""
    with pytest.raises(DatasetError, match="cannot be split into 42,000 and 28,000: expected 70000 samples, got 12"):
        load_dataset(str(idx_folder), split="test-28k")


def test_unknown_name() -> None:
    """A misspelt name is answered with the right one."""
    with pytest.raises(UnknownNameError, match="did you mean 'mnist-28k'"):
        load_dataset("mnist28k")


def test_unknown_split() -> None:
    """A misspelt split is answered with the right one."""
    with pytest.raises(UnknownNameError, match="did you mean 'test'"):
        load_dataset("mnist-28k", split="tests")


def test_no_such_path(tmp_path: Path) -> None:
    """A path that is not there is named."""
    with pytest.raises(DatasetError, match=r"nothing.npz: no such file or folder"):
        load_dataset(str(tmp_path / "nothing.npz"))


def test_empty_folder(tmp_path: Path) -> None:
    """A folder without data says what was expected."""
    with pytest.raises(DatasetError, match=r"no data set in this folder: expected IDX files .*, got an empty folder"):
        load_dataset(str(tmp_path))


def test_checksums_beside(idx_folder: Path) -> None:
    """SHA256SUMS beside the files is checked, and names the file that differs."""
    labels = idx_folder / "t10k-labels-idx1-ubyte.gz"
    right = hashlib.sha256(labels.read_bytes()).hexdigest()
    (idx_folder / "SHA256SUMS").write_text(f"{right}  {labels.name}\n")
    load_dataset(str(idx_folder))
    (idx_folder / "SHA256SUMS").write_text(f"{'0' * 64}  {labels.name}\n")
    with pytest.raises(DatasetError, match=rf"{labels.name}: SHA-256 differs.*expected {'0' * 64}, got {right}"):
        load_dataset(str(idx_folder))
    (idx_folder / "SHA256SUMS").write_text("what is this\n")
    with pytest.raises(DatasetError, match="SHA256SUMS: malformed line 1"):
        load_dataset(str(idx_folder))
