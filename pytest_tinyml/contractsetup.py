"""What stands around the tests of `pytest_tinyml.contract`: settings, how a board is made, what is expected of it."""

# ruff: noqa: S101 - a test class asserts

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import numpy as np
import pytest

from pytest_tinyml.boards.base import Board, BoardKind, BoardRequest
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.links.damage import DAMAGES, DamagedLink, at_frames
from pytest_tinyml.references import get_reference
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.models import load_model
from pytest_tinyml.verdict.compare import Tolerance, compare, describe_difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from pytest_tinyml.campaign.listwork import ListWork
    from pytest_tinyml.errors import BoardError
    from pytest_tinyml.links.base import Link
    from pytest_tinyml.records import CanaryResult, Dataset, Identity, Model

_DAMAGED_FRAMES = frozenset({3, 5})
"""Which frames are damaged: not the greeting, which is repeated anyhow."""

PATIENT_S: Final = 30.0
"""Time-out of boards that are expected to answer: no computer is so busy that a board is silent for that long."""


class BoardSetup:
    """What `BoardContract` is told, and how it makes boards.

    Attributes:
        kind: what is tested.
        models: names or paths of models that the board executes; every test runs with each.
        link: one of the kind's links; None for its first.
        data: name or path of a data set that fits the models.
        samples: how many of it are streamed.
        reference: runtime on the host to compare with.
        max_lsb: tolerated difference from it, in steps of a quantised output; 0 is bit-exact.
        max_abs: tolerated difference of a float output; 0.0 is bit-exact.
        timeout_s: longest silence that a board is allowed in tests of faults.
        recovers: the link may lose bytes, so damaged frames have to be made good and not only noticed.
        faults: see the module.
    """

    kind: ClassVar[BoardKind]
    models: ClassVar[Sequence[str]] = ("s1-ptq",)
    link: ClassVar[str | None] = None
    data: ClassVar[str] = "mnist-28k"
    samples: ClassVar[int] = 40
    reference: ClassVar[str] = "tflm"
    max_lsb: ClassVar[int] = 0
    max_abs: ClassVar[float] = 0.0
    timeout_s: ClassVar[float] = 1.0
    recovers: ClassVar[bool] = False
    faults: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run every test with each model."""
        if "model" in metafunc.fixturenames:
            models = [cached_model(name) for name in self.models]
            # A model's name and not what was asked for: a path is another one on the next computer.
            metafunc.parametrize("model", models, ids=[model.name for model in models])

    def make_board(self, tmp_path: Path, model: Model, **options: str) -> Board:
        """Make a board, not started; override it for boards that need more than a request."""
        missing = self.kind.missing()
        if missing:
            pytest.skip(f"board {self.kind.name!r} needs " + ", ".join(item.what for item in missing))
        request = BoardRequest(
            model=model, work_dir=tmp_path, link=self.link, timeout_s=self.patience_s(options), options=options
        )
        return self.kind.create(request)

    def patience_s(self, options: Mapping[str, str]) -> float:
        """Return the time-out of a board: short where a fault is planted, and generous elsewhere."""
        return self.timeout_s if options else PATIENT_S

    @pytest.fixture
    def encoder(self, model: Model) -> SampleEncoder:
        """Samples as they travel, and the tensors that the engine should see."""
        return SampleEncoder(model, cached_dataset(self.data, self.samples))

    @pytest.fixture
    def board(self, tmp_path: Path, model: Model) -> Iterator[Board]:
        """A healthy board, not started."""
        board = self.make_board(tmp_path, model)
        board.prepare()
        yield board
        board.close()

    def faulty_board(self, tmp_path: Path, model: Model, fault: str, n: int) -> Board:
        """Make a board that fails at inference n; skips if that cannot be planted."""
        if fault not in self.faults:
            pytest.skip(f"board {self.kind.name!r} declares no way to plant {fault!r} (BoardContract.faults)")
        options = {key: value.format(n=n) for key, value in self.faults[fault].items()}
        board = self.make_board(tmp_path, model, **options)
        board.prepare()
        return board

    def assert_right(self, work: ListWork, model: Model) -> None:
        """Whatever was answered is what the reference gives, and nothing was answered in two ways."""
        assert [row for sample, row in work.repeats if row != work.scores[sample]] == []
        assert not work.failed
        ids = sorted(work.scores)
        if ids:
            got = as_scores([work.scores[k] for k in ids], model)
            self.assert_close(got, expected_scores(self.data, self.samples, model, self.reference)[ids], model)

    def assert_close(self, got: npt.NDArray[Any], expected: npt.NDArray[Any], model: Model) -> None:
        """Compare with the reference's scores."""
        difference = compare(got, expected, None, np.arange(len(got), dtype=np.int64), model.output, model.task)
        tolerance = Tolerance(lsb=self.max_lsb, absolute=self.max_abs)
        assert tolerance.allows(difference), describe_difference(difference, self.reference)

    def assert_explained(self, error: BoardError, board: Board) -> None:
        """The error names the board and carries what it said last."""
        assert error.board == board.name
        assert error.console_tail == board.console_tail
        assert any(line.strip() for line in error.console_tail)


def canary(board: Board, identity: Identity, encoder: SampleEncoder, sample: int) -> CanaryResult:
    """Send one sample as a canary, in the encoding that a run would take."""
    encoding = encoder.choose(identity.encodings, packed=False)
    return board.canary(encoding, sample, encoder.data(encoding, sample))


def allow_silence(board: Board, timeout_s: float) -> None:
    """Give a board another time-out, if it keeps its request where the boards of this package do."""
    request = getattr(board, "request", None)
    if isinstance(request, BoardRequest):
        cast("Any", board).request = replace(request, timeout_s=timeout_s)


def plant_damage(board: Board, direction: str, damage: str) -> None:
    """Put a `DamagedLink` between host and board; skips if the board does not show its link."""
    start = getattr(board, "start", None)
    if start is None:
        pytest.skip(f"board {board.name!r} has no start() that returns its link, so that frames cannot be damaged")
    planted = at_frames(DAMAGES[damage], _DAMAGED_FRAMES)

    def start_damaged() -> Link:
        link: Link = start()
        to_board, from_board = (planted, None) if direction == "to_board" else (None, planted)
        return DamagedLink(link, to_board=to_board, from_board=from_board)

    cast("Any", board).start = start_damaged


@dataclass(frozen=True)
class Belongings:
    """What this process has at one moment.

    Attributes:
        descriptors: number of open file descriptors.
        threads: how many threads there are of each name.
        children: ids of its child processes, zombies too.
    """

    descriptors: int
    threads: Counter[str]
    children: frozenset[int]

    @classmethod
    def now(cls) -> Belongings:
        """Look; needs Linux's /proc."""
        return cls(
            # listdir's own descriptor is in every count.
            descriptors=len(os.listdir("/proc/self/fd")),  # noqa: PTH208
            threads=Counter(thread.name for thread in threading.enumerate()),
            children=_children(),
        )

    def more_than(self, before: Belongings) -> list[str]:
        """Say what is there that was not there before; what has gone since belonged to somebody else."""
        more = [f"thread {name!r}" for name in sorted((self.threads - before.threads).elements())]
        more += [f"child process {pid}" for pid in sorted(self.children - before.children)]
        if self.descriptors > before.descriptors:
            more.append(f"{self.descriptors - before.descriptors} file descriptors")
        return more


def _children() -> frozenset[int]:
    """Find this process's children by asking every process for its parent.

    A thread's list of them (/proc/self/task/N/children) ends with the thread, and the operating system ends a
    thread some time after Python has joined it: the list can vanish while it is read, and the children move to
    another thread's.
    """
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # ended since it was listed
        # proc(5): the name, in parentheses, may hold anything; behind it come the state and the parent's id.
        if int(text.rpartition(")")[2].split()[1]) == os.getpid():
            found.add(int(entry.name))
    return frozenset(found)


def as_scores(rows: Sequence[bytes], model: Model) -> npt.NDArray[Any]:
    """Return output tensors as an array: the output's dtype, [n, C]."""
    return np.frombuffer(b"".join(rows), dtype=model.output.dtype).reshape(len(rows), -1)


@cache
def cached_model(name: str) -> Model:
    """Load a model once."""
    return load_model(name)


@cache
def cached_dataset(name: str, samples: int) -> Dataset:
    """Load the first samples of a data set once."""
    whole = load_dataset(name)
    labels = None if whole.labels is None else whole.labels[:samples]
    return replace(whole, images=whole.images[:samples], labels=labels)


_EXPECTED: dict[tuple[str, int, str, str], npt.NDArray[Any]] = {}


def expected_scores(data: str, samples: int, model: Model, reference: str) -> npt.NDArray[Any]:
    """Return the reference's scores, computed once: the output's dtype, [samples, C]."""
    key = (data, samples, model.sha256, reference)
    if key not in _EXPECTED:
        runtime = get_reference(reference, jobs=1)
        try:
            tensors = SampleEncoder(model, cached_dataset(data, samples)).tensors(slice(0, samples))
            _EXPECTED[key] = runtime.scores(model, tensors)
        finally:
            runtime.close()
    return _EXPECTED[key]
