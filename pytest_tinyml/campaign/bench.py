"""The boards on the bench: opened, known to be the ones that were asked for, tried with canary samples."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.boards.base import timed_board
from pytest_tinyml.campaign.handshake import CanaryReport, canary_ids, check_canaries, check_identity, run_canaries
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.errors import TinymlError
from pytest_tinyml.links.performance import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pytest_tinyml.boards.base import Board
    from pytest_tinyml.campaign.reference import ReferenceRun
    from pytest_tinyml.links.performance import Performance
    from pytest_tinyml.records import CanaryResult, Dataset, Encoding, Identity, Model
    from pytest_tinyml.verdict.compare import Tolerance


@dataclass(slots=True, kw_only=True)
class Bench:
    """See the module.

    Attributes:
        boards: of one kind.
        engine: the engine that this kind has, or the firmware that its boards were given.
        clock: the clock that was asked for, or None.
        model: what they execute.
        dataset: where canary samples come from.
        samples: how many of the data set's samples are used, from the first.
        reference: what the canaries' scores are compared with.
        tolerance: how far the scores may be from the reference's.
        encoder: makes samples and tensors.
        verifiable: the boards can be asked what they run; otherwise their identity is not checked.
        canaried: they answer canaries.
        firmware_sha256: of the firmware that was built; known after `connect`.
        identities: what each board says it is, by name.
        canaries: what each board gave, by name.
        lost: names of boards that were given up.
        performance: what performance mode gave, by board; empty if it was not asked for.
        counters: each board's own, by board and by name (PROTOCOL.md, STATS_RESULT); known after the run.
    """

    boards: tuple[Board, ...]
    engine: str
    clock: str | None
    model: Model
    dataset: Dataset
    samples: int
    reference: ReferenceRun
    tolerance: Tolerance
    encoder: SampleEncoder
    verifiable: bool = True
    canaried: bool = True
    firmware_sha256: str = ""
    identities: dict[str, Identity] = field(default_factory=dict)
    canaries: dict[str, CanaryReport] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    performance: dict[str, Performance] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        """What the first board says it is; known after `connect`."""
        return self.identities[self.boards[0].name]

    def connect(self) -> None:
        """Prepare and open the boards, and check that each is the one that was asked for; harmless when repeated.

        Raises:
            BuildError, BoardError, IdentityError: see `errors`; nothing was spent but time.
        """
        new = [board for board in self.boards if board.name not in self.identities]
        for board in new:
            self.firmware_sha256 = board.prepare()
            # A board that is handed its firmware knows best what executes the model in it.
            self.engine = getattr(board, "engine", self.engine)
        for board in new:
            self.greet(board)

    def greet(self, board: Board) -> None:
        """Open one board (again) and check what it says it is.

        Raises:
            BoardError: it does not answer.
            IdentityError: it is another one.
        """
        identity = board.open()
        try:
            if self.verifiable:
                check_identity(
                    identity, self.model, self.firmware_sha256, board=board.name, engine=self.engine, clock=self.clock
                )
        except TinymlError:
            board.close()
            raise
        self.identities[board.name] = identity

    def check_canaries(self) -> None:
        """Send the canaries twice to each board, and compare with the reference.

        Raises:
            CanaryError: preprocessing differs, a board carries state, or the engine differs.
            BoardError: a board failed.
        """
        self.connect()
        for board in self.boards if self.canaried else ():
            self._judge(board, [self._canary_round(board), self._canary_round(board)])

    def check_canaries_again(self) -> None:
        """Send the canaries once more to the boards that are left; they have to answer as they did.

        Raises:
            CanaryError: a board answers differently now.
            BoardError: a board failed.
        """
        for board in self.boards:
            if board.name not in self.lost and board.name in self.canaries:
                self._judge(board, [self._canary_round(board)])

    def read_counters(self) -> None:
        """Ask the boards that are left for their counters.

        Raises:
            BoardError: a board failed.
        """
        self.counters = {board.name: board.stats() for board in self.boards if board.name not in self.lost}

    def measure_performance(self, scores: npt.NDArray[np.uint8]) -> None:
        """Let the boards that are left run in performance mode, with samples spread over the run.

        Args:
            scores: uint8 [samples, output bytes], what the run gave.

        Raises:
            BoardError: a board fails, or has no performance mode.
        """
        ids = sorted({int(k) for k in np.linspace(0, self.samples - 1, WINDOWS).round()})
        for board in self.boards:
            if board.name in self.lost:
                continue
            encoding = self.encoder.choose(self.identities[board.name].encodings, packed=False)
            inputs = {sample: self.encoder.data(encoding, sample) for sample in ids}
            measured, outputs = timed_board(board).performance(inputs)
            same = all(outputs[sample] == scores[sample].tobytes() for sample in ids)
            self.performance[board.name] = replace(measured, same_outputs=same)

    def infer(self, images: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Run images of any number on the first board.

        Args:
            images: uint8 [N, H, W] or [N, H, W, C], like the data set's.

        Returns:
            The output's dtype, [N, C].
        """
        self.connect()
        board = self.boards[0]
        if board.name in self.lost:
            self.greet(board)
            self.lost.discard(board.name)
        encoder = SampleEncoder(self.model, replace(self.dataset, images=images, labels=None))
        encoding = encoder.choose(self.identities[board.name].encodings, packed=False)
        answers = [board.canary(encoding, k, encoder.data(encoding, k)).scores for k in range(len(images))]
        return np.frombuffer(b"".join(answers), dtype=self.model.output.dtype).reshape(len(images), -1)

    def close(self) -> None:
        """Switch all boards off; harmless when repeated."""
        with ExitStack() as stack:
            for board in self.boards:
                stack.callback(board.close)

    def _canary_round(self, board: Board) -> list[CanaryResult]:
        encoding: Encoding = self.encoder.choose(self.identities[board.name].encodings, packed=False)
        return run_canaries(board, self.encoder, encoding, canary_ids(self.samples))

    def _judge(self, board: Board, rounds: Sequence[Sequence[CanaryResult]]) -> None:
        tensors = self.encoder.tensors(canary_ids(self.samples))
        self.canaries[board.name] = check_canaries(
            rounds,
            self.encoder,
            self.model,
            self.reference.canary_scores(tensors),
            before=self.canaries.get(board.name),
            board=board.name,
            reference=self.reference.name,
            tolerance=self.tolerance,
        )
