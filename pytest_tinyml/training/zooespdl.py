"""Training the zoo's models for ESP-DL: float with PyTorch, quantised with esp-ppq, evaluated by its simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from pytest_tinyml.engines.layers.fromespdl import read_espdl as network_of
from pytest_tinyml.engines.layers.macs import macs_of
from pytest_tinyml.errors import UsageError
from pytest_tinyml.preprocess import input_tensors, real_values
from pytest_tinyml.references.espdl import EspdlReference
from pytest_tinyml.stores.cards import Card, read_card
from pytest_tinyml.stores.models import CARD, load_file
from pytest_tinyml.training.data import training_data
from pytest_tinyml.training.espdl import calibration_of, quantise
from pytest_tinyml.training.espdlcard import Quantised, render_card
from pytest_tinyml.training.stairs import load_torch_recipe
from pytest_tinyml.training.torchfit import exported, fit, load_torch, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BITS: Final[tuple[Literal[8], Literal[16]]] = (8, 16)


def train_espdl(name: str, *, data: str | None, out: Path, seed: int | None, report: Callable[[str], None]) -> Card:
    """Train a model of the zoo, quantise it to 8 and 16 bits, evaluate both on the 28,000 and write its card.

    The float network is kept as NAME-float.onnx: `tinyml convert` makes the same files of it.

    Args:
        name: of the recipe, e.g. ``s3``.
        data: see `training_data`.
        out: folder; made if absent, files of the same names are replaced.
        seed: of weights and shuffling; None is the recipe's.
        report: is told each step in one line.

    Raises:
        UnknownNameError: no such recipe.
        MissingDependencyError: the extra ``espdl`` is not installed.
        DatasetError: the data cannot be used, or test images are among them.
        BuildError: esp-ppq failed.
        UsageError: the folder cannot be written.
    """
    recipe = load_torch_recipe(name)
    stair, seed = recipe.stair(recipe.step), recipe.seed if seed is None else seed
    torch = load_torch()
    train_set, test_set = training_data(data)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{out}: cannot be made: {error.strerror}"
        raise UsageError(msg) from error
    report(f"{recipe.name}: training on {len(train_set):,} images, {stair.epochs} epochs, seed {seed}")
    inputs, tests = (
        real_values(item.images, recipe.preprocess).astype(np.float32).reshape(len(item), *stair.shape)
        for item in (train_set, test_set)
    )
    labels = np.zeros(0, np.int64) if train_set.labels is None else train_set.labels  # training_data refuses None
    network = fit(torch, stair, inputs, labels, bits=BITS[0], seed=seed)
    correct = int(np.sum(run(torch, network, tests).argmax(axis=1) == test_set.labels))
    report(f"{recipe.name}: float {correct / len(test_set):.2%}")
    real = exported(torch, network, recipe.name, stair.shape, recipe.preprocess)
    (out / f"{recipe.name}-float.onnx").write_bytes(real.onnx)
    files = []
    for bits in BITS:
        path = out / f"{recipe.name}-int{bits}.espdl"
        samples = calibration_of(real, train_set, recipe.representative)
        path.write_bytes(quantise(real, samples, bits=bits, target=recipe.target))
        model = load_file(path, path.stem, recipe.preprocess)
        reference = EspdlReference()
        scores = reference.scores(model, input_tensors(test_set.images, recipe.preprocess, model.input))
        right = int(np.sum(scores.argmax(axis=1) == test_set.labels))
        report(f"{path.name}: {len(model.data):,} bytes, {right / len(test_set):.2%} by {reference.runtime_version}")
        macs = macs_of(network_of(model))
        files.append(Quantised(model=model, macs=macs, correct=right, runtime=f"espdl {reference.runtime_version}"))
    parameters = sum(int(item.numel()) for item in network.parameters())
    card = out / CARD
    card.write_text(render_card(recipe, seed, parameters, train_set, test_set, correct, tuple(files)), encoding="utf-8")
    return read_card(card)
