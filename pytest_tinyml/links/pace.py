"""How much to put into one request: what a board does in a moment, and what a noisy line lets through.

A frame of n payload bytes and h bytes around them arrives whole with probability (1 - p)^(n + h) if each byte is spoilt
with probability p, and a spoilt frame is sent again. The time per payload byte, (n + h) / (n (1 - p)^(n + h)), is least
where n^2 + h n = h / -ln(1 - p) (its derivative set to zero), about sqrt(h / p). With h = 14 that is 4 KB at one spoilt
byte in a million, and one MNIST image at one in 2,600 (a bit error rate of 5e-5).
"""

from __future__ import annotations

import math
from typing import Final

OVERHEAD_BYTES: Final = 14
"""Of an INFER: version, type, seq, CRC, one COBS code, the delimiter, and the payload's own header (PROTOCOL.md)."""
MEMORY_BYTES: Final = 1 << 16
"""Over so many bytes an observed loss fades to 1/e: a line that was repaired is soon used as one."""


class Pace:
    """Watches what is answered and what is lost; all times are given, none is read.

    Args:
        batch_s: a request holds no more samples than the board does in about this many seconds.
        most: samples that a request may hold at all.

    Attributes:
        limit: most samples of the next request, at least 1. Begins with 1 and at most doubles with each answer.
    """

    def __init__(self, batch_s: float, most: int) -> None:
        """Know nothing yet."""
        self.limit = 1
        self._batch_s, self._most = batch_s, most
        self._samples = 0
        self._spent_s = 0.0
        self._passed = self._lost = 0.0

    def answered(self, samples: int, took_s: float) -> None:
        """Count answers, and the time that they took; time lost with lost frames is not the board's."""
        self._samples += samples
        self._spent_s += took_s

    def completed(self, encoded_bytes: int) -> None:
        """Count a request that was answered whole."""
        self._travelled(encoded_bytes)
        if self._samples:
            rate = self._samples / max(self._spent_s, 1e-6)
            self.limit = max(1, min(int(rate * self._batch_s), 2 * self.limit, self._most))

    def lost(self, encoded_bytes: int) -> None:
        """Count a request that was spoilt, or its answer."""
        self._travelled(encoded_bytes)
        self._lost += 1

    def _travelled(self, encoded_bytes: int) -> None:
        kept = math.exp(-encoded_bytes / MEMORY_BYTES)
        self._passed = self._passed * kept + encoded_bytes
        self._lost *= kept

    @property
    def payload_bytes(self) -> float:
        """The best size of a request's samples on this line; infinite while nothing is lost. See the module."""
        if not self._lost:
            return math.inf
        spoilt = min(self._lost / self._passed, 0.5)
        h = OVERHEAD_BYTES
        return (math.sqrt(h * h - 4 * h / math.log1p(-spoilt)) - h) / 2

    def due_s(self, samples: int) -> float | None:
        """Return how long so many samples take by experience; None without any."""
        return samples * self._spent_s / self._samples if self._samples else None
