"""Run a model over a data set on any number of boards, and keep what comes back.

The campaign prepares the boards, checks who they are, sends canary samples, and then lets each board draw from one queue in
a thread of its own. A board that fails gives its samples back and is started again; the caller waits for the samples that it
wants to see.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_tinyml.boardwork import BoardWork
from pytest_tinyml.errors import BoardError, TinymlError
from pytest_tinyml.handshake import CanaryReport, canary_ids, check_canaries, check_identity, run_canaries
from pytest_tinyml.links.workqueue import WorkQueue
from pytest_tinyml.samples import SampleEncoder, check_shapes
from pytest_tinyml.stores.runs import RunJournal, RunKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pytest_tinyml.boards.base import Board
    from pytest_tinyml.records import CanaryResult, Dataset, Encoding, Identity, Model
    from pytest_tinyml.referencerun import ReferenceRun
    from pytest_tinyml.stores.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSettings:
    """How a campaign is run.

    Attributes:
        kind: name of the kind of board.
        engine: the engine that this kind has.
        link: name of the link, part of the run's identity.
        samples: how many of the data set's samples, from the first.
        fresh: measure everything again, even if an unfinished run could be resumed.
        restarts: how often a board is started again without an answer in between.
        lease_s: seconds after which an unanswered sample is offered to another board.
        max_lsb: how far the canary's scores may be from the reference's, in steps of the output.
    """

    kind: str
    engine: str
    link: str
    samples: int
    fresh: bool = False
    restarts: int = 2
    lease_s: float = 120.0
    max_lsb: int = 0


class Campaign:
    """See the module; used as: construct, `start`, `wait_for`, `finish`, `close`.

    Args:
        model: what the boards execute.
        dataset: what they are asked.
        boards: of one kind, not yet prepared.
        journal: keeps the results.
        reference: the host's answers, computed meanwhile.
        settings: see there.

    Raises:
        DatasetError, UsageError: the data set does not fit the model.
    """

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        boards: Sequence[Board],
        *,
        journal: Journal,
        reference: ReferenceRun,
        settings: CampaignSettings,
    ) -> None:
        """Check that data and model fit; start nothing."""
        check_shapes(model, dataset)
        self.model, self.dataset, self.settings, self.reference = model, dataset, settings, reference
        self.encoder = SampleEncoder(model, dataset)
        self.boards = tuple(boards)
        self.identities: dict[str, Identity] = {}
        self.canaries: dict[str, CanaryReport] = {}
        self.lost: set[str] = set()
        self.error: TinymlError | None = None
        self.firmware_sha256 = ""
        self.wall_s = 0.0
        self._journal = journal
        self._run: RunJournal | None = None
        self._queue = WorkQueue(())
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._started_at: float | None = None
        self._closed = False

    @property
    def run(self) -> RunJournal:
        """The run in the journal; exists after `start`."""
        if self._run is None:
            msg = "the campaign was not started"
            raise RuntimeError(msg)
        return self._run

    def start(self) -> None:
        """Prepare the boards, check each one's identity and canaries, and begin to stream.

        Raises:
            BuildError, BoardError, IdentityError, CanaryError, JournalError: see `errors`; nothing was spent but time.
        """
        for board in self.boards:
            self.firmware_sha256 = board.prepare()
        for board in self.boards:
            self._greet(board)
            self._check_canaries(board, [])
        first = self.identities[self.boards[0].name]
        key = RunKey(
            model_sha256=self.model.sha256,
            dataset_sha256=self.dataset.sha256,
            samples=self.settings.samples,
            preprocess=repr(self.model.preprocess),
            board=self.settings.kind,
            engine=first.engine,
            link=self.settings.link,
            clock=first.clock.name.lower(),
            firmware_sha256=self.firmware_sha256,
        )
        self._run = RunJournal.open(self._journal, key, self.model.output.nbytes, fresh=self.settings.fresh)
        left = [int(k) for k in np.flatnonzero(~self._run.done) if int(k) not in self._run.failed]
        self._queue = WorkQueue(left, lease_s=self.settings.lease_s)
        self._started_at = time.monotonic()
        for board in self.boards:
            thread = threading.Thread(target=self._drive, args=(board,), name=f"board {board.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait_for(self, ids: Sequence[int], timeout_s: float | None = None) -> bool:
        """Wait until the samples are answered or recorded as failed, and the reference has them too.

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
            if self.error is not None:
                raise self.error
            if deadline is not None and time.monotonic() > deadline:
                return False
            self._queue.wait(0.2)
            if self._queue.finished and not self._answered(wanted) and self.error is None:
                msg = "the campaign was stopped"
                raise BoardError(msg)
        return self.reference.wait_for(wanted, None if deadline is None else deadline - time.monotonic())

    def _answered(self, wanted: npt.NDArray[np.int64]) -> bool:
        open_ids = wanted[~self.run.done[wanted]]
        return all(int(sample) in self.run.failed for sample in open_ids)

    def finish(self) -> None:
        """Wait for everything, send the canaries once more, and mark the run as complete.

        Raises:
            TinymlError: what ended the campaign.
            CanaryError: a board answers the canaries differently after the run than before.
        """
        self.wait_for(range(self.settings.samples))
        self._end_threads()
        for board in self.boards:
            if board.name not in self.lost:
                self._check_canaries(board, [self._canary_round(board)])
        self.run.finish()

    def close(self) -> None:
        """Stop the boards, give up what is not done; harmless when repeated. The journal keeps what was answered."""
        if self._closed:
            return
        self._closed = True
        self._end_threads()
        for board in self.boards:
            board.close()
        self.reference.close()

    def _end_threads(self) -> None:
        self._queue.stop()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._started_at is not None and self._run is not None:
            self._run.add_wall(self.wall_s)

    def _greet(self, board: Board) -> Identity:
        identity = board.open()
        try:
            check_identity(
                identity, self.model, self.firmware_sha256, board=board.name, engine=self.settings.engine
            )
        except TinymlError:
            board.close()
            raise
        self.identities[board.name] = identity
        return identity

    def _canary_round(self, board: Board) -> list[CanaryResult]:
        return run_canaries(board, self.encoder, self._encoding(board), canary_ids(self.settings.samples))

    def _encoding(self, board: Board) -> Encoding:
        return self.encoder.choose(self.identities[board.name].encodings, packed=False)

    def _check_canaries(self, board: Board, later: list[list[CanaryResult]]) -> None:
        """Before the run: two rounds, one after the other. After it: one more, which has to equal the first."""
        ids = canary_ids(self.settings.samples)
        rounds = later or [self._canary_round(board), self._canary_round(board)]
        self.canaries[board.name] = check_canaries(
            rounds,
            self.encoder,
            self.model,
            self.reference.canary_scores(self.encoder.tensors(ids)),
            before=self.canaries.get(board.name),
            board=board.name,
            reference=self.reference.name,
            max_lsb=self.settings.max_lsb,
        )

    def _drive(self, board: Board) -> None:
        """Thread of one board: stream, and start it again when it fails."""
        work = BoardWork(board.name, self._queue, self.encoder, self.run)
        failures = 0
        is_open = True
        while not self._queue.finished:
            settled = work.settled
            try:
                if not is_open:
                    self._greet(board)
                    is_open = True
                work.session = self.run.begin_session(board.name, {"identity": repr(self.identities[board.name])})
                board.stream(work)
            except BoardError as error:
                is_open = False
                board.close()
                work.crashed(error)
                failures = failures + 1 if work.settled == settled else 1
                if failures > self.settings.restarts:
                    self._lost(board.name, error)
                    return
                self.run.event(board.name, "restart", str(error))
            except TinymlError as error:
                # The journal cannot be written, or a sample does not fit: no board could do better.
                self._fail(error)
                return
            except BaseException as error:  # a bug must reach the user, not die with the thread
                self._fail(TinymlError(f"internal error while driving board {board.name!r}: {error!r}"))
                raise
        self._note_end()

    def _note_end(self) -> None:
        with self._lock:
            if self._started_at is not None:
                self.wall_s = max(self.wall_s, time.monotonic() - self._started_at)

    def _lost(self, board: str, error: BoardError) -> None:
        """Give a board up; the campaign ends with the last one."""
        self._note_end()
        with self._lock:
            self.lost.add(board)
            last = len(self.lost) == len(self.boards)
        self.run.event(board, "lost", str(error))
        if last:
            error.last_sample = self._last_answered()
            self._fail(error)

    def _last_answered(self) -> int | None:
        done = np.flatnonzero(self.run.done)
        return int(done[-1]) if len(done) else None

    def _fail(self, error: TinymlError) -> None:
        self._note_end()
        self.error = self.error or error
        self._queue.stop()
