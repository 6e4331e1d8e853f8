"""What the tests on the stand-in need of this computer, and the stand-ins themselves."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_tinyml.boards.nucleo_f446re import PART
from tests.firmware.tools import need
from tests.nucleo.standin import StandIn
from tests.presence import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator


class Plug(Protocol):
    """Plugs a stand-in in."""

    def __call__(self, **settings: Any) -> StandIn:
        """Return a `StandIn` with these settings; the programs on the path talk to it from now on."""
        ...


@pytest.fixture(autouse=True)
def tools() -> None:
    """Every test here needs these."""
    need("qemu-system-arm")
    if missing := PART.missing():
        lacking(", ".join(item.what for item in missing))


@pytest.fixture
def plug(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """Returns what plugs stand-ins in; they are unplugged in the end."""
    with ExitStack() as plugged:

        def plug_in(**settings: Any) -> StandIn:
            found = plugged.enter_context(StandIn(tmp_path_factory.mktemp("n"), **settings))
            for name, value in found.environment.items():
                monkeypatch.setenv(name, value)
            return found

        yield plug_in
