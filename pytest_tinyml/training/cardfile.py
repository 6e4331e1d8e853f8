"""Writing the card of a trained model; ``stores.cards`` reads it."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from pytest_tinyml.stores.cards import SCHEMA

if TYPE_CHECKING:
    from pytest_tinyml.records import Dataset, Model, TensorSpec
    from pytest_tinyml.training.recipes import Plan, Recipe, Variant

PACKAGES: Final = (
    "tensorflow",
    "tensorflow-cpu",
    "tf-keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "tflite-micro",
    "numpy",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One written .tflite file and what was found out about it.

    Attributes:
        variant: which of the recipe's.
        model: read back from the file.
        macs: multiply-accumulates of one inference.
        correct: correctly classified test samples.
        runtime: what classified them.
    """

    variant: Variant
    model: Model
    macs: int
    correct: int
    runtime: str


def render_card(
    recipe: Recipe, seed: int, parameters: int, train: Dataset, test: Dataset, files: tuple[Trained, ...]
) -> str:
    """Return the text of ``card.toml``."""
    spec = recipe.preprocess
    lines = [
        "# Written by `tinyml models train`; every figure was measured on the file it stands beside.",
        f"schema = {SCHEMA}",
        f"name = {_text(recipe.name)}",
        f"system = {_text(recipe.system)}",
        f"command = {_text(f'tinyml models train {recipe.name} --seed {seed} --out models/{recipe.name}')}",
        f"seed = {seed}",
        f"parameters = {parameters}",
        "",
        "[preprocess]",
        f"kind = {_text(spec.kind)}",
        *([f"scale = {spec.scale!r}", f"offset = {spec.offset!r}"] if spec.kind == "scale" else []),
        "",
        "[training]",
        *_plan("", recipe.training),
        *_plan("finetuning_", recipe.finetuning),
        f"representative = {recipe.representative}",
        "",
        "[data]",
        f"train_count = {len(train)}",
        f"train_sha256 = {_text(train.sha256)}",
        f"test = {_text(test.name)}",
        f"test_count = {len(test)}",
        f"test_sha256 = {_text(test.sha256)}",
        "",
        "[versions]",
        f"python = {_text(platform.python_version())}",
        *(f"{package} = {_text(found)}" for package in PACKAGES if (found := _version(package))),
    ]
    for item in files:
        model = item.model
        lines += [
            "",
            "[[file]]",
            f"name = {_text(f'{recipe.name}-{item.variant}')}",
            f"file = {_text(model.path.name)}",
            f"kind = {_text(item.variant)}",
            f"bytes = {len(model.data)}",
            f"sha256 = {_text(model.sha256)}",
            f"macs = {item.macs}",
            f"correct = {item.correct}",
            f"count = {len(test)}",
            f"top1 = {item.correct / len(test):.6f}",
            f"runtime = {_text(item.runtime)}",
            f"operators = [{', '.join(_text(name) for name in model.operators)}]",
            f"input = {tensor_text(model.input)}",
            f"output = {tensor_text(model.output)}",
        ]
    return "\n".join(lines) + "\n"


def _plan(prefix: str, plan: Plan) -> list[str]:
    return [
        f"{prefix}epochs = {plan.epochs}",
        f"{prefix}batch_size = {plan.batch_size}",
        f"{prefix}loss = {_text(plan.loss)}",
        f"{prefix}validation_split = {plan.validation_split!r}",
        f"{prefix}augment = {plan.augment!r}",
    ]


def tensor_text(tensor: TensorSpec) -> str:
    """Return a tensor as a card writes it."""
    shape = ", ".join(str(size) for size in tensor.shape)
    quantisation = f", scale = {tensor.scale!r}, zero_point = {tensor.zero_point}" if tensor.scale else ""
    return f"{{ dtype = {_text(tensor.dtype)}, shape = [{shape}]{quantisation} }}"


def _text(value: str) -> str:
    # JSON's strings are TOML's basic strings, as long as they hold printable ASCII.
    return json.dumps(value)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
