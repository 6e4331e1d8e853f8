"""The last step of a session with ``--tinyml-submit``, which adds this file to what is collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.suite.checks import check_submission

if TYPE_CHECKING:
    from pytest_tinyml.records import Model

pytestmark = pytest.mark.tinyml


def test_submission(tinyml_model: Model, pytestconfig: pytest.Config) -> None:
    """Every sample was answered, nothing failed, and the competition has the predictions."""
    assert check_submission(pytestconfig)["message"].startswith(tinyml_model.name)
