"""What performance mode gives, whatever the protocol: inferences per second in long windows, and their median."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WINDOWS: Final = 5
WINDOW_S: Final = 10.0
"""By MLPerf Tiny's rules: so many windows, none shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window.

    Attributes:
        sample: id of the input.
        inferences: in it, warm-up not counted.
        device_s: how long it took by the device's clock.
        host_s: how long the host waited for it, warm-up and answer included.
        per_s: inferences per second of the device's clock.
    """

    sample: int
    inferences: int
    device_s: float
    host_s: float
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What performance mode gave.

    Attributes:
        windows: in order.
        window_s: least length that was asked for.
        median_per_s: the score.
        remarks: why it is not valid by the rules; empty if it is.
        same_outputs: whether the outputs behind every window are those of the run; None if that is not known. They are
            not where a device loads an input once, and its engine then uses the memory for something else.
    """

    windows: tuple[Window, ...]
    window_s: float
    median_per_s: float
    remarks: tuple[str, ...]
    same_outputs: bool | None = None
