"""The simplest `Work`: every sample of a data set once, results in a dictionary; for tests of boards."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from pytest_tinyml.campaign.samples import EncodedWork

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from pytest_tinyml.campaign.samples import SampleEncoder


class ListWork(EncodedWork):
    """Implements `links.work.Work` for one board.

    Args:
        encoder: of the data set.
        ids: samples to do.

    Attributes:
        scores: output bytes by sample id, as they came first.
        repeats: every answer to a sample that had been answered before.
        failed: reasons by sample id.
        notes: what the board reported, kind and text.
    """

    def __init__(self, encoder: SampleEncoder, ids: Sequence[int]) -> None:
        """Queue the samples."""
        super().__init__(encoder)
        self.scores: dict[int, bytes] = {}
        self.repeats: list[tuple[int, bytes]] = []
        self.failed: dict[int, str] = {}
        self.notes: list[tuple[str, str]] = []
        self._ids = tuple(ids)
        self._free: deque[int] = deque(ids)

    def again(self) -> None:
        """Offer what is not answered once more, after the board has failed."""
        self._free = deque(k for k in self._ids if k not in self.scores and k not in self.failed)

    @property
    def finished(self) -> bool:
        """See `Work.finished`."""
        return len(self.scores) + len(self.failed) >= len(self._ids)

    def take(self, count: int) -> list[int]:
        """See `Work.take`."""
        return [self._free.popleft() for _ in range(min(count, len(self._free)))]

    def wait(self, timeout_s: float) -> None:
        """See `Work.wait`; nobody else can free a sample."""
        time.sleep(min(timeout_s, 0.01))

    def answer(self, ids: npt.NDArray[np.uint32], ticks: npt.NDArray[np.uint32], scores: npt.NDArray[np.uint8]) -> None:
        """See `Work.answer`."""
        del ticks
        for sample, row in zip(ids.tolist(), scores, strict=True):
            if sample in self.scores:
                self.repeats.append((sample, row.tobytes()))
            else:
                self.scores[sample] = row.tobytes()

    def flush(self) -> None:
        """See `Work.flush`: nothing is held back."""

    def fail(self, sample: int, reason: str) -> None:
        """See `Work.fail`."""
        self.failed[sample] = reason

    def note(self, kind: str, text: str) -> None:
        """See `Work.note`."""
        self.notes.append((kind, text))
