"""The seeded split of MNIST's 70,000 images into 42,000 for training and 28,000 for test.

The sizes are those of Kaggle's "Digit Recognizer", whose own split and test labels are not published. Ours:

1. concatenate the 60,000 images of ``train`` and the 10,000 of ``t10k`` in file order;
2. ``order = numpy.random.Generator(numpy.random.PCG64(42000)).permutation(70000)``;
3. ``order[:42000]`` is the training split, ``order[42000:]`` the test split, in that order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.errors import DatasetError
from pytest_tinyml.stores.samples import make_dataset

if TYPE_CHECKING:
    from pytest_tinyml.records import Dataset

SPLIT_SEED: Final = 42_000
TRAIN_COUNT: Final = 42_000
TEST_COUNT: Final = 28_000
MNIST_TRAIN_SHA256: Final = "c054063d5bf1cad068f8a661fafce88a386538d743be654d6db2b7d6c1e6c16e"
"""Identity (``Dataset.sha256``) of the 42,000."""
MNIST_TEST_SHA256: Final = "2879cda5eade9f1cb2a202920804841207c87cbf713af5d2fada153666d70c6b"
"""Identity (``Dataset.sha256``) of the 28,000: that of the built-in data set ``mnist-28k``."""
MNIST_TEST_FILE_SHA256: Final = "1999a216c0220c503b415071aff943c3211198656c4a6578d925db1c41800415"
"""SHA-256 of ``models/data/mnist-28k.npz``."""


def seeded_split(whole: Dataset) -> tuple[Dataset, Dataset]:
    """Split 70,000 samples (train, then t10k) into 42,000 and 28,000.

    Returns:
        The training split and the test split, named ``NAME-42k`` and ``NAME-28k``.

    Raises:
        DatasetError: not 70,000 samples.
    """
    if len(whole) != TRAIN_COUNT + TEST_COUNT:
        raise DatasetError(
            whole.source or whole.name,
            "cannot be split into 42,000 and 28,000",
            expected=f"{TRAIN_COUNT + TEST_COUNT} samples",
            got=len(whole),
        )
    order = np.random.Generator(np.random.PCG64(SPLIT_SEED)).permutation(len(whole))
    train, test = (
        make_dataset(
            f"{whole.name}-{len(chosen) // 1000}k",
            whole.images[chosen],
            None if whole.labels is None else whole.labels[chosen],
            source=whole.source,
            class_names=whole.class_names,
            targets=None if whole.targets is None else whole.targets[chosen],
        )
        for chosen in (order[:TRAIN_COUNT], order[TRAIN_COUNT:])
    )
    return train, test
