"""The run against its baseline; added to what is collected by ``--tinyml-compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.suite.checks import check_gates

if TYPE_CHECKING:
    from pytest_tinyml.shell.handles import RunHandle

pytestmark = pytest.mark.tinyml


def test_regression(tinyml_run: RunHandle, pytestconfig: pytest.Config) -> None:
    """No figure is worse than the baseline's by more than ``--tinyml-fail-on`` allows."""
    check_gates(tinyml_run, pytestconfig)
