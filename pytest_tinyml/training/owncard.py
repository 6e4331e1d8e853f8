"""The card of a user's converted model: what the file cannot say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_tinyml.errors import UsageError
from pytest_tinyml.stores.cards import SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.records import PreprocessSpec


def own_card(name: str, preprocess: PreprocessSpec) -> str:
    """Return the text of ``NAME.card.toml``."""
    return "\n".join(
        (
            "# Written by `tinyml convert`.",
            f"schema = {SCHEMA}",
            f"name = {json.dumps(name)}",
            "",
            *preprocess_lines(preprocess),
            "",
        )
    )


def preprocess_lines(preprocess: PreprocessSpec) -> list[str]:
    """Return the table ``[preprocess]`` of a card."""
    numbers = [f"scale = {preprocess.scale!r}", f"offset = {preprocess.offset!r}"]
    return ["[preprocess]", f"kind = {json.dumps(preprocess.kind)}", *(numbers if preprocess.kind == "scale" else [])]


def write_model(out: Path, file: str, data: bytes, preprocess: PreprocessSpec) -> tuple[Path, Path]:
    """Write a model and its card; returns both paths.

    Args:
        out: folder; made if it is absent.
        file: name of the model's file.
        data: its bytes.
        preprocess: how pixels become its input.

    Raises:
        UsageError: the folder cannot be written.
    """
    model = out / file
    card = model.with_name(f"{model.stem}.card.toml")
    try:
        out.mkdir(parents=True, exist_ok=True)
        model.write_bytes(data)
        card.write_text(own_card(model.stem, preprocess), encoding="utf-8")
    except OSError as error:
        msg = f"{out}: cannot be written: {error.strerror}"
        raise UsageError(msg) from error
    return model, card
