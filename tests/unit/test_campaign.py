"""Campaigns with boards that die, come back, lie and get lost: nothing is lost, and nothing is wrong."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pytest

from pytest_tinyml.campaign.progress import progress
from pytest_tinyml.campaign.reference import ReferenceRun
from pytest_tinyml.campaign.run import Campaign
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.campaign.settings import CampaignSettings
from pytest_tinyml.errors import (
    BoardCrashedError,
    BoardError,
    CanaryError,
    IdentityError,
    JournalError,
    TinymlError,
    UsageError,
)
from pytest_tinyml.records import CanaryResult, Encoding, Identity
from pytest_tinyml.stores.journal import Journal
from tests.unit.simulated import FIRMWARE_SHA256, IDENTITY, MODEL, make_dataset, scores_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.boards.base import Board
    from pytest_tinyml.links.work import Work
    from pytest_tinyml.records import Model
    from pytest_tinyml.references.base import OnChunk

N = 60
WAIT_S = 20.0


class HostCrc:
    """A reference that computes what the simulated engine computes."""

    name = "tflm"
    exact = True
    runtime_version = "1"

    def scores(self, model: Model, tensors: npt.NDArray[Any], *, on_chunk: OnChunk | None = None) -> npt.NDArray[Any]:
        """Give the CRC of the pixels."""
        del model
        pixels = (tensors.astype(np.int16) + 128).astype(np.uint8)
        rows = b"".join(scores_of(row.tobytes()) for row in pixels)
        scores = np.frombuffer(rows, dtype=np.int8).reshape(len(tensors), -1)
        if on_chunk is not None:
            on_chunk(0, scores)
        return scores

    def close(self) -> None:
        """Have nothing to end."""


class LocalReference(ReferenceRun):
    """Without caches and processes."""

    def canary_scores(self, tensors: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Compute at once."""
        return self.reference.scores(self._model, tensors)

    def _scores(self, reference: Any, on_chunk: OnChunk | None) -> npt.NDArray[Any]:
        tensors = self._encoder.tensors(slice(0, len(self.done)))
        scores: npt.NDArray[Any] = reference.scores(self._model, tensors, on_chunk=on_chunk)
        return scores

    def _check_other(self) -> None:
        """Leave the other runtime alone."""


def stopped(work: Work) -> bool:
    """Whether the work has ended since it was last asked."""
    return work.finished


@dataclass
class FakeBoard:
    """A board without a link.

    Attributes:
        before: called with the sample before each inference; raises what shall go wrong.
        change: turns right scores into what this board gives.
        batch: samples per lease.
    """

    name: str = "fake"
    before: Callable[[int], None] = lambda _: None
    change: Callable[[int, bytes], bytes] = lambda _, scores: scores
    refuse_open: BaseException | None = None
    refuse_close: BaseException | None = None
    batch: int = 8
    identity: Identity = IDENTITY
    opened: int = 0
    closed: int = 0
    inferred: list[int] = field(default_factory=list)
    console_tail: tuple[str, ...] = ()

    def prepare(self) -> str:
        """See `Board.prepare`."""
        return FIRMWARE_SHA256

    def open(self) -> Identity:
        """See `Board.open`."""
        self.opened += 1
        if self.refuse_open is not None and self.opened > 1:
            raise self.refuse_open
        return self.identity

    def canary(self, encoding: Encoding, sample: int, data: bytes) -> CanaryResult:
        """See `Board.canary`."""
        del encoding
        tensor = bytes((pixel - 128) % 256 for pixel in data)
        scores = self.change(sample, scores_of(data))
        return CanaryResult(id=sample, ticks=1, input_crc=crc32(tensor), scores=scores)

    def stream(self, work: Work) -> None:
        """See `Board.stream`: answers one by one."""
        while not work.finished:
            ids = work.take(self.batch)
            if not ids:
                work.wait(0.02)
            for sample in ids:
                if stopped(work):
                    return
                self.before(sample)
                self.inferred.append(sample)
                scores = self.change(sample, scores_of(work.raw(Encoding.PIXELS, [sample]).tobytes()))
                work.answer(
                    np.array([sample], np.uint32), np.array([7], np.uint32), np.frombuffer(scores, np.uint8)[None, :]
                )

    def stats(self) -> dict[str, int]:
        """See `Board.stats`."""
        return {}

    def close(self) -> None:
        """See `Board.close`."""
        self.closed += 1
        if self.refuse_close is not None:
            raise self.refuse_close


@pytest.fixture
def journal_path(tmp_path: Path) -> Iterator[Path]:
    """Where results are kept; no thread may outlive the test."""
    threads = set(threading.enumerate())
    yield tmp_path / "journal.sqlite"
    assert set(threading.enumerate()) <= threads


def make_campaign(path: Path, *boards: Board, fresh: bool = False, samples: int = N) -> Campaign:
    """Make a campaign; nothing is started."""
    data = make_dataset(N)
    encoder = SampleEncoder(MODEL, data)
    return Campaign(
        MODEL,
        data,
        boards,
        encoder=encoder,
        journal=Journal(path),
        reference=LocalReference(HostCrc(), MODEL, data, encoder, samples=samples),
        settings=CampaignSettings(kind="fake", engine="crc", link="none", samples=samples, fresh=fresh),
    )


def run_all(campaign: Campaign, *, finish: bool = True) -> None:
    """Run to the end or to the error, and close everything."""
    try:
        campaign.start()
        assert campaign.wait_for(range(campaign.settings.samples), WAIT_S)
        if finish:
            campaign.finish()
    finally:
        campaign.close()


def assert_complete(campaign: Campaign, *, but: tuple[int, ...] = ()) -> None:
    """All samples have their right scores, but for some that have none."""
    expected = [bytes(4) if k in but else scores_of(row.tobytes()) for k, row in enumerate(make_dataset(N).images)]
    assert [row.tobytes() for row in campaign.run.scores] == expected
    assert np.flatnonzero(~campaign.run.done).tolist() == list(but)
    assert sorted(campaign.run.failed) == list(but)
    campaign.close_journal()


def kinds(campaign: Campaign) -> list[str]:
    """Return what happened."""
    return [event.kind for event in campaign.run.events()]


class Deadly:
    """Kills the board that tries certain samples, at most so many times each."""

    def __init__(self, *samples: int, times: int = 1_000_000) -> None:
        """Have killed nobody yet."""
        self.left = dict.fromkeys(samples, times)
        self.deaths = 0

    def __call__(self, sample: int) -> None:
        """Raise if it is one of them."""
        if self.left.get(sample, 0):
            self.left[sample] -= 1
            self.deaths += 1
            msg = f"died of {sample}"
            raise BoardCrashedError(msg, board="fake")


def test_an_undisturbed_run(journal_path: Path) -> None:
    """Every sample is asked once, in order, and the board is switched off at the end."""
    board = FakeBoard()
    campaign = make_campaign(journal_path, board)
    campaign.bench.check_canaries()
    run_all(campaign)
    assert (board.inferred, board.opened, kinds(campaign)) == (list(range(N)), 1, [])
    assert board.closed >= 1
    assert campaign.wall_s > 0
    assert_complete(campaign)


def test_a_board_that_comes_back(journal_path: Path) -> None:
    """Three deaths in different places cost three restarts and no result."""
    board = FakeBoard(before=Deadly(3, 20, 59, times=1))
    campaign = make_campaign(journal_path, board)
    run_all(campaign)
    assert (board.opened, kinds(campaign)) == (4, ["restart"] * 3)
    assert_complete(campaign)


@pytest.mark.parametrize("poison", [0, 1, 17, 40, N - 1])
def test_a_sample_that_kills_the_board_is_given_up(journal_path: Path, poison: int) -> None:
    """It is tried once more alone, recorded as failed with the reason, and the rest completes."""
    deadly = Deadly(poison)
    board = FakeBoard(before=deadly)
    campaign = make_campaign(journal_path, board)
    run_all(campaign)
    assert deadly.deaths in {2, 3}
    assert "2 times on this sample: died of" in campaign.run.failed[poison]
    assert_complete(campaign, but=(poison,))


def test_a_sample_that_the_board_names_is_tried_once_more(journal_path: Path) -> None:
    """A fault handler that says which sample was running saves trying all the others one by one."""
    deaths: list[int] = []

    def die(sample: int) -> None:
        if sample in {17, 40}:
            deaths.append(sample)
            error = BoardCrashedError("processor fault", board="fake")
            error.running = sample
            raise error

    campaign = make_campaign(journal_path, FakeBoard(before=die))
    run_all(campaign)
    assert deaths == [17, 17, 40, 40]
    assert_complete(campaign, but=(17, 40))


def test_two_samples_that_kill_are_both_named(journal_path: Path) -> None:
    """In the same lease and far apart, each poison is found and nothing else is blamed."""
    campaign = make_campaign(journal_path, FakeBoard(before=Deadly(9, 12, 50)))
    run_all(campaign)
    assert_complete(campaign, but=(9, 12, 50))


def test_a_board_that_dies_for_good(journal_path: Path) -> None:
    """The error is the board's own, with the last sample; what was answered stays, and no sample is blamed."""

    def die_late(sample: int) -> None:
        if sample >= 25:
            msg = "no power"
            raise BoardCrashedError(msg, board="fake", console_tail=("brownout",))

    board = FakeBoard(before=die_late)
    campaign = make_campaign(journal_path, board)
    with pytest.raises(BoardError, match="no power") as caught:
        run_all(campaign)
    assert caught.value.last_sample == 24
    assert "brownout" in str(caught.value)
    assert kinds(campaign)[-1] == "lost"
    assert board.opened <= 6
    assert campaign.run.failed == {}
    assert np.flatnonzero(campaign.run.done).tolist() == list(range(25))
    campaign.close_journal()

    resumed = make_campaign(journal_path, FakeBoard())
    run_all(resumed)
    assert resumed.run.resumed == 25
    assert_complete(resumed)


def test_a_board_that_does_not_open_again(journal_path: Path) -> None:
    """What it says when it is started again is the error."""
    board = FakeBoard(before=Deadly(30), refuse_open=BoardError("no port", board="fake"))
    campaign = make_campaign(journal_path, board)
    with pytest.raises(BoardError, match="no port"):
        run_all(campaign)
    campaign.close_journal()


def test_another_board_at_the_same_port(journal_path: Path) -> None:
    """A board that comes back as somebody else is not used."""
    board = FakeBoard(before=Deadly(30))

    def swap(sample: int) -> None:
        if sample == 30:
            board.identity = replace(IDENTITY, model_sha256="0" * 64)
            msg = "unplugged"
            raise BoardCrashedError(msg)

    board.before = swap
    campaign = make_campaign(journal_path, board)
    with pytest.raises(IdentityError, match="wrong model"):
        run_all(campaign)
    assert int(campaign.run.done.sum()) == 30
    campaign.close_journal()


def test_two_boards_share_the_work(journal_path: Path) -> None:
    """Each sample is done by one of them."""
    met = threading.Barrier(2, timeout=WAIT_S)
    first = {"a": True, "b": True}

    def meet(name: str) -> Callable[[int], None]:
        def before(_: int) -> None:
            if first[name]:
                first[name] = False
                met.wait()

        return before

    boards = [FakeBoard(name=name, before=meet(name)) for name in "ab"]
    campaign = make_campaign(journal_path, *boards)
    run_all(campaign)
    assert sorted(boards[0].inferred + boards[1].inferred) == list(range(N))
    assert all(board.inferred for board in boards)
    assert_complete(campaign)


def test_one_of_two_boards_dies_for_good(journal_path: Path) -> None:
    """The other one does its samples too, also those that the dead one seemed to die of."""
    b_may_go = threading.Event()

    def die(sample: int) -> None:
        msg = f"no power at {sample}"
        raise BoardCrashedError(msg, board="a")

    bad, good = FakeBoard(name="a", before=die), FakeBoard(name="b", before=lambda _: wait_briefly(b_may_go))
    campaign = make_campaign(journal_path, bad, good)
    lose = campaign._lose

    def lose_and_tell(board: str, error: BoardError) -> None:
        lose(board, error)
        b_may_go.set()

    campaign._lose = lose_and_tell  # type: ignore[method-assign]
    run_all(campaign)
    assert campaign.bench.lost == {"a"}
    assert "lost" in kinds(campaign)
    assert_complete(campaign)


def pause_at(stop: int, reached: threading.Event, go_on: threading.Event) -> Callable[[int], None]:
    """Return what holds a board up at one sample."""

    def pause(sample: int) -> None:
        if sample == stop:
            reached.set()
            wait_briefly(go_on)

    return pause


def wait_briefly(event: threading.Event) -> None:
    """Wait, within bounds."""
    assert event.wait(WAIT_S)


def test_a_second_answer_that_differs_is_a_conflict(journal_path: Path) -> None:
    """The first answer stays; the sample is reported as non-deterministic."""
    board = FakeBoard()
    stream = board.stream

    def stream_and_repeat(work: Work) -> None:
        work.answer(*answer_of(5, scores_of(make_dataset(N).images[5].tobytes())))
        work.answer(*answer_of(5, b"\1\2\3\4"))
        stream(work)

    board.stream = stream_and_repeat  # type: ignore[method-assign]
    campaign = make_campaign(journal_path, board)
    run_all(campaign)
    assert campaign.run.conflicts() == [5]
    assert kinds(campaign) == ["conflict"]
    assert_complete(campaign)


def answer_of(
    sample: int, scores: bytes
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """Return the arguments of `Work.answer` for one sample."""
    return np.array([sample], np.uint32), np.array([7], np.uint32), np.frombuffer(scores, np.uint8)[None, :]


@pytest.mark.parametrize("stops", [(1,), (30,), (8, 9, 55), (58,)])
def test_stopped_runs_resume_to_the_same_bytes(journal_path: Path, stops: tuple[int, ...]) -> None:
    """Closed in the middle as by Ctrl-C, any number of times: the end equals an undisturbed run's."""
    for stop in stops:
        reached, go_on = threading.Event(), threading.Event()

        campaign = make_campaign(journal_path, FakeBoard(before=pause_at(stop, reached, go_on)))
        campaign.start()
        assert reached.wait(WAIT_S)
        campaign._queue.stop()
        go_on.set()
        campaign.close()
        campaign.close_journal()
    board = FakeBoard()
    campaign = make_campaign(journal_path, board)
    run_all(campaign)
    assert campaign.run.resumed > 0
    assert len(board.inferred) == N - campaign.run.resumed
    assert_complete(campaign)


def test_a_complete_run_is_measured_again(journal_path: Path) -> None:
    """Also if nobody asked for `finish`; `fresh` measures again what an unfinished run had."""
    for finish in (False, True):
        board = FakeBoard()
        campaign = make_campaign(journal_path, board)
        run_all(campaign, finish=finish)
        assert len(board.inferred) == N
        assert_complete(campaign)


def test_state_found_after_the_run(journal_path: Path) -> None:
    """Canaries that change during the run are an error at its end, and the run counts as measured."""
    board = FakeBoard()
    campaign = make_campaign(journal_path, board)
    campaign.bench.check_canaries()
    campaign.start()
    campaign.wait_for(range(N), WAIT_S)
    board.change = lambda _, scores: bytes((scores[0] ^ 1,)) + scores[1:]
    with pytest.raises(CanaryError, match="after the run than before"):
        campaign.finish()
    campaign.close()
    campaign.close_journal()


@pytest.mark.parametrize("error", [UsageError("too large"), JournalError("disk full")])
def test_what_no_board_could_do_ends_the_run(journal_path: Path, error: TinymlError) -> None:
    """Errors that are not the board's are not tried again."""

    def refuse(sample: int) -> None:
        if sample == 11:
            raise error

    board = FakeBoard(before=refuse)
    campaign = make_campaign(journal_path, board)
    with pytest.raises(type(error), match=str(error)):
        run_all(campaign)
    assert board.opened == 1
    campaign.close_journal()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("where", ["before", "refuse_close", "refuse_open"])
def test_a_bug_in_a_board_reaches_the_user(journal_path: Path, where: str) -> None:
    """Any exception in a board's thread ends the run with its text: nobody waits for a thread that is gone."""
    bug = ZeroDivisionError("a bug")
    board = FakeBoard(before=Deadly(20, times=1))
    if where == "before":

        def divide(sample: int) -> None:
            if sample == 20:
                raise bug

        board.before = divide
    else:
        setattr(board, where, bug)
    campaign = make_campaign(journal_path, board)
    campaign.start()
    try:
        with pytest.raises(TinymlError, match=r"internal error while driving board 'fake'.*a bug"):
            campaign.wait_for(range(N), WAIT_S)
    finally:
        board.refuse_close = None
        campaign.close()
        campaign.close_journal()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_the_reference_reaches_the_user(journal_path: Path) -> None:
    """Nobody waits for answers of the host that will never come."""

    def broken(*_: object, **__: object) -> None:
        msg = "a bug"
        raise ZeroDivisionError(msg)

    campaign = make_campaign(journal_path, FakeBoard())
    campaign.reference._scores = broken  # type: ignore[assignment, method-assign]
    with pytest.raises(TinymlError, match=r"internal error in reference 'tflm'.*a bug"):
        run_all(campaign)
    campaign.close_journal()


def test_boards_are_switched_off_even_if_the_journal_is_gone(journal_path: Path) -> None:
    """Closing switches every board off, whatever fails on the way."""
    boards = [FakeBoard(name="a", refuse_close=BoardError("stuck")), FakeBoard(name="b")]
    campaign = make_campaign(journal_path, *boards)
    campaign.start()
    campaign.wait_for(range(N), WAIT_S)
    campaign.journal.close()
    with suppress(BoardError):
        campaign.close()
    assert [board.closed > 0 for board in boards] == [True, True]


def test_boards_that_were_not_reached_are_greeted_the_next_time(journal_path: Path) -> None:
    """Connecting again after a failure opens those that were not open."""
    late = FakeBoard(name="b", refuse_open=BoardError("booting"), opened=1)
    campaign = make_campaign(journal_path, FakeBoard(name="a"), late)
    with pytest.raises(BoardError, match="booting"):
        campaign.bench.connect()
    late.refuse_open = None
    run_all(campaign)
    assert set(campaign.bench.identities) == {"a", "b"}
    assert_complete(campaign)


def test_progress_without_an_answer(journal_path: Path) -> None:
    """When all samples so far have failed there is no accuracy, and no division by zero."""
    campaign = make_campaign(journal_path, FakeBoard(before=Deadly(0)), samples=1)
    campaign.dataset = replace(campaign.dataset, labels=np.zeros(N, dtype=np.int64))
    run_all(campaign)
    now = progress(campaign)
    assert (now.done, now.total, now.top1, now.agreement) == (1, 1, None, None)
    campaign.close_journal()


@pytest.mark.parametrize("ids", [[7, 3, 9], [5, 5, 7], [4, 5, 6], [9, 8, 7], [0, 2, 2], [3]])
def test_samples_are_the_ones_that_were_asked_for(ids: list[int]) -> None:
    """Ids in any order give their own rows: a slice is taken only where they follow each other."""
    data = make_dataset(N)
    rows = SampleEncoder(MODEL, data).raw(Encoding.PIXELS, ids)
    assert [row.tobytes() for row in rows] == [data.images[k].tobytes() for k in ids]
