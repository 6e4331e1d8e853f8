"""The fixtures; each hands out what the harness of a board holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_tinyml.shell.options import NO_BOARD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tinyml.records import Dataset, Model
    from pytest_tinyml.shell.handles import BoardHandle, ReferenceHandle, RunHandle
    from pytest_tinyml.shell.harness import Harness
    from pytest_tinyml.shell.session import Session

SESSION: Final = "tinyml-session"
"""Name of the plugin object that a session with ``--board`` has."""
HARNESS: Final = "_tinyml_harness"
"""Name of the fixture that all others rest on; with several boards or models the plugin parametrises it."""


@pytest.fixture(scope="session")
def _tinyml_harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """The board's harness, until all fixtures that rest on it are torn down."""
    session: Session | None = request.config.pluginmanager.get_plugin(SESSION)
    if session is None:
        pytest.skip(NO_BOARD)
    harness = session.harness(getattr(request, "param", None))
    if harness is None:
        pytest.fail(
            "there are several boards or models: take the fixture as an argument (or with pytest.mark.usefixtures), "
            "so that the test runs once for each",
            pytrace=False,
        )
    if request.config.pluginmanager.has_plugin("junitxml"):
        session.record_property = request.getfixturevalue("record_testsuite_property")
    yield harness
    harness.release()


@pytest.fixture(scope="session")
def tinyml_model(_tinyml_harness: Harness) -> Model:
    """The model under test (`pytest_tinyml.records.Model`)."""
    return _tinyml_harness.model


@pytest.fixture(scope="session")
def tinyml_dataset(_tinyml_harness: Harness) -> Dataset:
    """The data set (`pytest_tinyml.records.Dataset`)."""
    return _tinyml_harness.dataset


@pytest.fixture(scope="session")
def tinyml_board(_tinyml_harness: Harness) -> BoardHandle:
    """The board, opened and known to be the one that was asked for (`pytest_tinyml.shell.handles.BoardHandle`)."""
    return _tinyml_harness.board()


@pytest.fixture(scope="session")
def tinyml_reference(_tinyml_harness: Harness) -> ReferenceHandle:
    """The host's answers (`pytest_tinyml.shell.handles.ReferenceHandle`)."""
    return _tinyml_harness.reference()


@pytest.fixture(scope="session")
def tinyml_run(_tinyml_harness: Harness) -> RunHandle:
    """The run over the data set, begun when first asked for (`pytest_tinyml.shell.handles.RunHandle`)."""
    return _tinyml_harness.run()
