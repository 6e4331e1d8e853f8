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

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from pytest_tinyml.boards.base import Board, engine_for
from pytest_tinyml.campaign.handshake import check_identity
from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.contractsetup import PATIENT_S, Belongings, BoardSetup, allow_silence, canary, plant_damage
from pytest_tinyml.errors import BoardCrashedError, BoardError, BoardTimeoutError, IdentityError
from pytest_tinyml.links.damage import DAMAGES
from pytest_tinyml.records import Clock

if TYPE_CHECKING:
    from pytest_tinyml.campaign.samples import SampleEncoder
    from pytest_tinyml.records import Model

_GRACE_S = 5.0
"""What a failure may take beside the time-out itself: ending the board, on a busy computer."""


class BoardContract(BoardSetup):
    """Subclass it, and name the kind of board; `BoardSetup` has the settings."""

    def test_model_is_accepted(self, model: Model) -> None:
        """The kind of board does not refuse the models that it is tested with."""
        self.kind.check(model)

    def test_identity_comes_first_and_is_complete(self, board: Board, model: Model) -> None:
        """An opened board says what it is, equal to what was asked for, before any inference."""
        sha256 = board.prepare()
        identity = board.open()
        assert board.stats()["inferences"] == 0
        check_identity(identity, model, sha256, board=board.name, engine=engine_for(self.kind, model, {}))
        assert len(sha256) == 64  # noqa: PLR2004 - a SHA-256 in hex
        assert all((identity.firmware_version, identity.board, identity.chip, identity.engine, identity.model))
        assert identity.encodings
        assert identity.rx_window >= 2 * identity.max_frame > 0
        assert 0 < identity.arena_used <= identity.arena_capacity
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
        before = Belongings.now()
        for _ in range(2):
            board.open()
            board.stream(ListWork(encoder, range(4)))
            board.close()
        assert Belongings.now().more_than(before) == []

    def test_other_model_is_refused(self, board: Board, model: Model) -> None:
        """A board with another model, or with other firmware than was built, is not used."""
        sha256 = board.prepare()
        identity = board.open()
        other = replace(model, name="other", sha256="0" * 64)
        with pytest.raises(IdentityError, match="wrong model"):
            check_identity(identity, other, sha256, board=board.name, engine=engine_for(self.kind, model, {}))
        with pytest.raises(IdentityError, match="stale firmware"):
            check_identity(identity, model, "0" * 64, board=board.name, engine=engine_for(self.kind, model, {}))

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
        # With patience, so that it is the crash that is noticed within seconds, and not the silence behind it.
        allow_silence(board, PATIENT_S)
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
        allow_silence(board, 3 * self.timeout_s)
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
