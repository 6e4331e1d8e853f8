"""Cards of the zoo's .espdl files."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from pytest_tinyml.stores.cards import SCHEMA
from pytest_tinyml.training.cardfile import tensor_text
from pytest_tinyml.training.owncard import preprocess_lines

if TYPE_CHECKING:
    from pytest_tinyml.records import Dataset, Model
    from pytest_tinyml.training.stairs import TorchRecipe

PACKAGES: Final = ("torch", "esp-ppq", "onnx", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """One written .espdl file and what was found out about it.

    Attributes:
        model: read back from the file.
        macs: multiply-accumulates of one inference.
        correct: correctly classified test samples.
        runtime: what classified them.
    """

    model: Model
    macs: int
    correct: int
    runtime: str


def render_card(
    recipe: TorchRecipe,
    seed: int,
    parameters: int,
    train: Dataset,
    test: Dataset,
    correct: int,
    files: tuple[Quantised, ...],
) -> str:
    """Return the text of ``card.toml``; `correct` is of the float network."""
    stair = recipe.stair(recipe.step)
    lines = [
        "# Written by `tinyml models train`; every figure was measured on the file it stands beside.",
        f"schema = {SCHEMA}",
        f"name = {json.dumps(recipe.name)}",
        f"system = {json.dumps(recipe.system)}",
        f"command = {json.dumps(f'tinyml models train {recipe.name} --seed {seed} --out models/{recipe.name}')}",
        f"seed = {seed}",
        f"parameters = {parameters}",
        "",
        *preprocess_lines(recipe.preprocess),
        "",
        "[training]",
        f"step = {recipe.step}",
        f"epochs = {stair.epochs}",
        f"batch_size = {stair.batch_size}",
        f"peak = {stair.peak!r}",
        f"representative = {recipe.representative}",
        f"target = {json.dumps(recipe.target)}",
        f"float_correct = {correct}",
        f"float_top1 = {correct / len(test):.6f}",
        "",
        "[data]",
        f"train_count = {len(train)}",
        f"train_sha256 = {json.dumps(train.sha256)}",
        f"test = {json.dumps(test.name)}",
        f"test_count = {len(test)}",
        f"test_sha256 = {json.dumps(test.sha256)}",
        "",
        "[versions]",
        f"python = {json.dumps(platform.python_version())}",
        *(f"{package} = {json.dumps(version(package))}" for package in PACKAGES),
    ]
    for item in files:
        model = item.model
        lines += [
            "",
            "[[file]]",
            f"name = {json.dumps(model.name)}",
            f"file = {json.dumps(model.path.name)}",
            f"kind = {json.dumps(model.input.dtype)}",
            f"bytes = {len(model.data)}",
            f"sha256 = {json.dumps(model.sha256)}",
            f"macs = {item.macs}",
            f"correct = {item.correct}",
            f"count = {len(test)}",
            f"top1 = {item.correct / len(test):.6f}",
            f"runtime = {json.dumps(item.runtime)}",
            f"operators = {json.dumps(list(model.operators))}",
            f"input = {tensor_text(model.input)}",
            f"output = {tensor_text(model.output)}",
        ]
    return "\n".join(lines) + "\n"
