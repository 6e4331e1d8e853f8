"""What tests of reports begin with: a browser to look at them, and a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.stores.journal import Journal
from tests.browser import browser, open_tab
from tests.report.made import make_run

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["browser", "open_tab"]


@pytest.fixture
def results(tmp_path: Path) -> dict[str, Any]:
    """Those of a run with one label flip among eight."""
    board = np.tile(np.array([[9, 1, 0]], dtype=np.int8), (8, 1))
    host = board.copy()
    host[3] = 1, 9, 0
    with Journal(tmp_path / "journal.sqlite") as journal:
        return make_run(journal, board, host, truth=np.zeros(8, dtype=np.int64)).results
