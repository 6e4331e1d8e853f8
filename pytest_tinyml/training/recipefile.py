"""The file ``models/NAME/recipe.py`` of a recipe, in whatever framework."""

from __future__ import annotations

import importlib.util
from typing import TypeVar

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import ModelError

T = TypeVar("T")


def read_recipe(name: str, kind: type[T]) -> T:
    """Execute a recipe's file and return its ``RECIPE``.

    Args:
        name: of the zoo's folder, in any case.
        kind: what ``RECIPE`` has to be.

    Raises:
        ModelError: the file does not define it.
    """
    path = assets_dir("models") / name.lower() / "recipe.py"
    spec = importlib.util.spec_from_file_location(f"pytest_tinyml_recipe_{name.lower()}", path)
    if spec is None or spec.loader is None:
        msg = f"{path}: cannot be imported"
        raise ModelError(msg)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, kind):
        msg = f"{path}: RECIPE: expected a {kind.__name__}, got {recipe!r}"
        raise ModelError(msg)
    return recipe
