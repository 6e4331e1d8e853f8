"""Training the zoo's models: from the 42,000 images to .tflite files with a card, evaluated on the 28,000."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_tinyml.errors import UsageError
from pytest_tinyml.preprocess import real_values
from pytest_tinyml.stores.cards import Card, read_card
from pytest_tinyml.stores.models import CARD, load_file
from pytest_tinyml.stores.tflite import read_graph
from pytest_tinyml.training.cardfile import Trained, render_card
from pytest_tinyml.training.convert import convert, fake_quantised
from pytest_tinyml.training.data import training_data
from pytest_tinyml.training.evaluate import count_correct
from pytest_tinyml.training.fit import fit, load_keras
from pytest_tinyml.training.recipes import load_recipe
from pytest_tinyml.training.stairs import TORCH_RECIPES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["train"]


def _silent(_: str) -> None:
    """Report nothing."""


def train(
    name: str,
    *,
    data: str | None,
    out: Path,
    seed: int | None = None,
    report: Callable[[str], None] = _silent,
) -> Card:
    """Train a model of the zoo, convert it, evaluate every file on the 28,000 test images and write its card.

    Args:
        name: of the recipe, e.g. ``s1``.
        data: the training data as ``load_dataset`` takes it, all 70,000 images of MNIST; None fetches them.
        out: folder for the models and ``card.toml``; made if absent, files of the same names are replaced.
        seed: of weights, shuffling and distortions; None is the recipe's.
        report: is told each step in one line.

    Returns:
        The card that was written.

    Raises:
        UnknownNameError: no such recipe.
        MissingDependencyError: the extra ``train``, or ``espdl`` for S3, is not installed.
        DatasetError: the data cannot be used, or test images are among them.
        UsageError: the folder cannot be written.
    """
    if name.lower() in TORCH_RECIPES:
        from pytest_tinyml.training.zooespdl import train_espdl  # noqa: PLC0415 - another framework

        return train_espdl(name, data=data, out=out, seed=seed, report=report)
    recipe = load_recipe(name)
    seed = recipe.seed if seed is None else seed
    keras = load_keras()
    train_set, test_set = training_data(data)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{out}: cannot be made: {error.strerror}"
        raise UsageError(msg) from error
    report(f"{recipe.name}: training on {len(train_set):,} images, {recipe.training.epochs} epochs, seed {seed}")
    values = real_values(train_set.images, recipe.preprocess).astype(np.float32)
    inputs = values.reshape(len(train_set), *recipe.input_shape)
    labels = np.zeros(0, np.int64) if train_set.labels is None else train_set.labels  # training_data refuses None
    keras.utils.set_random_seed(seed)
    network = recipe.build(keras)
    fit(keras, network, recipe.training, inputs, labels, seed)
    if recipe.keep_h5:
        network.save(out / f"{recipe.name}.h5", include_optimizer=False)
    files = []
    for variant in recipe.variants:
        source = network
        if variant == "qat":
            report(f"{recipe.name}: fine-tuning with fake quantisation, {recipe.finetuning.epochs} epochs")
            source = fake_quantised(keras, network, recipe, inputs, labels, seed)
        path = out / f"{recipe.name}-{variant}.tflite"
        path.write_bytes(convert(source, variant, inputs[: recipe.representative]))
        # Without a card: one that is still in the folder describes the file that was just replaced.
        model = load_file(path, path.stem, recipe.preprocess)
        correct, runtime = count_correct(model, test_set)
        report(f"{path.name}: {len(model.data):,} bytes, {correct / len(test_set):.2%} by {runtime}")
        macs = read_graph(model.data, path).macs
        files.append(Trained(variant=variant, model=model, macs=macs, correct=correct, runtime=runtime))
    card = out / CARD
    card.write_text(
        render_card(recipe, seed, network.count_params(), train_set, test_set, tuple(files)), encoding="utf-8"
    )
    return read_card(card)
