"""What a recipe in PyTorch says: networks that are quantised for ESP-DL."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - a dataclass' field
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from pytest_tinyml.errors import UnknownNameError
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.training.recipefile import read_recipe

Torch: TypeAlias = Any
"""The module ``torch``, or an object of it; here it has no types."""
ToyName: TypeAlias = Literal["brighter", "lines", "glyphs", "photographs", "mnist"]
TORCH_RECIPES: Final = ("s3",)
"""Names of the zoo's recipes in PyTorch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stair:
    """One network of a staircase.

    Attributes:
        step: its number.
        title: in a few words.
        shape: of its input, channels first.
        data: what it is trained on: a kind of `toys`, or ``mnist``.
        build: makes the untrained network from ``torch`` and the bits that it will have, 8 or 16: real numbers
            [N, *shape] to probabilities [N, classes].
        epochs: passes over the data.
        batch_size: samples per step.
        peak: the learning rate that falls from there to 0 along a cosine (Adam).
    """

    step: int
    title: str
    shape: tuple[int, int, int]
    data: ToyName
    build: Callable[[Torch, int], Torch]
    epochs: int
    batch_size: int = 64
    peak: float = 5e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchRecipe:
    """How a model of the zoo is made with PyTorch and esp-ppq.

    Attributes:
        name: folder of the zoo.
        system: where the model comes from, in a few words.
        stairs: all networks.
        step: the one that is in the zoo.
        seed: of weights and shuffling.
        preprocess: how pixels become the input.
        representative: number of training samples that calibrate the ranges.
        target: the chip.
    """

    name: str
    system: str
    stairs: tuple[Stair, ...]
    step: int
    seed: int = 1
    preprocess: PreprocessSpec = field(default_factory=PreprocessSpec)
    representative: int = 500
    target: str = "esp32"

    def stair(self, step: int) -> Stair:
        """Return a network by its number.

        Raises:
            UnknownNameError: there is none.
        """
        for stair in self.stairs:
            if stair.step == step:
                return stair
        raise UnknownNameError("step", str(step), [str(stair.step) for stair in self.stairs])


def load_torch_recipe(name: str) -> TorchRecipe:
    """Load a recipe in PyTorch.

    Raises:
        UnknownNameError: no such recipe.
        ModelError: the file does not define ``RECIPE``.
    """
    if name.lower() not in TORCH_RECIPES:
        raise UnknownNameError("recipe", name, TORCH_RECIPES)
    return read_recipe(name, TorchRecipe)
