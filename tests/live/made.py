"""A run that goes on when a test says so, with the attributes that the live page reads of a real one."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.links.workqueue import WorkQueue
from pytest_tinyml.records import Dataset, TensorSpec
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.runs import Event
from tests.unit.simulated import IDENTITY, MODEL

if TYPE_CHECKING:
    from pytest_tinyml.records import Task

CLASSES: Final = 10
OUTPUT: Final = TensorSpec(dtype="int8", shape=(1, CLASSES), scale=1 / 256, zero_point=-128)
VALUES: Final = TensorSpec(dtype="float32", shape=(1, 2))


def digits(count: int) -> Dataset:
    """Return the first test images of the zoo."""
    data = load_dataset("mnist-28k")
    labels = None if data.labels is None else data.labels[:count]
    return replace(data, images=data.images[:count], labels=labels)


def features(count: int) -> Dataset:
    """Return samples that are no images, each with two values that a regression should give."""
    rng = np.random.default_rng(2)
    return Dataset(
        name="made",
        images=rng.normal(size=(count, 6)).astype(np.float32),
        labels=None,
        targets=rng.normal(size=(count, 2)),
        sha256="",
    )


class MadeRun:
    """See the module; implements `pytest_tinyml.report.live.source.Source`.

    Args:
        samples: of the run.
        flips: how many the board will label otherwise than the host, spread over the run.
        wrong: how many board and host will both label wrongly.
        boards: their names.
        dataset: digits if there is none.
        task: of the model.
    """

    def __init__(
        self,
        samples: int = 200,
        *,
        name: str = "native",
        flips: int = 3,
        wrong: int = 10,
        boards: tuple[str, ...] = ("native",),
        dataset: Dataset | None = None,
        task: Task = "classification",
    ) -> None:
        """Be there, and not have begun."""
        self.name, self.current = name, ""
        self.broken: Any = None
        self.failures: list[str] = []
        self.results: dict[str, Any] | None = None
        self.events: list[Event] = []
        data = dataset or digits(samples)
        output = VALUES if task == "regression" else OUTPUT
        self.board, self.host = (
            self._outputs(data, samples, flips, wrong) if data.labels is not None else _values(samples)
        )
        self.campaign: Any = SimpleNamespace(
            model=replace(MODEL, name="s0-made", output=output, task=task),
            dataset=data,
            settings=SimpleNamespace(
                samples=samples,
                tolerance=SimpleNamespace(labels_only=False),
                id="",
                kind=name,
                engine="aot",
                link="socket",
            ),
            bench=SimpleNamespace(
                boards=[SimpleNamespace(name=board) for board in boards], identities={}, lost=set(), firmware_sha256=""
            ),
            queue=WorkQueue(()),
            run=SimpleNamespace(
                done=np.zeros(samples, dtype=np.bool_),
                scores=np.zeros((samples, output.nbytes), dtype=np.uint8),
                failed=dict[int, str](),
                resumed=0,
                events=lambda: self.events,
            ),
            reference=SimpleNamespace(
                name="tflm", done=np.zeros(samples, dtype=np.bool_), scores=np.zeros_like(self.host)
            ),
            works={},
            early=None,
            started_at=None,
            wall_s=0.0,
        )

    def _outputs(self, data: Dataset, samples: int, flips: int, wrong: int) -> tuple[Any, Any]:
        """Return what board and host will answer, int8 [samples, 10]."""
        assert data.labels is not None
        host = data.labels[:samples].copy()
        host[np.linspace(1, samples - 1, wrong).astype(int)] += 1
        board = host.copy()
        board[np.linspace(2, samples - 2, flips).astype(int)] += 3
        identity = np.where(np.eye(CLASSES) > 0, 127, -128).astype(np.int8)
        return identity[board % CLASSES], identity[host % CLASSES]

    def connect(self, test: str = "test_identity") -> None:
        """Open the boards."""
        self.current = f"suite.py::{test}"
        self.campaign.bench.identities = {board.name: IDENTITY for board in self.campaign.bench.boards}
        self.campaign.bench.firmware_sha256 = "f" * 64

    def start(self) -> None:
        """Begin to stream."""
        self.connect("test_samples")
        campaign = self.campaign
        campaign.queue = WorkQueue(range(campaign.settings.samples))
        campaign.works = {board.name: SimpleNamespace(answered=0, is_open=True) for board in campaign.bench.boards}
        campaign.started_at = time.monotonic()

    def answer(self, count: int, *, board: int = 0, compared: bool = True) -> None:
        """Answer so many samples, which the host has computed as well unless it is late."""
        campaign = self.campaign
        name = campaign.bench.boards[board].name
        ids = campaign.queue.lease(name, count)
        campaign.run.scores[ids] = self.board.view(np.uint8).reshape(len(self.board), -1)[ids]
        campaign.run.done[ids] = True
        campaign.works[name].answered += len(ids)
        if compared:
            campaign.reference.scores[ids] = self.host[ids]
            campaign.reference.done[ids] = True
        campaign.queue.complete(ids)

    def happen(self, board: str, kind: str, text: str) -> None:
        """Note an event."""
        self.events.append(Event(at=1_800_000_000.0, board=board, kind=kind, text=text))

    def conclude(self, *problems: str) -> None:
        """Have results."""
        self.campaign.wall_s = time.monotonic() - self.campaign.started_at
        self.results = {"passed": not problems, "problems": list(problems)}


def _values(samples: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    host = rng.normal(size=(samples, 2)).astype(np.float32)
    board = host.copy()
    board[::9] += np.float32(0.25)
    return board, host
