"""The twin by itself: its threads keep out of each other's way, and of the next twin's."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.twin.circuit import Adapter

pytestmark = pytest.mark.twin


class OtherFirst(AbstractContextManager[None]):
    """A lock that another thread got first, just before: it let go of RTS."""

    def __init__(self, adapter: Adapter) -> None:
        """Wait for somebody who wants the lock."""
        self._adapter, self._entered = adapter, False

    def __enter__(self) -> None:
        """Let the other thread do what it wants."""
        if not self._entered:
            self._entered = True
            self._adapter.rts = False

    def __exit__(self, *_: object) -> None:
        """Nobody waits."""


def test_lines_are_set_by_two_threads_at_once() -> None:
    """Espressif's server sets DTR in one thread while it resets the chip with RTS in another: neither undoes it."""
    from tests.twin.circuit import Adapter

    adapter = Adapter(lambda: None, lambda _: None, wired=False)
    adapter.rts = True
    adapter._lock = OtherFirst(adapter)  # type: ignore[assignment]
    adapter.dtr = False
    assert not adapter.rts


def test_an_unplugged_twin_listens_no_more() -> None:
    """Its thread does not wait at the number of a descriptor that is somebody else's by now."""
    from tests.twin.board import Twin

    with Twin():
        assert [thread.name for thread in threading.enumerate()].count("twin line") == 1
    assert "twin line" not in [thread.name for thread in threading.enumerate()]
