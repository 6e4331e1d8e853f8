"""Cards of .espdl files: of a user's own, with what the file cannot say, and of the zoo's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_tinyml.stores.cards import SCHEMA

if TYPE_CHECKING:
    from pytest_tinyml.records import PreprocessSpec


def own_card(name: str, preprocess: PreprocessSpec) -> str:
    """Return the text of ``NAME.card.toml``."""
    return "\n".join(
        (
            "# Written by `tinyml convert --espdl`.",
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
