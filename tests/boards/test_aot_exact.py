"""Engine aot against TensorFlow Lite Micro: every int8 model of the zoo, every one of the 28,000 digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.preprocess import input_tensors
from pytest_tinyml.references.arena import tflm_available
from pytest_tinyml.references.cache import cached_scores
from pytest_tinyml.references.tflm import TflmReference
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.models import load_model, model_names
from tests.unit.test_aot import build, engine_of, run

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.records import Dataset

INT8_MODELS = tuple(name for name in model_names() if not name.endswith("-float"))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """Return the committed test split."""
    return load_dataset("mnist-28k")


def test_the_zoo_is_there() -> None:
    """The test below is over S0, S1, S2 and S4, quantised after and during training: it cannot be empty."""
    assert {f"s{n}-{kind}" for n in (0, 1, 2, 4) for kind in ("ptq", "qat")} <= set(INT8_MODELS)


@pytest.mark.skipif(not tflm_available(), reason="tflite-micro is published for Linux x86-64 only")
@pytest.mark.parametrize("name", INT8_MODELS)
def test_no_byte_differs(name: str, digits: Dataset, tmp_path: Path) -> None:
    """The generated C and its softmax give TensorFlow Lite Micro's bytes for every sample."""
    model = load_model(name)
    tensors = input_tensors(digits.images, model.preprocess, model.input)
    expected = cached_scores(
        TflmReference(), model, digits.sha256, lambda start, stop: tensors[start:stop], samples=len(digits)
    )
    _, library = build(model, tmp_path / "out")
    actual = run(engine_of(library), model, tensors)
    assert (28000, model.output.elements) == actual.shape
    assert int(np.count_nonzero(expected != actual)) == 0
    # The same sample again, after all the others: nothing is carried from one inference to the next.
    assert actual[0].tobytes() == run(engine_of(library), model, tensors[:1])[0].tobytes()
