"""Shared by all tests: pytester, which runs pytest on files that a test writes, and a user's project for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_tinyml.paths import CACHE_VARIABLE, cache_dir

if TYPE_CHECKING:
    from tests.projects import Project

pytest_plugins = ["pytester"]

try:
    from hypothesis import settings
except ModuleNotFoundError:
    pass  # The main job reads this file, too, and is run without what only tests need.
else:
    # How long an example takes is the machine's, whatever it is busy with.
    settings.register_profile("unhurried", settings(), deadline=None)
    settings.load_profile("unhurried")

# Known before pytester moves HOME: what a test has built, the next one need not build again.
CACHE: Final = cache_dir()


@pytest.fixture(scope="session")
def loaded() -> None:
    """Import what runs in this process need: pytester forgets the modules that were imported in a test.

    A module that is imported twice has two versions of each of its enumerations, and numpy refuses.
    """
    import bakenn  # noqa: F401
    import scipy.special  # noqa: F401
    from ai_edge_litert import interpreter, schema_py_generated  # noqa: F401

    import pytest_tinyml.boards.native
    import pytest_tinyml.boards.tflm
    import pytest_tinyml.shell.session  # noqa: F401
    import tests.projects  # noqa: F401


@pytest.fixture
def project(loaded: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A user's project with a model and data, and pytest to be run on it."""
    from tests.projects import Project as Made

    monkeypatch.setenv(CACHE_VARIABLE, str(CACHE))
    # Many tests make boards fail; only those that are about causes wait for one to be found. And only those that are
    # about reports read them.
    monkeypatch.setenv("PYTEST_ADDOPTS", "--tinyml-explain=never --tinyml-formats=none")
    return Made(pytester)
