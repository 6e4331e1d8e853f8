"""What the live page may ask a run of a session: enough to show it, and nothing that changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.errors import TinymlError


class Source(Protocol):
    """One run, whose attributes other threads change."""

    @property
    def name(self) -> str:
        """What tells it from the session's others."""
        ...

    @property
    def campaign(self) -> Campaign:
        """Perhaps not started yet."""
        ...

    @property
    def current(self) -> str:
        """Id of the test that is running; empty before its first."""
        ...

    @property
    def broken(self) -> tuple[str, TinymlError] | None:
        """In which test its boards failed for good, and how."""
        ...

    @property
    def failures(self) -> list[str]:
        """What failed, one line each."""
        ...

    @property
    def results(self) -> dict[str, Any] | None:
        """What was found, when all is done (docs/reference/results.md)."""
        ...
