"""One run in the journal, mirrored in arrays so that what was measured can be asked for without a query."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from pytest_tinyml.stores.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKey:
    """The identity of a run: same key, same run. Hashes are hex; `samples` is how many are asked for."""

    model_sha256: str
    dataset_sha256: str
    samples: int
    preprocess: str
    board: str
    engine: str
    link: str
    clock: str
    firmware_sha256: str


HostKind = Literal["scores", "truth"]
HOST_BLOCK: Final = 8192
"""Samples in one row of what the host knows, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a board during a run; `kind` is ``restart``, ``resend``, ``conflict``, ..."""

    at: float
    board: str
    kind: str
    text: str


def read_events(journal: Journal, run: int) -> list[Event]:
    """Return what happened to the boards of a run, oldest first."""
    rows = journal.execute("SELECT at, board, kind, text FROM event WHERE run = ? ORDER BY id", (run,))
    return [Event(at=row[0], board=row[1], kind=row[2], text=row[3]) for row in rows]


def read_conflicts(journal: Journal, run: int) -> list[int]:
    """Return the ids that were answered in more than one way."""
    rows = journal.execute("SELECT DISTINCT sample FROM conflict WHERE run = ? ORDER BY sample", (run,))
    return [int(sample) for (sample,) in rows]


def read_failures(journal: Journal, run: int) -> dict[int, str]:
    """Return why samples could not be answered, by id."""
    rows = journal.execute("SELECT sample, reason FROM failure WHERE run = ? ORDER BY sample", (run,))
    return {int(sample): str(reason) for sample, reason in rows}


class RunJournal:
    """The results of one run; every method may be called from any thread.

    Attributes:
        done: bool [N], answered.
        ticks: int64 [N], duration of the inference in the board's ticks; 0 where not answered.
        scores: uint8 [N, output bytes], output tensors as they came; 0 where not answered.
        started: Unix time at which the run began.
        resumed: how many samples were already there when the run was opened.
    """

    def __init__(self, journal: Journal, run_id: int, key: RunKey, output_bytes: int) -> None:
        """Read what is there; use `open` to find or begin the run."""
        self.id, self.key, self._journal = run_id, key, journal
        self.done = np.zeros(key.samples, dtype=np.bool_)
        self.ticks = np.zeros(key.samples, dtype=np.int64)
        self.scores = np.zeros((key.samples, output_bytes), dtype=np.uint8)
        self._lock = threading.Lock()
        rows = journal.execute("SELECT sample, ticks, scores FROM result WHERE run = ? ORDER BY sample", (run_id,))
        if rows:
            ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
            self.ticks[ids] = [row[1] for row in rows]
            self.scores[ids] = np.frombuffer(b"".join(row[2] for row in rows), dtype=np.uint8).reshape(len(rows), -1)
            self.done[ids] = True
        self.failed = read_failures(journal, run_id)
        self.resumed = len(rows)
        ((self._earlier_session,),) = journal.execute(
            "SELECT coalesce(max(id), 0) FROM session WHERE run = ?", (run_id,)
        )
        ((self.started, self.earlier_wall_s),) = journal.execute(
            "SELECT started, wall_s FROM run WHERE id = ?", (run_id,)
        )
        ((paced,),) = journal.execute("SELECT coalesce(max(at), 0) FROM pace WHERE run = ?", (run_id,))
        # A process that was killed has added nothing to the run's time, but its pace is there.
        self._earlier_pace_s = max(self.earlier_wall_s, paced)
        self._answered, self._began, self._paced = len(rows), time.monotonic(), -1.0

    @property
    def journal(self) -> Journal:
        """The file that the run is kept in."""
        return self._journal

    @classmethod
    def open(cls, journal: Journal, key: RunKey, output_bytes: int, *, fresh: bool = False) -> Self:
        """Resume the unfinished run with this key, or begin a new one.

        A finished run is never continued: asking for it again measures again.

        Args:
            journal: the file.
            key: the run's identity.
            output_bytes: bytes of one output tensor.
            fresh: begin a new run even if there is an unfinished one.

        Raises:
            JournalError: another process is working on the same run, or the file cannot be written.
        """
        identity = json.dumps(asdict(key), sort_keys=True)
        journal.exclude_others(identity)
        rows = journal.execute(
            "SELECT id FROM run WHERE identity = ? AND finished IS NULL ORDER BY id DESC LIMIT 1", (identity,)
        )
        if not rows or fresh:
            journal.write([("INSERT INTO run (identity, started) VALUES (?, ?)", [(identity, time.time())])])
            rows = journal.execute("SELECT max(id) FROM run WHERE identity = ?", (identity,))
        return cls(journal, int(rows[0][0]), key, output_bytes)

    def begin_session(self, board: str, detail: dict[str, Any]) -> int:
        """Note that a board was opened; returns the session's id, which its results carry."""
        text = json.dumps(detail, sort_keys=True, default=str)
        statement = "INSERT INTO session (run, board, opened, detail) VALUES (?, ?, ?, ?) RETURNING id"
        return int(self._journal.execute(statement, (self.id, board, time.time(), text))[0][0])

    def record(
        self,
        session: int,
        ids: npt.NDArray[np.uint32],
        ticks: npt.NDArray[np.uint32],
        scores: npt.NDArray[np.uint8],
    ) -> list[int]:
        """Commit a batch of results.

        Args:
            session: from `begin_session`.
            ids: uint32 [n], sample ids; of one that is there twice, the first answer counts.
            ticks: uint32 [n].
            scores: uint8 [n, output bytes].

        Returns:
            Ids that had been answered before with *other* scores: the board is not deterministic.

        Raises:
            JournalError: the batch could not be committed; nothing of it counts.
        """
        _, firsts = np.unique(ids, return_index=True)
        if len(firsts) < len(ids):
            first = np.zeros(len(ids), dtype=np.bool_)
            first[firsts] = True
            parts = (first, ~first)
            return [k for part in parts for k in self.record(session, ids[part], ticks[part], scores[part])]
        with self._lock:
            known = self.done[ids]
            fresh = ~known
            conflicts: list[int] = []
            if known.any():
                unequal = known & (self.scores[ids] != scores).any(axis=1)
                conflicts = ids[unequal].tolist()
            statements: list[tuple[str, Sequence[Sequence[object]]]] = []
            if fresh.any():
                new_ids, new_ticks, new_scores = ids[fresh], ticks[fresh], scores[fresh]
                width = scores.shape[1]
                blob = new_scores.tobytes()
                rows = [
                    (self.id, sample, session, tick, blob[k * width : (k + 1) * width])
                    for k, (sample, tick) in enumerate(zip(new_ids.tolist(), new_ticks.tolist(), strict=True))
                ]
                statements.append(("INSERT INTO result (run, sample, session, ticks, scores) VALUES (?,?,?,?,?)", rows))
                statements += self._pace(len(rows))
            if conflicts:
                again = [(self.id, int(ids[k]), session, scores[k].tobytes()) for k in np.flatnonzero(unequal)]
                statements.append(
                    ("INSERT OR IGNORE INTO conflict (run, sample, session, scores) VALUES (?,?,?,?)", again)
                )
            if statements:
                self._journal.write(statements)
            if fresh.any():
                self.ticks[new_ids], self.scores[new_ids] = new_ticks, new_scores
                self.done[new_ids] = True
            return conflicts

    def _pace(self, answered: int) -> list[tuple[str, Sequence[Sequence[object]]]]:
        """Note now and then how far the run is: often at first, and never more than some thousand times."""
        self._answered += answered
        at = time.monotonic() - self._began
        if at - self._paced < max(0.02, at / 200):
            return []
        self._paced = at
        return [self._pace_at(at)]

    def _pace_at(self, at: float) -> tuple[str, Sequence[Sequence[object]]]:
        return "INSERT INTO pace VALUES (?, ?, ?)", [(self.id, self._earlier_pace_s + at, self._answered)]

    def fail(self, session: int, sample: int, reason: str) -> None:
        """Record that a sample cannot be answered, e.g. because it crashes the board each time."""
        self._journal.write(
            [("INSERT OR REPLACE INTO failure VALUES (?, ?, ?, ?)", [(self.id, sample, session, reason)])]
        )
        self.failed[sample] = reason

    def withdraw(self, samples: Sequence[int]) -> None:
        """Take back that samples cannot be answered: it was not their fault."""
        self._journal.write(
            [("DELETE FROM failure WHERE run = ? AND sample = ?", [(self.id, sample) for sample in samples])]
        )
        for sample in samples:
            self.failed.pop(sample, None)

    def event(self, board: str, kind: str, text: str) -> None:
        """Note something that happened."""
        row = (self.id, time.time(), board, kind, text)
        self._journal.write([("INSERT INTO event (run, at, board, kind, text) VALUES (?, ?, ?, ?, ?)", [row])])

    def events(self) -> list[Event]:
        """Return what happened, oldest first."""
        return read_events(self._journal, self.id)

    def conflicts(self) -> list[int]:
        """Return the ids that were answered in more than one way."""
        return read_conflicts(self._journal, self.id)

    def shares(self) -> dict[str, tuple[int, int]]:
        """Return how many samples each board has answered, by name: in all, and since this run was opened."""
        rows = self._journal.execute(
            "SELECT session.board, count(*), sum(session.id > ?) FROM result JOIN session "
            "ON session.id = result.session WHERE result.run = ? GROUP BY session.board",
            (self._earlier_session, self.id),
        )
        return {str(board): (int(total), int(now)) for board, total, now in rows}

    def add_wall(self, seconds: float) -> None:
        """Add the time that a process has spent streaming, so that a resumed run can state its total."""
        statement = "UPDATE run SET wall_s = wall_s + ? WHERE id = ?"
        self._journal.write([(statement, [(seconds, self.id)]), self._pace_at(time.monotonic() - self._began)])

    def keep_verdict(self, results: dict[str, Any]) -> None:
        """Keep what was found (docs/reference/results.md), for those who have neither model nor data."""
        row = (self.id, time.time(), json.dumps(results))
        self._journal.write([("INSERT OR REPLACE INTO verdict (run, at, results) VALUES (?, ?, ?)", [row])])

    def keep_facts(self, results: dict[str, Any]) -> None:
        """Keep what is known when the run begins, so that one that is killed can be reported."""
        self._journal.write([("INSERT OR REPLACE INTO facts VALUES (?, ?)", [(self.id, json.dumps(results))])])

    def keep_host(self, kind: HostKind, first: int, values: npt.NDArray[Any]) -> None:
        """Keep what the host knows about samples: a row of `values` each, from sample `first` on."""
        rows = [
            (self.id, first + start, kind, values.dtype.name, values[start : start + HOST_BLOCK].tobytes())
            for start in range(0, len(values), HOST_BLOCK)
        ]
        self._journal.write([("INSERT OR REPLACE INTO host (run, first, kind, dtype, data) VALUES (?,?,?,?,?)", rows)])

    def keep_pictures(self, pictures: Mapping[int, npt.NDArray[np.uint8]]) -> None:
        """Keep some samples as they look, uint8 [H, W] or [H, W, C] each, by id."""
        rows = [
            (self.id, sample, json.dumps(pixels.shape), np.ascontiguousarray(pixels).tobytes())
            for sample, pixels in pictures.items()
        ]
        self._journal.write([("INSERT OR REPLACE INTO picture VALUES (?, ?, ?, ?)", rows)])

    def finish(self) -> None:
        """Mark the run as complete: the next one with the same key measures again."""
        self._journal.write([("UPDATE run SET finished = ? WHERE id = ?", [(time.time(), self.id)])])
