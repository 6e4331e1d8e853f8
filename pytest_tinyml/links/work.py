"""What a link draws from and delivers to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from pytest_tinyml.records import Encoding


class Work(Protocol):
    """Where a board gets samples and leaves results; implemented by the campaign, called from the board's thread."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        ...

    def take(self, count: int) -> list[int]:
        """Lease at most `count` samples; empty when nothing is free at the moment."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Wait for something to become free or all to be finished, at most `timeout_s` seconds."""
        ...

    def encoding(self, offered: frozenset[Encoding], *, packed: bool) -> Encoding:
        """Choose how samples travel to a board that understands `offered`; packed if the line is slow."""
        ...

    def raw(self, encoding: Encoding, ids: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Return samples in an unpacked encoding: uint8 [len(ids), bytes of a sample]."""
        ...

    def packed(self, encoding: Encoding, sample: int) -> bytes:
        """Return one sample in a packed encoding."""
        ...

    def answer(self, ids: npt.NDArray[np.uint32], ticks: npt.NDArray[np.uint32], scores: npt.NDArray[np.uint8]) -> None:
        """Leave results: uint32 [n], uint32 [n], uint8 [n, output bytes]."""
        ...

    def flush(self) -> None:
        """Put away what `answer` may have held back: nothing comes from the board at the moment."""
        ...

    def fail(self, sample: int, reason: str) -> None:
        """Report that the board could not do a sample."""
        ...

    def note(self, kind: str, text: str) -> None:
        """Report something worth keeping in the journal, e.g. a resend."""
        ...
