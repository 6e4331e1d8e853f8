"""A Kaggle for the tests of this folder, and for every process that they start."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kaggle.runs import LABELS
from tests.kaggle.server import LocalKaggle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalKaggle]:
    """A Kaggle that takes as many predictions as there are `LABELS`; the environment has a good token for it."""
    for name in os.environ:
        if name.startswith("KAGGLE_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    with LocalKaggle(LABELS) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
