"""This repository's own use of the plugin: ``--board`` without paths collects only the tests that use a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

TESTS = Path(__file__).parent / "tests"
BOARD_TESTS = TESTS / "hil"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spare a run on a board the imports of tests that would be deselected anyway."""
    if not config.getoption("--board", None) or config.args_source is config.ArgsSource.ARGS:
        return None
    in_tests = collection_path.is_relative_to(TESTS) and collection_path != TESTS
    return True if in_tests and not collection_path.is_relative_to(BOARD_TESTS) else None
