"""A campaign ends as soon as its sequential test is certain, and what decides is the order that was drawn."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.campaign.early import EarlyStop, Partner
from pytest_tinyml.campaign.run import Campaign
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.campaign.settings import CampaignSettings
from pytest_tinyml.errors import BoardCrashedError
from pytest_tinyml.stores.journal import Journal
from pytest_tinyml.verdict.compare import predictions
from pytest_tinyml.verdict.sequentialspec import SequentialSpec
from tests.unit.simulated import MODEL, make_dataset, scores_of
from tests.unit.test_campaign import FakeBoard, HostCrc, LocalReference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.boards.base import Board

N = 3000
WAIT_S = 60.0
HOST = Partner(kind="host", name="tflm")
BATCH = 100


def take_time(sample: int) -> None:
    """Let an inference take long enough to be stopped."""
    del sample
    time.sleep(0.001)


def SlowBoard(**parts: Any) -> FakeBoard:  # noqa: N802 - stands for the class
    """Return a board that is not done before anybody has looked."""
    return FakeBoard(**{"before": take_time} | parts)


def classes(count: int = N) -> npt.NDArray[np.int64]:
    """Return what the host predicts."""
    rows = b"".join(scores_of(row.tobytes()) for row in make_dataset(count).images)
    return predictions(np.frombuffer(rows, dtype=np.int8).reshape(count, -1), MODEL.output)


def turned(sample: int, scores: bytes) -> bytes:
    """Return scores of another class."""
    del sample
    return bytes((byte + 128) % 256 for byte in scores)[::-1]


@pytest.fixture
def journal_path(tmp_path: Path) -> Iterator[Path]:
    """Where results are kept; no thread may outlive the test."""
    threads = set(threading.enumerate())
    yield tmp_path / "journal.sqlite"
    assert set(threading.enumerate()) <= threads


def make_campaign(
    path: Path, *boards: Board, partner: Partner = HOST, labelled: bool = True, spec: SequentialSpec | None = None
) -> tuple[Campaign, EarlyStop]:
    """Make a campaign with an early stop; the labels are what the host predicts, but for every tenth."""
    labels = np.where(np.arange(N) % 10 == 0, (classes() + 1) % 4, classes()) if labelled else None
    data = replace(make_dataset(N), labels=labels)
    encoder = SampleEncoder(MODEL, data)
    campaign = Campaign(
        MODEL,
        data,
        boards,
        encoder=encoder,
        journal=Journal(path),
        reference=LocalReference(HostCrc(), MODEL, data, encoder, samples=N),
        settings=CampaignSettings(kind="fake", engine="crc", link="none", samples=N),
    )
    spec = spec or SequentialSpec(delta=0.02)
    early = EarlyStop(spec, partner, samples=N, labels=labels, output=MODEL.output)
    campaign.early = early
    return campaign, early


def run(campaign: Campaign) -> None:
    """Wait for everything, as a test of the suite would."""
    try:
        campaign.start()
        assert campaign.wait_for(range(N), WAIT_S)
        campaign.finish()
    finally:
        campaign.close()


def facts(campaign: Campaign, early: EarlyStop) -> dict[str, Any]:
    """Return what the results would have."""
    done = int(campaign.run.done.sum())
    campaign.close_journal()
    return early.facts(stopped=done < N)


@pytest.mark.parametrize("labelled", [True, False])
def test_equal_boards_end_early(journal_path: Path, labelled: bool) -> None:
    """A board that gives what the host gives is asked for a few hundred samples, in random order, and has passed."""
    board = SlowBoard(batch=BATCH)
    campaign, early = make_campaign(journal_path, board, labelled=labelled)
    run(campaign)
    found = facts(campaign, early)
    assert ("no regression", True, 0, 0, 0.0) == tuple(
        found[key] for key in ("verdict", "stopped", "worse", "better", "loss")
    )
    assert found["samples"] <= len(board.inferred) < N // 2
    assert early.order[: len(board.inferred)].tolist() == board.inferred
    assert found["p_worse_by_delta"] <= 0.05 < found["p_not_worse"]
    assert found["text"].startswith("no regression of 2 pp against tflm after ")


def worse_now_and_then(sample: int, scores: bytes) -> bytes:
    """Return scores of which every tenth is of another class."""
    return turned(sample, scores) if sample % 10 == 1 else scores


def faulty() -> npt.NDArray[np.bool_]:
    """Return which samples such a board has wrong and the host right: bool [N]."""
    images = make_dataset(N).images
    rows = b"".join(worse_now_and_then(k, scores_of(row.tobytes())) for k, row in enumerate(images))
    return np.asarray(predictions(np.frombuffer(rows, dtype=np.int8).reshape(N, -1), MODEL.output) != classes())


def test_a_regression_ends_early(journal_path: Path) -> None:
    """A board that is worse is found out within a part of the samples, and the text has the counts."""
    campaign, early = make_campaign(journal_path, SlowBoard(batch=BATCH, change=worse_now_and_then))
    run(campaign)
    found = facts(campaign, early)
    assert ("regression", True) == (found["verdict"], found["stopped"])
    assert found["p_not_worse"] <= 0.05
    worse = int(faulty()[early.order[: found["samples"]]].sum())
    assert (worse, 0) == (found["worse"], found["better"])
    assert f"{worse} only tflm has right, 0 only the board" in found["text"]


def test_against_a_baseline(journal_path: Path) -> None:
    """A baseline with the same faults as the board is its equal, and the host's answers are not waited for."""
    before = np.where(faulty(), (classes() + 1) % 4, classes())
    partner = Partner(kind="baseline", name="0003_main", classes=before)
    campaign, early = make_campaign(
        journal_path, SlowBoard(batch=BATCH, change=worse_now_and_then), partner=partner, spec=SequentialSpec(delta=0.1)
    )
    run(campaign)
    found = facts(campaign, early)
    assert ("no regression", {"kind": "baseline", "name": "0003_main"}) == (found["verdict"], found["partner"])
    assert "against baseline 0003_main" in found["text"]


def test_a_sample_that_fails_counts_as_wrong(journal_path: Path) -> None:
    """A board cannot look better by dying of samples; where the host is wrong too, nothing is lost."""
    deadly = {int(sample) for sample in make_order()[[10, 40, 70]]}

    def die(sample: int) -> None:
        if sample in deadly:
            msg = f"died of {sample}"
            error = BoardCrashedError(msg, board="fake")
            error.running = sample
            raise error

    campaign, early = make_campaign(journal_path, SlowBoard(before=die, batch=BATCH))
    run(campaign)
    assert deadly == set(campaign.run.failed)
    expected = sum(sample % 10 != 0 for sample in deadly)
    assert expected == facts(campaign, early)["worse"]


def test_a_board_that_dies_of_any_sample_proves_nothing(journal_path: Path) -> None:
    """What a board gave up before it was lost is asked of another one, and does not count as wrong meanwhile."""

    def die(sample: int) -> None:
        time.sleep(0.02)
        msg = f"died of {sample}"
        error = BoardCrashedError(msg, board="dying")
        error.running = sample
        raise error

    partner = Partner(kind="baseline", name="0001_main", classes=classes())
    boards = SlowBoard(name="dying", before=die), SlowBoard(batch=BATCH)
    campaign, early = make_campaign(journal_path, *boards, partner=partner, spec=SequentialSpec(delta=0.003))
    run(campaign)
    assert ({"dying"}, {}) == (campaign.bench.lost, campaign.run.failed)
    assert (0, "no regression") == (early.counts[0], facts(campaign, early)["verdict"])


def make_order() -> npt.NDArray[np.int64]:
    """Return the order of seed 0."""
    return EarlyStop(SequentialSpec(), HOST, samples=N, labels=None, output=MODEL.output).order


def test_only_what_was_drawn_before_counts(journal_path: Path) -> None:
    """Answers that overtake one that is missing wait for it."""
    campaign, early = make_campaign(journal_path, SlowBoard())
    campaign.bench.connect()
    fake = FakeRun()
    fake.done[early.order[1:]] = True
    assert (False, 0) == (early.advance(fake, campaign.reference), early.samples)  # type: ignore[arg-type]
    fake.done[early.order[0]] = True
    assert (False, 0) == (early.advance(fake, campaign.reference), early.samples)  # type: ignore[arg-type]
    campaign.reference.done[early.order[:5]] = True
    early.advance(fake, campaign.reference)  # type: ignore[arg-type]
    assert 5 == early.samples
    assert early.text.startswith("undecided whether there is a regression of 2 pp against tflm after 5 of 3,000 ")
    campaign.close()
    campaign.close_journal()


class FakeRun:
    """A run of which only what the test needs is there."""

    def __init__(self) -> None:
        """Have no answer."""
        self.done = np.zeros(N, dtype=np.bool_)
        self.scores = np.zeros((N, 4), dtype=np.uint8)
        self.failed: dict[int, str] = {}


def test_two_boards_decide_like_one(journal_path: Path, tmp_path: Path) -> None:
    """Who answers, and in which order, has no part in the verdict."""
    one, early_one = make_campaign(journal_path, SlowBoard(change=worse_now_and_then))
    run(one)
    boards = [SlowBoard(name=f"fake#{k}", change=worse_now_and_then, batch=7 * k + 3) for k in range(3)]
    three, early_three = make_campaign(tmp_path / "other.sqlite", *boards)
    run(three)
    left, right = facts(one, early_one), facts(three, early_three)
    for rounded in ("p_not_worse", "p_worse_by_delta"):
        assert pytest.approx(left.pop(rounded)) == right.pop(rounded)
    assert left == right


def test_asked_again_it_measures_again(journal_path: Path) -> None:
    """A run that ended early is finished: the next one with the same identity does not take its answers for its own."""
    first, _ = make_campaign(journal_path, SlowBoard(batch=BATCH))
    run(first)
    first.close_journal()
    board = SlowBoard(batch=BATCH)
    second, early = make_campaign(journal_path, board)
    run(second)
    assert (0, early.samples) == (second.run.resumed, min(early.samples, len(board.inferred)))
    second.close_journal()


def test_an_interrupted_one_is_resumed(journal_path: Path) -> None:
    """What was answered before an interruption counts, and the verdict is the same as without one."""
    first, _ = make_campaign(journal_path, SlowBoard(batch=8), spec=SequentialSpec(delta=0.001))
    first.start()
    stop_after(first, lambda: int(first.run.done.sum()) >= 50)
    first.close()
    first.close_journal()
    second, early = make_campaign(journal_path, SlowBoard(batch=BATCH))
    run(second)
    assert second.run.resumed >= 50
    assert ("no regression", True) == (facts(second, early)["verdict"], early.samples < N)


def stop_after(campaign: Campaign, condition: Callable[[], bool]) -> None:
    """Wait for a condition, bounded."""
    for _ in range(1000):
        if condition():
            return
        campaign.queue.wait(0.05)
    pytest.fail("it did not come to that")
