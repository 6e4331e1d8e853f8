"""A Kaggle for the tests of this folder, and for every process that they start."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.campaign import submission as case
from pytest_tinyml.kaggle import competitions
from tests.kaggle.runs import LABELS, SMALL, make_journal
from tests.kaggle.server import LocalKaggle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.projects import Project


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalKaggle]:
    """A Kaggle that takes as many predictions as there are `LABELS`; the environment has a good token for it."""
    for name in list(os.environ):
        if name.startswith("KAGGLE_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    with LocalKaggle(LABELS) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def small(kaggle: LocalKaggle, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A user's project, and a competition for its 40 samples."""
    from tests.projects import LABELS as OWN_LABELS

    monkeypatch.setitem(competitions.COMPETITIONS, SMALL.name, SMALL)
    kaggle.labels = tuple(OWN_LABELS.tolist())
    return project


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal with one run; what is not listed after a second has not arrived."""
    monkeypatch.setattr(case, "SETTLE_S", 1.0)
    return make_journal(tmp_path / "journal.sqlite")
