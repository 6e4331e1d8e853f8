"""Asking boards of a plan's kind for the outputs of a few samples, with the plan's model or with another one."""

from __future__ import annotations

import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.boards.base import check_model, engine_for
from pytest_tinyml.campaign.handshake import check_identity
from pytest_tinyml.campaign.plan import make_boards, make_server
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.boards.base import Board
    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.links.http import ImageServer
    from pytest_tinyml.records import Identity, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a board gave.

    Attributes:
        scores: of the output's dtype, [n, elements].
        ticks: int64 [n], of the board's clock.
        inputs_right: bool [n]: the engine read the tensor that it should have read, or the board cannot say.
    """

    scores: npt.NDArray[Any]
    ticks: npt.NDArray[np.int64]
    inputs_right: npt.NDArray[np.bool_]


class Asked:
    """A board that was started with a model; made by `Probe.started`."""

    def __init__(self, board: Board, identity: Identity, model: Model, encoder: SampleEncoder) -> None:
        """Ask nothing yet."""
        self.identity, self.input_crcs = identity, dict[int, int | None]()
        self._board, self._model, self._encoder = board, model, encoder
        self._encoding = encoder.choose(identity.encodings, packed=False)

    def answers(self, ids: Sequence[int]) -> Answers:
        """Run samples one by one, in this order.

        Raises:
            BoardError: the board failed.
        """
        results = [self._board.canary(self._encoding, k, self._encoder.data(self._encoding, k)) for k in ids]
        self.input_crcs.update((result.id, result.input_crc) for result in results)
        wanted = [zlib.crc32(tensor.tobytes()) for tensor in self._encoder.tensors(list(ids))]
        right = [result.input_crc in {crc, None} for result, crc in zip(results, wanted, strict=True)]
        scores = np.frombuffer(b"".join(result.scores for result in results), dtype=self._model.output.dtype)
        return Answers(
            scores=scores.reshape(len(results), -1),
            ticks=np.asarray([result.ticks for result in results], dtype=np.int64),
            inputs_right=np.asarray(right, dtype=np.bool_),
        )


class Probe:
    """See the module; close it.

    Args:
        plan: the kind of board, its options, and the data set.
        folder: for logs and models.
        timeout_s: longest silence of a board.
        reflash: other firmware may be written to a part that takes no models over its link.

    Attributes:
        uploads: the board takes models over its link; None while that is not known.
        kernels: what computes each operator of the plan's model, by its index; known when that was started.
    """

    def __init__(self, plan: Plan, folder: Path, *, timeout_s: float = 10.0, reflash: bool = True) -> None:
        """Start nothing."""
        first = {name: text.partition("|")[0] for name, text in plan.device.items()}
        self.plan, self.folder = replace(plan, count=1, device=first), folder
        self.uploads: bool | None = None
        self.kernels: dict[int, str] = {}
        self._timeout_s, self._reflash = timeout_s, reflash
        self._own: Board | None = None
        self._server: ImageServer | None = None

    @contextmanager
    def started(self, model: Model) -> Iterator[Asked]:
        """Start a board with a model, and check that it has it.

        Args:
            model: the plan's, or one with the same input.

        Raises:
            UsageError: the board cannot be given this model.
            TinymlError: it does not build or start, or is not what was asked for.
        """
        board = self._board(model)
        firmware = board.prepare()
        engine = getattr(board, "engine", engine_for(self.plan.kind, model, self.plan.options))
        try:
            identity = board.open()
            if self.plan.verifiable:
                check_identity(identity, model, firmware, board=board.name, engine=engine, clock=self.plan.clock)
            self.uploads = identity.loads_models
            facts = getattr(board, "facts", None)
            if model is self.plan.model and facts is not None:
                self.kernels = {use.index: use.function for use in facts.kernels_used}
            yield Asked(board, identity, model, SampleEncoder(model, self.plan.dataset))
        finally:
            board.close()

    def answers(self, model: Model, ids: Sequence[int]) -> Answers:
        """Start a board with a model and run samples one by one; see `started`."""
        with self.started(model) as asked:
            return asked.answers(ids)

    def check(self, model: Model) -> None:
        """Refuse a model that says nothing about the plan's.

        Raises:
            ModelError: the engine does not take it, or another one would execute it.
        """
        plan = self.plan
        check_model(plan.kind, model, plan.options)
        engine, usual = (engine_for(plan.kind, each, plan.options) for each in (model, plan.model))
        if engine != usual:
            msg = f"{model.name}: engine {engine!r} would execute it, not {usual!r}"
            raise ModelError(msg)

    def close(self) -> None:
        """Close what boards pulled from; harmless when repeated."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _board(self, model: Model) -> Board:
        if self._own is None:
            self._server = make_server(self.plan)
            (self._own,) = make_boards(self.plan, self.folder / "logs", self._timeout_s, self._server)
        give = getattr(self._own, "give", None)
        if self.uploads and give is not None:
            give(model)
            return self._own
        if model is self.plan.model:
            return self._own
        if self.plan.kind.hardware and not self._reflash:
            msg = "the board takes no models over its link, and other firmware was not to be written to it"
            raise UsageError(msg)
        (board,) = make_boards(replace(self.plan, model=model), self.folder / "logs", self._timeout_s, self._server)
        return board


class TimeLimit:
    """What is left of the time that an explanation may take.

    A step is begun only if one as long as the longest so far would end in time.

    Args:
        limit_s: seconds from now on.
    """

    def __init__(self, limit_s: float) -> None:
        """Begin to count."""
        self._began, self._limit_s = time.monotonic(), limit_s
        self._step, self._longest = self._began, 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def allows(self) -> bool:
        """Return whether another step may begin; call it before each."""
        now = time.monotonic()
        self._longest = max(self._longest, now - self._step)
        self._step = now
        return now - self._began + self._longest <= self._limit_s
