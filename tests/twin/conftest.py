"""The desk, and what a chip has in its flash before a test begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.presence import lacking

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.projects import Project
    from tests.twin.desk import Desk


@pytest.fixture(scope="session")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which applications are built."""
    return tmp_path_factory.mktemp("apps")


@pytest.fixture
def desk(project: Project, apps: Path) -> Desk:
    """A desk at which pytest can be run on twins."""
    try:
        from tests.twin.desk import Desk as Made
    except ImportError as error:  # pragma: no cover - the extra is there where these tests are asked for
        lacking(f"pytest-tinyml[esp] or esp32-mock-bootloader is not installed ({error})")
    return Made(project, apps)


@pytest.fixture
def flashed(desk: Desk) -> Callable[..., bytes]:
    """Returns what is in the flash of a chip that runs a model's firmware: flashing takes most of a minute here."""
    from tests.twin.image import flash_of

    return lambda model, **wired: flash_of(desk.build(model, **wired) / "build")
