"""Figures that stand in two places are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pytest_tinyml.stores.models import list_models, load_model, zoo_cards

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "float-ptq-qat.md"


def test_float_ptq_and_qat() -> None:
    """The page that compares the files of S4 has the figures of their card, and the training of the zoo is seed 1."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text("utf-8").splitlines()]
    table = {row[0]: row[1:] for row in rows if len(row) == 4}
    (card,) = (card for card in zoo_cards() if card.name == "s4")
    assert [entry.name for entry in card.files] == next(row[1:] for row in rows if row[1:2] == ["s4-float"])
    assert [f"{len(load_model(entry.name).data):,}" for entry in card.files] == table["file, bytes"]
    assert [f"{entry.correct:,}" for entry in card.files] == table["right of 28,000"]
    top1 = {row.name: row.top1_ratio or 0.0 for row in list_models()}
    assert [f"{top1[entry.name]:.2%}" for entry in card.files] == table["top-1"]
    first = {
        row[1]: row[2]
        for row in rows
        if len(row) == 5 and row[0] in {"6 epochs", "6 epochs + 1 with fake quantisation"}
    }
    names = ("float", "PTQ, int8", "QAT, int8")
    assert [f"{entry.correct:,}" for entry in card.files] == [first[name] for name in names]
