"""Whole runs over HTTP: every sample is answered once, whatever is lost on the way."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.campaign.run import Campaign
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.campaign.settings import CampaignSettings
from pytest_tinyml.links.http import ImageServer, ServedRun
from pytest_tinyml.stores.journal import Journal
from tests.http.pullclient import Losses, PullBoard
from tests.unit.simulated import IDENTITY, MODEL, make_dataset, right_scores
from tests.unit.test_campaign import HostCrc, LocalReference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

N = 400
WAIT_S = 60.0
BOARD = replace(IDENTITY, rx_window=512)


@pytest.fixture
def server() -> Iterator[ImageServer]:
    """An image server for the simulated model."""
    made = ImageServer(run=ServedRun(model=MODEL, dataset=make_dataset(N), samples=N))
    yield made
    made.close()


def make_campaign(folder: Path, server: ImageServer, *losses: Losses) -> Campaign:
    """Make a campaign with a board for each kind of loss."""
    boards = [
        PullBoard(
            BoardRequest(model=MODEL, work_dir=folder, index=index, server=server, timeout_s=10.0),
            identity=BOARD,
            losses=loss,
        )
        for index, loss in enumerate(losses)
    ]
    dataset = make_dataset(N)
    encoder = SampleEncoder(MODEL, dataset)
    return Campaign(
        MODEL,
        dataset,
        boards,
        encoder=encoder,
        journal=Journal(folder / "journal.sqlite"),
        reference=LocalReference(HostCrc(), MODEL, dataset, encoder, samples=N),
        settings=CampaignSettings(kind="pulling", engine="crc", link="http", samples=N, fresh=True),
        server=server,
    )


def run(campaign: Campaign) -> tuple[dict[int, bytes], int]:
    """Run a campaign to its end; returns the scores by sample, and the rows in the journal."""
    try:
        campaign.bench.check_canaries()
        campaign.start()
        assert campaign.wait_for(range(N), WAIT_S)
        campaign.finish()
        scores = {k: campaign.run.scores[k].tobytes() for k in np.flatnonzero(campaign.run.done).tolist()}
        rows = sum(total for total, _ in campaign.run.shares().values())
        assert campaign.run.conflicts() == []
        return scores, rows
    finally:
        campaign.close()
        campaign.close_journal()


@pytest.mark.parametrize(
    "losses",
    [
        Losses(),
        Losses(unread=5),
        Losses(unsent=4),
        Losses(unread=7, unsent=3),
        Losses(away_at=20, away_s=2.0),
        Losses(reset_after=N // 2),
        Losses(reset_after=40, unread=6, away_at=30, away_s=0.5),
    ],
    ids=["none", "answers", "bodies", "answers and bodies", "network", "reset", "all"],
)
def test_no_sample_is_lost_or_doubled(tmp_path: Path, server: ImageServer, losses: Losses) -> None:
    """Every sample is in the journal once and right, and a window is never exceeded."""
    campaign = make_campaign(tmp_path, server, losses)
    (board,) = campaign.bench.boards
    assert (right_scores(N), N) == run(campaign)
    assert isinstance(board, PullBoard)
    assert 0 == board.seen.overruns


def test_lost_answers_were_repeated(tmp_path: Path, server: ImageServer) -> None:
    """The losses of the test above happen: the server was asked for the same exchange again."""
    run(make_campaign(tmp_path, server, Losses(unread=3)))
    assert server.counters()["repeats"] > 0
    assert 1 == server.counters()["sessions"]


def test_several_boards_share_a_run(tmp_path: Path, server: ImageServer) -> None:
    """Boards pull from one queue, and one that starts anew costs nothing but time."""
    campaign = make_campaign(tmp_path, server, Losses(), Losses(unread=4), Losses(reset_after=30))
    assert (right_scores(N), N) == run(campaign)


def test_a_board_in_the_middle_of_its_work_can_post(tmp_path: Path) -> None:
    """Results do not wait for the host to have something to say: the end of a run takes no long poll."""
    server = ImageServer(run=ServedRun(model=MODEL, dataset=make_dataset(N), samples=N), poll_s=40.0)
    campaign = make_campaign(tmp_path, server, Losses())
    begun = time.monotonic()
    run(campaign)
    assert time.monotonic() - begun < 35.0
