"""One board's share of a campaign: where it gets samples and leaves results."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from pytest_tinyml.campaign.samples import EncodedWork
from pytest_tinyml.errors import BoardCrashedError

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.campaign.samples import SampleEncoder
    from pytest_tinyml.errors import BoardError
    from pytest_tinyml.links.workqueue import WorkQueue
    from pytest_tinyml.stores.runs import RunJournal

RENEW_S = 5.0
COMMIT_S = 0.05
"""Results are held back no longer than this while more are coming, and not at all when none are."""
MAX_STRIKES = 2
"""A sample that was on the board in so many crashes is recorded as failed."""


class BoardWork(EncodedWork):
    """Implements `links.work.Work` for one board; used by that board's thread alone.

    After a crash the sample that the board named is sent alone, or all that were on the board one by one, so that a
    second crash names its sample.

    Args:
        board: the board's name.
        queue: shared by all boards of the campaign.
        encoder: shared.
        run: shared.

    Attributes:
        session: the journal's number for the time since the board was opened.
        answered: samples answered through this board.
        given_up: samples recorded as failed through this board since its last answer.
        is_open: False from a failure until the board is there again.
    """

    def __init__(self, board: str, queue: WorkQueue, encoder: SampleEncoder, run: RunJournal) -> None:
        """Begin without a session: the campaign sets it when the board is open."""
        super().__init__(encoder)
        self.session = 0
        self.answered = 0
        self.given_up: list[int] = []
        self.is_open = True
        self._board, self._queue, self._run = board, queue, run
        self._suspects: set[int] = set()
        self._leased: set[int] = set()
        self._renewed = self._committed = time.monotonic()
        self._staged: set[int] = set()
        self._fresh: list[tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]] = []

    @property
    def finished(self) -> bool:
        """See `Work.finished`."""
        return self._queue.finished

    def take(self, count: int) -> list[int]:
        """See `Work.take`; one at a time while a crash is being investigated."""
        # Another board may have answered for them.
        self._suspects = {k for k in self._suspects if not self._run.done[k] and k not in self._run.failed}
        if self._suspects:
            if self._leased:
                return []
            count = 1
        ids = self._queue.lease(self._board, count)
        self._leased.update(ids)
        return ids

    def wait(self, timeout_s: float) -> None:
        """See `Work.wait`."""
        if not self._commit():
            self._queue.wait(timeout_s)

    def flush(self) -> None:
        """See `Work.flush`."""
        self._commit()

    def answer(self, ids: npt.NDArray[np.uint32], ticks: npt.NDArray[np.uint32], scores: npt.NDArray[np.uint8]) -> None:
        """See `Work.answer`: in the journal before it counts as done.

        Results that come in quick succession are committed together: a commit costs as much as a hundred small ones.
        """
        if not self._staged.isdisjoint(ids.tolist()):
            self._commit()
        self._staged.update(ids.tolist())
        self._fresh.append((ids, ticks, scores))
        if time.monotonic() - self._committed > COMMIT_S:
            self._commit()

    def _commit(self) -> bool:
        """Write what has come since the last time; returns whether there was anything."""
        self._committed = time.monotonic()
        if not self._fresh:
            return False
        ids, ticks, scores = (np.concatenate(parts) for parts in zip(*self._fresh, strict=True))
        self._fresh.clear()
        self._staged.clear()
        conflicts = self._run.record(self.session, ids, ticks, scores)
        if conflicts:
            self.note("conflict", f"samples answered differently the second time: {conflicts}")
        self._settle(ids.tolist())
        self.answered += len(ids)
        self.given_up.clear()
        return True

    def fail(self, sample: int, reason: str) -> None:
        """See `Work.fail`."""
        self._commit()
        self._run.fail(self.session, sample, reason)
        self._settle([sample])

    def note(self, kind: str, text: str) -> None:
        """See `Work.note`."""
        self._run.event(self._board, kind, text)

    def crashed(self, error: BoardError) -> None:
        """Give the leases back; the sample that was running gets a strike, and after two is given up.

        That is the one that the board's fault handler names, or else one that was alone on the board.
        """
        self._commit()
        running = error.running if isinstance(error, BoardCrashedError) else None
        blamed = self._leased & {running} or (set(self._leased) if len(self._leased) == 1 else set())
        self._suspects.update(blamed or self._leased)
        sample = next(iter(blamed), None)
        self._queue.release(self._board, blame=sample)
        self._leased.clear()
        if sample is not None and self._queue.strikes(sample) >= MAX_STRIKES:
            self.fail(sample, f"the board failed {MAX_STRIKES} times on this sample: {error.message}")
            self.given_up.append(sample)

    def acquit(self) -> None:
        """Take back what was said of the samples given up: this board dies of any, and another one shall try them."""
        self._run.withdraw(self.given_up)
        self._queue.put_back(self.given_up)
        self.given_up.clear()

    def _settle(self, ids: list[int]) -> None:
        self._queue.complete(ids)
        if time.monotonic() - self._renewed > RENEW_S:
            self._queue.renew(self._board)
            self._renewed = time.monotonic()
        self._leased.difference_update(ids)
        self._suspects.difference_update(ids)
