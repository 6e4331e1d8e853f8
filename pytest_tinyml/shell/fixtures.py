"""The fixtures; each hands out what the harness of this session holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.shell.options import NO_BOARD

if TYPE_CHECKING:
    from pytest_tinyml.records import Dataset, Model
    from pytest_tinyml.shell.handles import BoardHandle, ReferenceHandle, RunHandle
    from pytest_tinyml.shell.harness import Harness


def _harness(config: pytest.Config) -> Harness:
    harness: Harness | None = config.pluginmanager.get_plugin("tinyml-harness")
    if harness is None:
        pytest.skip(NO_BOARD)
    return harness


@pytest.fixture(scope="session")
def tinyml_model(pytestconfig: pytest.Config) -> Model:
    """The model under test (`pytest_tinyml.records.Model`)."""
    return _harness(pytestconfig).model


@pytest.fixture(scope="session")
def tinyml_dataset(pytestconfig: pytest.Config) -> Dataset:
    """The data set (`pytest_tinyml.records.Dataset`)."""
    return _harness(pytestconfig).dataset


@pytest.fixture(scope="session")
def tinyml_board(pytestconfig: pytest.Config) -> BoardHandle:
    """The board, opened and known to be the one that was asked for (`pytest_tinyml.shell.handles.BoardHandle`)."""
    return _harness(pytestconfig).board()


@pytest.fixture(scope="session")
def tinyml_reference(pytestconfig: pytest.Config) -> ReferenceHandle:
    """The host's answers (`pytest_tinyml.shell.handles.ReferenceHandle`)."""
    return _harness(pytestconfig).reference()


@pytest.fixture(scope="session")
def tinyml_run(pytestconfig: pytest.Config) -> RunHandle:
    """The run over the data set, begun when first asked for (`pytest_tinyml.shell.handles.RunHandle`)."""
    return _harness(pytestconfig).run()
