"""The journal: what came back from the boards, in SQLite. Everything else is derived from it.

A result is stored once per sample. A second, different answer for the same sample is kept beside the first as a
conflict, never in its place. Every batch is committed before it counts as done, in write-ahead mode, so that a killed
process loses at most the batch that it was about to commit.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from pytest_tinyml.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SCHEMA_VERSION = 3
_BUSY_S = 30.0
_SCHEMA = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY, identity TEXT NOT NULL, started REAL NOT NULL, finished REAL, wall_s REAL NOT NULL DEFAULT 0
);
CREATE INDEX run_identity ON run (identity);
CREATE TABLE session (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run, board TEXT NOT NULL, opened REAL NOT NULL,
    detail TEXT NOT NULL
);
CREATE TABLE result (
    run INTEGER NOT NULL, sample INTEGER NOT NULL, session INTEGER NOT NULL, ticks INTEGER NOT NULL,
    scores BLOB NOT NULL,
    PRIMARY KEY (run, sample)
) WITHOUT ROWID;
CREATE TABLE conflict (
    run INTEGER NOT NULL, sample INTEGER NOT NULL, session INTEGER NOT NULL, scores BLOB NOT NULL,
    PRIMARY KEY (run, sample, scores)
) WITHOUT ROWID;
CREATE TABLE failure (
    run INTEGER NOT NULL, sample INTEGER NOT NULL, session INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (run, sample)
) WITHOUT ROWID;
CREATE TABLE event (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, at REAL NOT NULL, board TEXT NOT NULL, kind TEXT NOT NULL,
    text TEXT NOT NULL
);
"""
# What later versions added, by version; an older journal is given them when it is opened.
_LATER = {
    2: """
CREATE TABLE verdict (run INTEGER PRIMARY KEY REFERENCES run, at REAL NOT NULL, results TEXT NOT NULL);
CREATE TABLE submission (
    run INTEGER NOT NULL REFERENCES run, competition TEXT NOT NULL, state TEXT NOT NULL, at REAL NOT NULL,
    tag TEXT NOT NULL, csv_sha256 TEXT NOT NULL, message TEXT NOT NULL, ref INTEGER, score REAL, text TEXT NOT NULL,
    PRIMARY KEY (run, competition)
) WITHOUT ROWID;
""",
    # What a report needs besides the board's answers, so that it can be made without model, data set and reference.
    3: """
CREATE TABLE facts (run INTEGER PRIMARY KEY REFERENCES run, results TEXT NOT NULL);
CREATE TABLE host (
    run INTEGER NOT NULL REFERENCES run, first INTEGER NOT NULL, kind TEXT NOT NULL, dtype TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (run, kind, first)
);
CREATE TABLE picture (
    run INTEGER NOT NULL REFERENCES run, sample INTEGER NOT NULL, shape TEXT NOT NULL, pixels BLOB NOT NULL,
    PRIMARY KEY (run, sample)
);
CREATE TABLE pace (run INTEGER NOT NULL REFERENCES run, at REAL NOT NULL, done INTEGER NOT NULL);
CREATE INDEX pace_run ON pace (run);
""",
}
_TABLES = {1: 6, 2: 8, SCHEMA_VERSION: 12}


class Journal:
    """One SQLite file with any number of runs; every method may be called from any thread.

    Args:
        path: created with its folder if absent.

    Raises:
        JournalError: not a journal, written by another version, or not writable.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file."""
        self.path = path
        self._lock = threading.RLock()
        self._locks: list[int] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            msg = f"cannot use the journal {path}: {error}; choose another with --tinyml-journal"
            raise JournalError(msg) from error

    def _prepare(self) -> None:
        # In one statement: between two, another process may create the tables.
        version, tables, ours = self._db.execute(
            "SELECT user_version, (SELECT count(*) FROM sqlite_master), (SELECT count(*) FROM sqlite_master WHERE name "
            "IN ('run', 'session', 'result', 'conflict', 'failure', 'event', 'verdict', 'submission', 'facts', 'host', "
            "'picture', 'pace') AND type = 'table') "
            "FROM pragma_user_version"
        ).fetchone()
        if tables and ours != _TABLES.get(version):
            self._db.close()
            if version in _TABLES:
                msg = f"{self.path} is not a journal: move it away, or choose another with --tinyml-journal"
                raise JournalError(msg)
            msg = (
                f"the journal {self.path} has schema version {version}, this pytest-tinyml writes {SCHEMA_VERSION}: "
                "move it away, or choose another with --tinyml-journal"
            )
            raise JournalError(msg)
        self._write_ahead()
        self._db.execute("PRAGMA synchronous=NORMAL")
        if not tables or version < SCHEMA_VERSION:
            with self.transaction():
                # Another process may have been faster.
                if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    self._create(_SCHEMA)
                present = self._db.execute("PRAGMA user_version").fetchone()[0]
                for added in (schema for number, schema in _LATER.items() if number > present):
                    self._create(added)
                self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _create(self, schema: str) -> None:
        for statement in filter(str.strip, schema.split(";")):
            self._db.execute(statement)

    def _write_ahead(self) -> None:
        """Switch to write-ahead mode; for this, SQLite does not wait until another process has done the same."""
        deadline = time.monotonic() + _BUSY_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def exclude_others(self, identity: str) -> None:
        """Lock a run's identity until `close`; the kernel gives the lock back when this process ends, however it ends.

        Raises:
            JournalError: another process has it.
        """
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        try:
            handle = os.open(f"{self.path}-{digest}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            msg = f"cannot use the journal {self.path}: {error}; choose another with --tinyml-journal"
            raise JournalError(msg) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            msg = (
                f"process {owner} is working on the same run in {self.path}: wait for it, "
                "or choose another journal with --tinyml-journal"
            )
            raise JournalError(msg) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._locks.append(handle)

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows.

        Raises:
            JournalError: the disk is full, the file is damaged or was replaced.
        """
        with self._lock:
            try:
                return self._db.execute(statement, parameters).fetchall()
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def write(self, statements: Iterable[tuple[str, Iterable[Sequence[object]]]]) -> None:
        """Run statements, each with many rows, in one transaction; raises JournalError as `execute` does."""
        with self._lock:
            try:
                with self.transaction():
                    for statement, rows in statements:
                        self._db.executemany(statement, rows)
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> JournalError:
        return JournalError(
            f"the journal {self.path} cannot be written: {error}. What was committed before is safe; "
            "free some space (or choose another with --tinyml-journal) and start again to resume"
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the write lock for the block: all of it is committed, or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                # A full disk has ended the transaction already; a second error would hide the first.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            try:
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file and give the locks back; harmless when repeated."""
        with self._lock:
            self._db.close()
            for handle in self._locks:
                os.close(handle)
            self._locks.clear()

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
