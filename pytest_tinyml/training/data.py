"""The samples that a model of the zoo is trained on, and the proof that no test image is among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tinyml.errors import DatasetError
from pytest_tinyml.stores.datasets import MNIST_28K, load_dataset
from pytest_tinyml.stores.fetch import fetched_mnist
from pytest_tinyml.stores.splits import TEST_COUNT, TRAIN_COUNT, seeded_split

if TYPE_CHECKING:
    from pytest_tinyml.records import Dataset


def training_data(spec: str | None) -> tuple[Dataset, Dataset]:
    """Return the training samples and the committed 28,000 test samples.

    Args:
        spec: a data set as ``load_dataset`` takes it; None fetches MNIST. 70,000 samples are split by the seed, any
            other number is used for training as it is.

    Raises:
        DatasetError: the 28,000 of the split are not the committed ones, a test image is among the training samples,
            the images have another shape, or there are no labels.
    """
    test = load_dataset(MNIST_28K)
    text = str(fetched_mnist()) if spec is None else spec
    loaded = load_dataset(text, split="all")
    if len(loaded) == TRAIN_COUNT + TEST_COUNT:
        train, held_out = seeded_split(loaded)
        if held_out.sha256 != test.sha256:
            raise DatasetError(
                text,
                f"its 28,000 test samples are not the committed {MNIST_28K}: another data set or another order",
                expected=test.sha256,
                got=held_out.sha256,
            )
    else:
        train = loaded
    if train.labels is None:
        raise DatasetError(text, "has no labels to train on")
    if train.images.shape[1:] != test.images.shape[1:] or train.images.dtype != test.images.dtype:
        raise DatasetError(
            text,
            "images differ from the test images in shape or type",
            expected=f"{test.images.dtype.name} {test.images.shape[1:]}",
            got=f"{train.images.dtype.name} {train.images.shape[1:]}",
        )
    _refuse_leaks(text, train, test)
    return train, test


def _refuse_leaks(text: str, train: Dataset, test: Dataset) -> None:
    seen = {image.tobytes() for image in test.images}
    leaks = [index for index, image in enumerate(train.images) if image.tobytes() in seen]
    if leaks:
        raise DatasetError(
            text,
            f"{len(leaks)} training images are among the {len(test):,} test images, the first is sample {leaks[0]}",
            expected="none",
            got=len(leaks),
        )
