"""What journals hold, for those who have neither the model, nor the data, nor a board."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from pytest_tinyml.errors import JournalError, UsageError
from pytest_tinyml.records import TensorSpec
from pytest_tinyml.stores.runs import HOST_BLOCK, RunKey, read_conflicts, read_events, read_failures

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from pytest_tinyml.stores.journal import Journal
    from pytest_tinyml.stores.runs import Event, HostKind

CHUNK: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run of the journal.

    Attributes:
        id: its number; 0 of one that never began.
        key: its identity.
        started: Unix time.
        finished: Unix time; None while samples are missing.
        wall_s: seconds spent streaming, in all sessions that came to their end.
        facts: results.json as known when the run began; None of a journal older than version 3.
        verdict: results.json as kept at the end; None if the process did not come so far, e.g. because it was killed.
        boards: names of the boards that worked on it, in order.
    """

    id: int
    key: RunKey
    started: float
    finished: float | None
    wall_s: float
    facts: dict[str, Any] | None
    verdict: dict[str, Any] | None
    boards: tuple[str, ...]

    @classmethod
    def never_begun(cls, results: dict[str, Any]) -> Self:
        """Return the record of a run whose board never came so far; no journal holds a sample of it."""
        names = {name: "" for name in RunKey.__dataclass_fields__ if name != "samples"}
        return cls(
            id=0,
            key=RunKey(samples=0, **names),
            started=0.0,
            finished=None,
            wall_s=0.0,
            facts=None,
            verdict=results,
            boards=(),
        )

    @property
    def known(self) -> dict[str, Any]:
        """What is known of model, data and board.

        Raises:
            JournalError: nothing: the run was killed, and the journal is of a version that kept it only at the end.
        """
        known = self.verdict or self.facts
        if known is None:
            msg = f"run {self.id} was ended before anything was kept about it; run it again"
            raise JournalError(msg)
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Samples that were answered, ordered by id.

    Attributes:
        ids: int64 [n].
        board: [n, C] of the output's dtype.
        ticks: int64 [n], duration of the inference in the board's ticks.
        boards: uint16 [n], which of `RunRecord.boards` answered.
        reference: [n, C] of the output's dtype; 0 where `compared` is false.
        compared: bool [n], the host's answer is known.
        truth: int64 [n] labels, or float64 [n, T] targets of a regression; None if there are none.
    """

    ids: npt.NDArray[np.int64]
    board: npt.NDArray[Any]
    ticks: npt.NDArray[np.int64]
    boards: npt.NDArray[np.uint16]
    reference: npt.NDArray[Any]
    compared: npt.NDArray[np.bool_]
    truth: npt.NDArray[Any] | None


class Archive:
    """The runs of a journal; see the module.

    Args:
        journal: an open one; runs may still be going on in it.
    """

    def __init__(self, journal: Journal) -> None:
        """Read nothing yet."""
        self.journal = journal

    def runs(self) -> list[RunRecord]:
        """Return all runs, the newest first."""
        return [self._record(*row) for row in self.journal.execute(f"{_RUN} ORDER BY run.id DESC")]

    def find(self, which: str | int | None = None) -> RunRecord:
        """Return a run by its number (``12`` or ``#12``); None for the newest.

        Raises:
            UsageError: there is no such run.
        """
        if which is None:
            rows = self.journal.execute(f"{_RUN} ORDER BY run.id DESC LIMIT 1")
            if not rows:
                msg = f"no run in {self.journal.path}"
                raise UsageError(msg)
            return self._record(*rows[0])
        text = str(which).removeprefix("#")
        rows = self.journal.execute(f"{_RUN} WHERE run.id = ?", (int(text),)) if text.isdecimal() else []
        if not rows:
            numbers = [number for (number,) in self.journal.execute("SELECT id FROM run ORDER BY id DESC LIMIT 10")]
            known = ", ".join(map(str, numbers)) or "none"
            msg = f"no run {which!r} in {self.journal.path}; newest first: {known}"
            raise UsageError(msg)
        return self._record(*rows[0])

    def _record(
        self,
        number: int,
        identity: str,
        started: float,
        finished: float | None,
        wall_s: float,
        facts: str | None,
        verdict: str | None,
    ) -> RunRecord:
        boards = self.journal.execute(
            "SELECT board FROM session WHERE run = ? GROUP BY board ORDER BY min(id)", (number,)
        )
        return RunRecord(
            id=number,
            key=RunKey(**json.loads(identity)),
            started=started,
            finished=finished,
            wall_s=wall_s,
            facts=None if facts is None else json.loads(facts),
            verdict=None if verdict is None else json.loads(verdict),
            boards=tuple(name for (name,) in boards),
        )

    def answered(self, run: RunRecord) -> int:
        """Return how many samples were answered."""
        ((count,),) = self.journal.execute("SELECT count(*) FROM result WHERE run = ?", (run.id,))
        return int(count)

    def chunks(self, run: RunRecord, size: int = CHUNK) -> Iterator[Chunk]:
        """Read the answers in parts, of at most `size` consecutive ids each, so that memory does not grow.

        Raises:
            JournalError: the file cannot be read, or holds nothing that says what the outputs are.
        """
        output = TensorSpec.from_record(run.known["model"]["output"])
        dtype, elements = np.dtype(output.dtype), output.elements
        statement = (
            "SELECT result.sample, ticks, scores, session.board FROM result LEFT JOIN session "
            "ON session.id = result.session WHERE result.run = ? AND sample >= ? AND sample < ? ORDER BY sample"
        )
        places = {name: place for place, name in enumerate(run.boards)}
        for start in range(0, run.key.samples, size):
            rows = self.journal.execute(statement, (run.id, start, start + size))
            if not rows:
                continue
            ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
            reference, compared = self._host(run, "scores", start, size, elements, dtype)
            truth = self._truth(run, start, size)
            yield Chunk(
                ids=ids,
                board=np.frombuffer(b"".join(row[2] for row in rows), dtype=dtype).reshape(len(rows), elements),
                ticks=np.fromiter((row[1] for row in rows), dtype=np.int64, count=len(rows)),
                boards=np.fromiter((places.get(row[3], 0) for row in rows), dtype=np.uint16, count=len(rows)),
                reference=reference[ids - start],
                compared=compared[ids - start],
                truth=None if truth is None else truth[ids - start],
            )

    def _blocks(self, run: RunRecord, kind: HostKind, start: int, size: int) -> list[tuple[int, bytes]]:
        rows = self.journal.execute(
            "SELECT first, data FROM host WHERE run = ? AND kind = ? AND first > ? AND first < ? ORDER BY first",
            (run.id, kind, start - HOST_BLOCK, start + size),
        )
        return [(int(first), bytes(data)) for first, data in rows]

    def _host(
        self, run: RunRecord, kind: HostKind, start: int, size: int, elements: int, dtype: np.dtype[Any]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Return rows of what the host knows, [size, elements], and which are there, bool [size]."""
        values = np.zeros((size, elements), dtype=dtype)
        known = np.zeros(size, dtype=np.bool_)
        for first, data in self._blocks(run, kind, start, size):
            rows = np.frombuffer(data, dtype=dtype).reshape(-1, elements)
            begin, end = max(first, start), min(first + len(rows), start + size)
            if begin < end:
                values[begin - start : end - start] = rows[begin - first : end - first]
                known[begin - start : end - start] = True
        return values, known

    def _truth(self, run: RunRecord, start: int, size: int) -> npt.NDArray[Any] | None:
        rows = self.journal.execute("SELECT dtype FROM host WHERE run = ? AND kind = 'truth' LIMIT 1", (run.id,))
        if not rows:
            return None
        dtype = np.dtype(rows[0][0])
        if dtype.kind != "f":
            values, _ = self._host(run, "truth", start, size, 1, dtype)
            return values[:, 0].astype(np.int64)
        elements = TensorSpec.from_record(run.known["model"]["output"]).elements
        return self._host(run, "truth", start, size, elements, dtype)[0]

    def pictures(self, run: RunRecord) -> dict[int, npt.NDArray[np.uint8]]:
        """Return the samples that were kept as they look, uint8 [H, W] or [H, W, C] each, by id."""
        rows = self.journal.execute(
            "SELECT sample, shape, pixels FROM picture WHERE run = ? ORDER BY sample", (run.id,)
        )
        return {
            int(sample): np.frombuffer(pixels, dtype=np.uint8).reshape(json.loads(shape))
            for sample, shape, pixels in rows
        }

    def progress(self, run: RunRecord) -> list[tuple[float, int]]:
        """Return how far the run was when: seconds spent streaming, and samples answered."""
        rows = self.journal.execute("SELECT at, done FROM pace WHERE run = ? ORDER BY at, done", (run.id,))
        return [(float(at), int(done)) for at, done in rows]

    def events(self, run: RunRecord) -> list[Event]:
        """Return what happened to the boards, oldest first."""
        return read_events(self.journal, run.id)

    def failures(self, run: RunRecord) -> dict[int, str]:
        """Return why samples could not be answered, by id."""
        return read_failures(self.journal, run.id)

    def conflicts(self, run: RunRecord) -> list[int]:
        """Return the ids that were answered in more than one way."""
        return read_conflicts(self.journal, run.id)


_RUN: Final = (
    "SELECT run.id, identity, started, finished, wall_s, facts.results, verdict.results FROM run "
    "LEFT JOIN facts ON facts.run = run.id LEFT JOIN verdict ON verdict.run = run.id"
)
