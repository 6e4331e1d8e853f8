"""The verdict of the sequential test; added to what is collected by ``--tinyml-sequential``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.suite.checks import check_sequential

if TYPE_CHECKING:
    from pytest_tinyml.shell.handles import RunHandle

pytestmark = pytest.mark.tinyml


def test_sequential(tinyml_run: RunHandle) -> None:
    """The board is not less often right than its partner, the host or the baseline, at the error rates asked for."""
    check_sequential(tinyml_run)
