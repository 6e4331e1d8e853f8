"""Keras files as .tflite: .h5 of any Keras, and .keras."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.errors import DatasetError, ModelError
from pytest_tinyml.preprocess import real_values
from pytest_tinyml.training.convert import convert
from pytest_tinyml.training.fit import load_keras

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.records import Dataset, PreprocessSpec
    from pytest_tinyml.training.recipes import Keras, Variant

SAMPLES: Final = 256
"""That calibrate the ranges of activations, unless another number is asked for."""


def read_keras(path: Path) -> Keras:
    """Read a trained network.

    A file of Keras 2, which TensorFlow's quantisation works with, is read by that; one of Keras 3 by Keras 3.

    Returns:
        The network, not compiled.

    Raises:
        MissingDependencyError: the extra ``train`` is not installed.
        ModelError: no such file, no network in it, one with custom layers, or an input whose shape is not fixed.
    """
    if not path.is_file():
        msg = f"{path}: no such model file"
        raise ModelError(msg)
    legacy = load_keras("reading a Keras file")
    import keras  # noqa: PLC0415 - comes with TensorFlow

    problems = []
    for version in (legacy, keras):
        try:
            model = version.models.load_model(path, compile=False)
        except Exception as error:  # noqa: BLE001 - each Keras has its own; the last is told
            problems.append(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
            continue
        _check_ends(model, path)
        return model
    msg = f"{path}: not a network that Keras {keras.__version__} or tf-keras can read: {problems[-1]}"
    raise ModelError(msg)


def _check_ends(model: Keras, path: Path) -> None:
    for noun, tensors in (("input", model.inputs), ("output", model.outputs)):
        if len(tensors) != 1:
            msg = f"{path}: has {len(tensors)} {noun}s; exactly 1 can be fed and compared"
            raise ModelError(msg)
    if any(size is None for size in model.inputs[0].shape[1:]):
        msg = f"{path}: its input has the shape {list(model.inputs[0].shape)}; all but the batch have to be fixed"
        raise ModelError(msg)


def input_shape(model: Keras) -> tuple[int, ...]:
    """Return the shape of one sample."""
    return tuple(int(size) for size in model.inputs[0].shape[1:])


def to_tflite(
    model: Keras, variant: Variant, dataset: Dataset | None, preprocess: PreprocessSpec, samples: int
) -> bytes:
    """Convert a network to a .tflite file with batch 1.

    Args:
        model: from `read_keras`.
        variant: ``float``; ``ptq`` (int8, one scale per channel) or ``ptq-pertensor`` (one per dense layer).
        dataset: what the ranges of activations are taken from; not needed for ``float``.
        preprocess: how its pixels become the input.
        samples: how many of it, from the first.

    Raises:
        DatasetError: its samples do not fit the network.
    """
    shape = input_shape(model)
    representative: npt.NDArray[np.float32] = np.zeros((1, *shape), np.float32)
    if dataset is not None:
        values = real_values(dataset.images[:samples], preprocess).astype(np.float32)
        if int(np.prod(values.shape[1:])) != int(np.prod(shape)) or not len(values):
            name = dataset.source or dataset.name
            raise DatasetError(
                name, "its samples do not fit the network", expected=list(shape), got=list(values.shape[1:])
            )
        representative = values.reshape(len(values), *shape)
    with _silence():
        return convert(model, variant, representative)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what TensorFlow's converter writes to the error stream's descriptor from the user's screen."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
