"""Performance mode, after everything else of a run; added to what is collected by ``--tinyml-option performance=S``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_tinyml.shell.handles import RunHandle

pytestmark = pytest.mark.tinyml


def test_performance(tinyml_run: RunHandle) -> None:
    """Every window was as long as was asked for."""
    measured = tinyml_run.performance()
    assert measured
    for performance in measured.values():
        assert all(window.device_s >= performance.window_s for window in performance.windows)
