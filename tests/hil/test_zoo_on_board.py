"""What this repository promises about its own zoo, on whatever board is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_tinyml.records import Dataset, Model
    from pytest_tinyml.shell.handles import RunHandle


def test_card_accuracy(tinyml_run: RunHandle, tinyml_model: Model, tinyml_dataset: Dataset) -> None:
    """The accuracy on the card is what the board reaches on the 28,000."""
    comparison = tinyml_run.everything()
    if tinyml_model.card_top1 is None or tinyml_dataset.name != "mnist-28k" or comparison.count < len(tinyml_dataset):
        pytest.skip("a card speaks of a zoo model on all of mnist-28k")
    # Cards of float models were measured with LiteRT, whose rounding differs: a handful of 28,000 may flip.
    tolerance = 0.5 / len(tinyml_dataset) if tinyml_model.input.dtype == "int8" else 5 / len(tinyml_dataset)
    assert comparison.top1_board == pytest.approx(tinyml_model.card_top1, abs=tolerance + 5e-7)
