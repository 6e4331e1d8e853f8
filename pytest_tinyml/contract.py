"""The contract that every board keeps, as a test class to subclass.

A package that brings a board of its own tests it like this; nothing else is needed:

.. code-block:: python

    from pytest_tinyml.contract import BoardContract

    class TestMyBoard(BoardContract):
        kind = MyBoardKind()
        models = ("s1-ptq",)
        faults = {"crash": {"fault": "crash@{n}"}, "hang": {"fault": "hang@{n}"}}

`faults` says how the board can be made to fail: ``{n}`` is replaced by the number of the inference, counted from 1.

    crash      the program dies before inference n
    hang       inference n never ends

Frames are damaged on their way, without the board's help, if it is a `pytest_tinyml.boards.streamed.StreamedBoard`
(or any board whose `start` returns its link). A test that needs a fault which cannot be planted skips and says so.
"""

# ruff: noqa: S101 - a test class asserts

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast
from zlib import crc32

import numpy as np
import pytest

from pytest_tinyml.boards.base import Board, BoardKind, BoardRequest
from pytest_tinyml.campaign.handshake import check_identity
from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.errors import BoardCrashedError, BoardError, BoardTimeoutError, IdentityError
from pytest_tinyml.links.damage import DAMAGES, DamagedLink, at_frames
from pytest_tinyml.records import CanaryResult, Clock, Dataset, Identity, Model
from pytest_tinyml.references import get_reference
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.models import load_model
from pytest_tinyml.verdict.compare import compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from pytest_tinyml.links.base import Link

_GRACE_S = 5.0
"""What a failure may take beside the time-out itself: ending the board, on a busy computer."""
_DAMAGED_FRAMES = frozenset({3, 5})
"""Which frames are damaged: not the greeting, which is repeated anyhow."""


class BoardContract:
    """Subclass it, and name the kind of board.

    Attributes:
        kind: what is tested.
        models: names or paths of models that the board executes; every test runs with each.
        link: one of the kind's links; None for its first.
        data: name or path of a data set that fits the models.
        samples: how many of it are streamed.
        reference: runtime on the host to compare with.
        max_lsb: tolerated difference from it, in steps of the output; 0 is bit-exact.
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
    timeout_s: ClassVar[float] = 1.0
    recovers: ClassVar[bool] = False
    faults: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run every test with each model."""
        if "model" in metafunc.fixturenames:
            metafunc.parametrize("model", [cached_model(name) for name in self.models], ids=[*map(str, self.models)])

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
        return self.timeout_s if options else 30.0

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
        difference = compare(got, expected, None, np.arange(len(got), dtype=np.int64), model.output)
        assert (difference.max_lsb if difference.max_lsb is not None else difference.differing) <= self.max_lsb

    # The tests.

    def test_model_is_accepted(self, model: Model) -> None:
        """The kind of board does not refuse the models that it is tested with."""
        self.kind.check(model)

    def test_identity_comes_first_and_is_complete(self, board: Board, model: Model) -> None:
        """An opened board says what it is, equal to what was asked for, before any inference."""
        sha256 = board.prepare()
        identity = board.open()
        assert board.stats()["inferences"] == 0
        check_identity(identity, model, sha256, board=board.name, engine=self.kind.engine)
        assert len(sha256) == 64  # noqa: PLR2004 - a SHA-256 in hex
        assert all((identity.firmware_version, identity.board, identity.chip, identity.engine, identity.model))
        assert identity.encodings
        assert identity.rx_window >= 2 * identity.max_frame > 0
        assert identity.arena_used <= identity.arena_capacity
        assert identity.tick_hz > 0 or identity.clock is Clock.INSTRUCTIONS

    def test_same_image_twice(self, board: Board, encoder: SampleEncoder) -> None:
        """The same sample gives the same scores, also with others in between."""
        identity = board.open()
        first, second, third = (canary(board, identity, encoder, k).scores for k in (0, 1, 0))
        assert third == first
        assert canary(board, identity, encoder, 1).scores == second

    def test_canary_tells_the_input_tensor(self, board: Board, encoder: SampleEncoder) -> None:
        """The CRC-32 is that of the tensor which the host's preprocessing makes."""
        identity = board.open()
        ids = list(range(min(8, self.samples)))
        results = [canary(board, identity, encoder, k) for k in ids]
        assert [r.id for r in results] == ids
        assert [r.input_crc for r in results] == [crc32(tensor.tobytes()) for tensor in encoder.tensors(ids)]

    def test_stream_equals_canaries_and_reference(self, board: Board, encoder: SampleEncoder, model: Model) -> None:
        """A streamed batch gives every sample once: what single canaries give, and what the reference gives."""
        identity = board.open()
        work = ListWork(encoder, range(self.samples))
        board.stream(work)
        assert sorted(work.scores) == list(range(self.samples))
        assert work.repeats == []
        self.assert_right(work, model)
        assert {k: canary(board, identity, encoder, k).scores for k in range(4)} == {
            k: work.scores[k] for k in range(4)
        }

    def test_statistics_count_inferences(self, board: Board, encoder: SampleEncoder) -> None:
        """The board's own counter goes up by one per inference."""
        identity = board.open()
        canary(board, identity, encoder, 0)
        before = board.stats()["inferences"]
        board.stream(ListWork(encoder, range(self.samples)))
        assert board.stats()["inferences"] == before + self.samples

    def test_close_is_harmless(self, board: Board) -> None:
        """Closing a board that was never opened, and closing twice, do nothing."""
        board.close()
        board.open()
        board.close()
        board.close()

    def test_closed_board_refuses(self, board: Board, encoder: SampleEncoder) -> None:
        """Whatever is asked of a board that is not open is a BoardError, before the first opening and after."""
        identity = board.open()
        board.close()
        for use in (
            lambda: canary(board, identity, encoder, 0),
            lambda: board.stream(ListWork(encoder, [0])),
            board.stats,
        ):
            with pytest.raises(BoardError):
                use()

    def test_open_again(self, board: Board, encoder: SampleEncoder) -> None:
        """Opening an open board, and a closed one, starts it anew."""
        identity = board.open()
        scores = canary(board, identity, encoder, 0).scores
        board.open()
        assert board.stats()["inferences"] == 0
        board.close()
        assert canary(board, board.open(), encoder, 0).scores == scores

    def test_nothing_is_left_behind(self, board: Board, encoder: SampleEncoder) -> None:
        """After `close` no process, thread or file descriptor is left of this board on the host."""
        if not Path("/proc/self/fd").is_dir():
            pytest.skip("file descriptors and child processes can only be listed where there is /proc")
        before = belongings()
        for _ in range(2):
            board.open()
            board.stream(ListWork(encoder, range(4)))
            board.close()
        assert belongings() == before

    def test_other_model_is_refused(self, board: Board, model: Model) -> None:
        """A board with another model, or with other firmware than was built, is not used."""
        sha256 = board.prepare()
        identity = board.open()
        other = replace(model, name="other", sha256="0" * 64)
        with pytest.raises(IdentityError, match="wrong model"):
            check_identity(identity, other, sha256, board=board.name, engine=self.kind.engine)
        with pytest.raises(IdentityError, match="stale firmware"):
            check_identity(identity, model, "0" * 64, board=board.name, engine=self.kind.engine)

    def test_hang_ends_in_a_time_out(self, tmp_path: Path, model: Model, encoder: SampleEncoder) -> None:
        """A board that never answers again is reported within its bound, with its console, and can be opened again."""
        board = self.faulty_board(tmp_path, model, "hang", 3)
        work = ListWork(encoder, range(self.samples))
        try:
            board.open()
            started = time.monotonic()
            with pytest.raises(BoardTimeoutError) as caught:
                board.stream(work)
            assert time.monotonic() - started <= self.timeout_s + _GRACE_S
            self.assert_explained(caught.value, board)
            self.assert_right(work, model)
            canary(board, board.open(), encoder, 0)
        finally:
            board.close()

    def test_hang_of_a_canary(self, tmp_path: Path, model: Model, encoder: SampleEncoder) -> None:
        """A single inference that never ends is a time-out too."""
        board = self.faulty_board(tmp_path, model, "hang", 1)
        try:
            identity = board.open()
            started = time.monotonic()
            with pytest.raises(BoardTimeoutError):
                canary(board, identity, encoder, 0)
            assert time.monotonic() - started <= self.timeout_s + _GRACE_S
        finally:
            board.close()

    def test_run_goes_on_after_crashes(self, tmp_path: Path, model: Model, encoder: SampleEncoder) -> None:
        """A crash is reported within seconds; opened again, the board does the rest, however often it dies."""
        board = self.faulty_board(tmp_path, model, "crash", 4)
        work = ListWork(encoder, range(8))
        crashes = 0
        try:
            while not work.finished:
                board.open()
                work.again()
                before, started = len(work.scores), time.monotonic()
                try:
                    board.stream(work)
                except BoardCrashedError as error:
                    crashes += 1
                    assert time.monotonic() - started <= self.timeout_s + _GRACE_S
                    self.assert_explained(error, board)
                    assert len(work.scores) > before
        finally:
            board.close()
        assert crashes > 0
        self.assert_right(work, model)

    @pytest.mark.parametrize("damage", sorted(DAMAGES))
    @pytest.mark.parametrize("direction", ["to_board", "from_board"])
    def test_damaged_frames_never_become_results(
        self, tmp_path: Path, model: Model, encoder: SampleEncoder, direction: str, damage: str
    ) -> None:
        """Damaged frames are made good where the link is known to lose bytes, or noticed; no score is ever wrong."""
        board = self.make_board(tmp_path, model)
        board.prepare()
        plant_damage(board, direction, damage)
        patient = getattr(board, "request", None)
        if isinstance(patient, BoardRequest):
            cast("Any", board).request = replace(patient, timeout_s=3 * self.timeout_s)
        work = ListWork(encoder, range(self.samples))
        refused_by = board.name
        try:
            board.open()
            try:
                board.stream(work)
            except BoardError as error:
                # Two answers to one question are a board that breaks the protocol, on whatever link.
                if self.recovers and damage != "repeat":
                    raise
                refused_by = error.board
        finally:
            board.close()
        assert refused_by == board.name
        self.assert_right(work, model)

    def assert_explained(self, error: BoardError, board: Board) -> None:
        """The error names the board and carries what it said last."""
        assert error.board == board.name
        assert error.console_tail == board.console_tail
        assert any(line.strip() for line in error.console_tail)


def canary(board: Board, identity: Identity, encoder: SampleEncoder, sample: int) -> CanaryResult:
    """Send one sample as a canary, in the encoding that a run would take."""
    encoding = encoder.choose(identity.encodings, packed=False)
    return board.canary(encoding, sample, encoder.data(encoding, sample))


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


def belongings() -> tuple[int, list[str], set[int]]:
    """Return what this process has: the number of file descriptors, its threads' names, its children."""
    names = sorted(thread.name for thread in threading.enumerate())
    children: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        children.update(map(int, (task / "children").read_text().split()))
    return len(os.listdir("/proc/self/fd")), names, children  # noqa: PTH208 - one descriptor fewer than iterdir


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
