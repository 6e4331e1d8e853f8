"""Run a model over a data set on any number of boards, and keep what comes back.

The boards draw from one queue, each in a thread of its own. A board that fails gives its samples back and is started
again; the caller waits for the samples that it wants to see.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.campaign.bench import Bench
from pytest_tinyml.campaign.boardwork import MAX_STRIKES, BoardWork
from pytest_tinyml.campaign.keeping import keep_host
from pytest_tinyml.campaign.samples import check_shapes, truth_of
from pytest_tinyml.errors import BoardError, JournalError, TinymlError
from pytest_tinyml.links.workqueue import WorkQueue
from pytest_tinyml.stores.runs import RunJournal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pytest_tinyml.boards.base import Board
    from pytest_tinyml.campaign.early import EarlyStop
    from pytest_tinyml.campaign.reference import ReferenceRun
    from pytest_tinyml.campaign.samples import SampleEncoder
    from pytest_tinyml.campaign.settings import CampaignSettings
    from pytest_tinyml.links.http import ImageServer
    from pytest_tinyml.records import Dataset, Model
    from pytest_tinyml.stores.journal import Journal


class Campaign:
    """One run; see the module.

    Used as: construct, `bench.connect`, `bench.check_canaries`, `start`, `wait_for`, `finish`, `close`.

    Args:
        model: what the boards execute.
        dataset: what they are asked.
        boards: of one kind, not yet prepared.
        encoder: makes samples and tensors.
        journal: keeps the results.
        reference: the host's answers, computed meanwhile.
        settings: see there.
        server: what the boards pull from, if they do; closed with the campaign.

    Attributes:
        journal: see there.
        early: ends the campaign before its last sample, if that was set before `start`.
        works: each board's share, by name; a board is there when its thread has begun.

    Raises:
        DatasetError, UsageError: the data set does not fit the model.
    """

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        boards: Sequence[Board],
        *,
        encoder: SampleEncoder,
        journal: Journal,
        reference: ReferenceRun,
        settings: CampaignSettings,
        server: ImageServer | None = None,
    ) -> None:
        """Check that data and model fit; start nothing."""
        check_shapes(model, dataset)
        self.model, self.dataset, self.settings, self.reference = model, dataset, settings, reference
        self.bench = Bench(
            boards=tuple(boards),
            engine=settings.engine,
            clock=settings.clock,
            model=model,
            dataset=dataset,
            samples=settings.samples,
            reference=reference,
            tolerance=settings.tolerance,
            encoder=encoder,
            verifiable=settings.verifiable,
            canaried=settings.canaried,
        )
        self.server = server
        self.error: TinymlError | None = None
        self.wall_s = 0.0
        self.started_at: float | None = None
        self.works: dict[str, BoardWork] = {}
        self.journal = journal
        self._run: RunJournal | None = None
        self.early: EarlyStop | None = None
        self._queue = WorkQueue(())
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    @property
    def run(self) -> RunJournal:
        """The run in the journal; exists after `start`."""
        if self._run is None:
            raise RuntimeError("the campaign was not started")
        return self._run

    @property
    def queue(self) -> WorkQueue:
        """What is left to do; empty before `start`."""
        return self._queue

    def start(self) -> None:
        """Begin to stream, where an unfinished run with the same identity stopped.

        Raises:
            JournalError: another process is at the same run, or the journal cannot be written.
        """
        self.bench.connect()
        key = self.settings.run_key(self.model, self.dataset, self.bench.identity, self.bench.firmware_sha256)
        self._run = RunJournal.open(self.journal, key, self.model.output.nbytes, fresh=self.settings.fresh)
        keep_host(self._run, self.reference, truth_of(self.model, self.dataset))
        self.reference.start()
        order = np.arange(self.settings.samples) if self.early is None else self.early.order
        left = [int(k) for k in order[~self._run.done[order]] if int(k) not in self._run.failed]
        self._queue = WorkQueue(left, lease_s=self.settings.lease_s)
        self.started_at = time.monotonic()
        for board in self.bench.boards:
            thread = threading.Thread(target=self._drive, args=(board,), name=f"board {board.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait_for(self, ids: Sequence[int], timeout_s: float | None = None) -> bool:
        """Wait until the samples are answered or recorded as failed, and the reference has them too.

        If there is an `early` stop, also until that is certain, and only for those that were answered by then.

        Args:
            ids: sample ids.
            timeout_s: longest wait; None relies on the bounds of the boards' own waits.

        Returns:
            False if the time was up.

        Raises:
            TinymlError: what ended the campaign before they were done.
        """
        wanted = np.asarray(ids, dtype=np.int64)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._answered(wanted):
            self._raise_error()
            if deadline is not None and time.monotonic() > deadline:
                return False
            self._queue.wait(0.2)
            if self._queue.finished and not self._answered(wanted):
                self._raise_error()
                raise BoardError("the campaign was stopped")
        if self.early is not None and self.early.certain:
            wanted = wanted[self.run.done[wanted]]
        return self.reference.wait_for(wanted, None if deadline is None else deadline - time.monotonic())

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    def _answered(self, wanted: npt.NDArray[np.int64]) -> bool:
        if self.advance_early():
            self._queue.stop()
            return True
        return all(int(sample) in self.run.failed for sample in wanted[~self.run.done[wanted]])

    def advance_early(self) -> bool:
        """Have the `early` stop, if there is one, go on with what is known by now; returns whether it is certain."""
        if self.early is None:
            return False
        # What a board gave up is asked of another one, if it turns out that the board dies of any sample.
        works = () if self._queue.finished else tuple(self.works.values())
        return self.early.advance(self.run, self.reference, {k for work in works for k in tuple(work.given_up)})

    def finish(self) -> None:
        """Wait for everything, mark the run as complete, and send the canaries once more.

        Raises:
            TinymlError: what ended the campaign.
            CanaryError: a board answers the canaries differently after the run than before.
        """
        self.wait_for(range(self.settings.samples))
        self.end_threads()
        # Complete whatever the canaries say now: asking for this run again shall measure again.
        self.run.finish()
        self.bench.check_canaries_again()
        self.bench.read_counters()

    def infer(self, images: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """See `Bench.infer`; ends a run that is going on."""
        self.end_threads()
        return self.bench.infer(images)

    def measure_performance(self) -> None:
        """See `Bench.measure_performance`; after the run, with whose outputs those of the windows are compared.

        Raises:
            BoardError: a board fails, or has no performance mode.
        """
        self.wait_for(range(self.settings.samples))
        self.end_threads()
        self.bench.measure_performance(self.run.scores)

    def close(self) -> None:
        """Stop the boards, give up what is not done; harmless when repeated. The journal keeps what was answered."""
        try:
            self.end_threads()
        finally:
            # Also when the journal cannot be written any more.
            self.bench.close()
            self.reference.close()
            if self.server is not None:
                self.server.close()

    def close_journal(self) -> None:
        """Close the journal, when everything that is to be known has been asked; harmless when repeated."""
        self.journal.close()

    def end_threads(self) -> None:
        """Stop the queue and wait for the boards' threads, whose own waits are bounded."""
        if not self._threads:
            return
        self._queue.stop()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        try:
            self.run.add_wall(self.wall_s)
            if self._answered(np.arange(self.settings.samples)):
                # Nothing is left to resume, whether or not anybody asks for `finish`.
                self.run.finish()
        except JournalError as error:
            # The answers are committed; why this could not be is said with them.
            self.error = self.error or error

    def _drive(self, board: Board) -> None:
        """Thread of one board: whatever ends it reaches the user, and does not die with the thread."""
        try:
            self._serve(board)
        except TinymlError as error:
            # The journal cannot be written, or a sample does not fit: no board could do better.
            self._fail(error)
        except BaseException as error:
            self._fail(TinymlError(f"internal error while driving board {board.name!r}: {error!r}"))
            raise
        finally:
            self._note_end()

    def _serve(self, board: Board) -> None:
        """Stream, and start the board again when it fails."""
        work = self.works[board.name] = BoardWork(board.name, self._queue, self.bench.encoder, self.run)
        failures = 0
        while not self._queue.finished:
            answered = work.answered
            try:
                if not work.is_open:
                    self.bench.greet(board)
                    work.is_open = True
                work.session = self.run.begin_session(board.name, {"identity": repr(self.bench.identities[board.name])})
                try:
                    board.stream(work)
                finally:
                    work.flush()
            except BoardError as error:
                work.is_open = False
                board.close()
                work.crashed(error)
                failures = failures + 1 if work.answered == answered else 1
                # A sample that kills the board takes some restarts; a board that dies of any sample ends here.
                if failures > self.settings.restarts + MAX_STRIKES - 1:
                    work.acquit()
                    self._lose(board.name, error)
                    return
                self.run.event(board.name, "restart", str(error))

    def _note_end(self) -> None:
        with self._lock:
            if self.started_at is not None:
                self.wall_s = max(self.wall_s, time.monotonic() - self.started_at)

    def _lose(self, board: str, error: BoardError) -> None:
        """Give a board up; the campaign ends with the last one."""
        with self._lock:
            self.bench.lost.add(board)
            last = len(self.bench.lost) == len(self.bench.boards)
        self.run.event(board, "lost", str(error))
        if last:
            done = np.flatnonzero(self.run.done)
            error.last_sample = int(done[-1]) if len(done) else None
            self._fail(error)

    def _fail(self, error: TinymlError) -> None:
        self.error = self.error or error
        self._queue.stop()
