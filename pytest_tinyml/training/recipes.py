"""What a recipe of the zoo says; ``models/NAME/recipe.py`` defines one as ``RECIPE``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import UnknownNameError
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.training.recipefile import read_recipe
from pytest_tinyml.training.stairs import TORCH_RECIPES

Keras: TypeAlias = Any
"""The module ``tf_keras``, or an object of it; it has no types."""
OptimizerMaker: TypeAlias = Callable[[Keras, int], Keras]
"""Makes an optimizer from ``tf_keras`` and the number of steps of the whole training."""
Variant: TypeAlias = Literal["float", "ptq", "ptq-pertensor", "qat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a network is trained.

    Attributes:
        optimizer: makes the optimizer.
        epochs: passes over the data.
        batch_size: samples per step.
        loss: name of the Keras loss.
        validation_split: the last part of the data that is left out, 0 .. 1.
        augment: strength of random shifts, rotations, zooms and shears; 0 is none. ``fit.distort`` has the figures.
    """

    optimizer: OptimizerMaker
    epochs: int
    batch_size: int
    loss: Literal["categorical_crossentropy", "sparse_categorical_crossentropy"]
    validation_split: float = 0.0
    augment: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model of the zoo is made.

    Attributes:
        name: folder of the zoo, e.g. ``s1``.
        system: where the model comes from, in a few words.
        build: makes the untrained network from ``tf_keras``: input [N, *input_shape], output softmax [N, 10].
        input_shape: of one sample, e.g. (28, 28, 1).
        training: of the float network.
        finetuning: of the network with fake quantisation, from the float network's weights.
        seed: of weights, shuffling and distortions.
        preprocess: how pixels become the input.
        representative: number of training samples that calibrate post-training quantisation.
        variants: the files to make.
        keep_h5: save the float network as .h5, too.
    """

    name: str
    system: str
    build: Callable[[Keras], Keras]
    input_shape: tuple[int, ...]
    training: Plan
    finetuning: Plan
    seed: int = 1
    preprocess: PreprocessSpec = field(default_factory=PreprocessSpec)
    representative: int = 100
    variants: tuple[Variant, ...] = ("float", "ptq", "qat")
    keep_h5: bool = False


def recipe_names() -> tuple[str, ...]:
    """Return the names of the zoo's folders that have a recipe for Keras."""
    names = (path.parent.name for path in assets_dir("models").glob("*/recipe.py"))
    return tuple(sorted(name for name in names if name not in TORCH_RECIPES))


def load_recipe(name: str) -> Recipe:
    """Load a recipe of the zoo.

    Raises:
        UnknownNameError: no such recipe.
        ModelError: the file does not define ``RECIPE``.
    """
    known = recipe_names()
    if name.lower() not in known:
        raise UnknownNameError("recipe", name, (*known, *TORCH_RECIPES))
    return read_recipe(name, Recipe)
