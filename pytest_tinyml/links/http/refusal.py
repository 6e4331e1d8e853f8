"""Why a request is refused, and what is counted."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why; the name in `ImageServer.counters` is ``refused_`` and this."""

    UNAUTHORIZED = "unauthorized"
    MALFORMED = "malformed"
    NOT_FOUND = "not_found"
    METHOD = "method"
    SLOW = "slow"
    ORDER = "out_of_order"
    LEFT = "samples_left"
    OVER = "run_over"
    TOO_LARGE = "too_large"
    NOT_READY = "not_ready"
    CROWDED = "too_many_connections"


STATUS: Final[dict[Reason, int]] = {
    Reason.UNAUTHORIZED: 401,
    Reason.MALFORMED: 400,
    Reason.NOT_FOUND: 404,
    Reason.METHOD: 405,
    Reason.SLOW: 408,
    Reason.ORDER: 409,
    Reason.LEFT: 409,
    Reason.OVER: 410,
    Reason.TOO_LARGE: 413,
    Reason.NOT_READY: 503,
    Reason.CROWDED: 503,
}
"""Statuses of firmware/HTTP.md, section 1."""


class RefusedError(Exception):
    """A request that is not carried out.

    Args:
        reason: for status and counter.
        text: for whoever looks at the answer; holds nothing secret.
        close: whether the connection ends with the answer, as the rest of the request is not read.
        allow: methods that the path has.
        left: samples without a prediction, if that is the reason.
    """

    def __init__(
        self, reason: Reason, text: str, *, close: bool = False, allow: str = "", left: int | None = None
    ) -> None:
        """Keep all."""
        self.left = left
        self.reason, self.text, self.close, self.allow = reason, text, close, allow
        super().__init__(text)


class Counters:
    """What came in; changed by the server's thread alone, read by any."""

    def __init__(self) -> None:
        """Begin with zeros: the keys never change, so that a copy can be made at any time."""
        names = ("connections", "sessions", "exchanges", "repeats", "images", "predictions")
        self._counts = dict.fromkeys((*names, *(f"refused_{reason}" for reason in Reason)), 0)

    def add(self, name: str) -> None:
        """Count one more."""
        self._counts[name] += 1

    def refused(self, reason: Reason) -> None:
        """Count a refusal."""
        self._counts[f"refused_{reason}"] += 1

    def copy(self) -> dict[str, int]:
        """Return all counts by name."""
        return dict(self._counts)
