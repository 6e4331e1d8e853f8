"""The journal file: foreign files, folders that cannot be written, full disks, and several processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.errors import JournalError
from pytest_tinyml.stores.journal import SCHEMA_VERSION, Journal

if TYPE_CHECKING:
    from pathlib import Path


def run_python(code: str, *arguments: object, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a piece of Python in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    """A journal of another version is named with both versions, and not touched."""
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(JournalError, match=f"version {SCHEMA_VERSION + 1}, this pytest-tinyml writes {SCHEMA_VERSION}"):
        Journal(path)


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION])
def test_the_database_of_another_program_is_refused(tmp_path: Path, version: int) -> None:
    """A SQLite file with other tables is not written to, whatever its version number happens to be."""
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE cookies (x)")
        db.execute(f"PRAGMA user_version={version}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="move it away, or choose another with --tinyml-journal"):
        Journal(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Any other file is left alone."""
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"dear diary, " * 100)
    with pytest.raises(JournalError, match="not a database"):
        Journal(path)
    assert path.read_bytes() == b"dear diary, " * 100


def test_a_damaged_journal_is_refused_or_reported(tmp_path: Path) -> None:
    """A file cut short is a JournalError when it is opened or read."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        rows = [(k, k, k, k, bytes(500)) for k in range(200)]
        journal.write([("INSERT INTO result VALUES (?, ?, ?, ?, ?)", rows)])
    os.truncate(path, 12_000)
    with pytest.raises(JournalError), Journal(path) as journal:
        journal.execute("SELECT count(scores) FROM result ORDER BY scores")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A path through a file names the path and the option."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"cannot use the journal .*--tinyml-journal"):
        Journal(tmp_path / "file" / "journal.sqlite")


@pytest.mark.parametrize("existing", [False, True])
def test_a_read_only_folder_is_refused(tmp_path: Path, existing: bool) -> None:
    """Without permission to write, new and old journals are refused in one line; root gives its rights up for this."""
    folder = tmp_path / "kept"
    folder.mkdir()
    path = folder / "journal.sqlite"
    if existing:
        Journal(path).close()
    folder.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    done = run_python(
        """
        import os, sys
        from pathlib import Path
        from pytest_tinyml.errors import JournalError
        from pytest_tinyml.stores.journal import Journal
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            Journal(Path(sys.argv[1])).exclude_others("a run")
        except JournalError as error:
            print(error)
        """,
        path,
    )
    folder.chmod(0o755)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert f"cannot use the journal {path}" in done.stdout


def test_many_can_begin_at_once(tmp_path: Path) -> None:
    """Threads (as processes) that open a new journal at the same time all find it usable."""
    together = threading.Barrier(8)

    def begin(path: Path) -> None:
        together.wait(30)
        Journal(path).close()

    with ThreadPoolExecutor(8) as pool:
        for attempt in range(10):
            begun = [pool.submit(begin, tmp_path / f"{attempt}.sqlite") for _ in range(8)]
            assert [future.exception(30) for future in begun] == [None] * 8


def test_one_process_at_a_time_per_run(tmp_path: Path) -> None:
    """A second process at the same run is told the first one's number; other runs are free."""
    path = tmp_path / "journal.sqlite"
    code = """
        import sys
        from pathlib import Path
        from pytest_tinyml.errors import JournalError
        from pytest_tinyml.stores.journal import Journal
        with Journal(Path(sys.argv[1])) as journal:
            journal.exclude_others("another run")
            try:
                journal.exclude_others("a run")
            except JournalError as error:
                print(error)
        """
    with Journal(path) as journal:
        journal.exclude_others("a run")
        told = run_python(code, path)
        assert f"process {os.getpid()} is working on the same run" in told.stdout
    assert run_python(code, path).stdout == ""


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """After kill -9 the run can be taken over at once."""
    path = tmp_path / "journal.sqlite"
    code = """
        import sys, time
        from pathlib import Path
        from pytest_tinyml.stores.journal import Journal
        journal = Journal(Path(sys.argv[1]))
        journal.exclude_others("a run")
        print("locked", flush=True)
        time.sleep(60)
        """
    owner = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), path], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout:
        assert owner.stdout.readline() == "locked\n"
        with Journal(path) as journal:
            with pytest.raises(JournalError, match=f"process {owner.pid} "):
                journal.exclude_others("a run")
            owner.send_signal(signal.SIGKILL)
            owner.wait(30)
            journal.exclude_others("a run")


def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path) -> None:
    """When the file cannot grow the error says why, earlier batches are there, and writing goes on with more space."""
    path = tmp_path / "journal.sqlite"
    done = run_python(
        """
        import resource, signal, sys
        from pathlib import Path
        from pytest_tinyml.errors import JournalError
        from pytest_tinyml.stores.journal import Journal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        insert = "INSERT INTO result VALUES (?, ?, ?, ?, ?)"
        with Journal(Path(sys.argv[1])) as journal:
            journal.write([(insert, [(1, 0, 1, 1, b"kept")])])
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
            try:
                for batch in range(1, 1000):
                    journal.write([(insert, [(1, 100 * batch + k, 1, 1, bytes(1000)) for k in range(100)])])
            except JournalError as error:
                print(error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            journal.write([(insert, [(2, 0, 1, 1, b"later")])])
        """,
        path,
    )
    assert done.stderr == ""
    assert "disk" in done.stdout
    assert "rollback" not in done.stdout
    assert "What was committed before is safe" in done.stdout
    with Journal(path) as journal:
        ((kept,),) = journal.execute("SELECT scores FROM result WHERE run = 1 AND sample = 0")
        ((later,),) = journal.execute("SELECT scores FROM result WHERE run = 2")
        ((count,),) = journal.execute("SELECT count(*) FROM result WHERE run = 1 AND sample > 0")
    assert (kept, later, count % 100) == (b"kept", b"later", 0)


def test_a_failed_batch_leaves_nothing(tmp_path: Path) -> None:
    """A batch is committed whole or not at all."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        insert = "INSERT INTO result VALUES (?, ?, ?, ?, ?)"
        with pytest.raises(JournalError, match="UNIQUE"):
            journal.write([(insert, [(1, 0, 1, 1, b"a"), (1, 1, 1, 1, b"b"), (1, 0, 1, 1, b"c")])])
        assert journal.execute("SELECT * FROM result") == []


def test_close_twice(tmp_path: Path) -> None:
    """Closing again is harmless; using a closed journal is a JournalError."""
    journal = Journal(tmp_path / "journal.sqlite")
    journal.close()
    journal.close()
    with pytest.raises(JournalError):
        journal.execute("SELECT 1")


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_journal_is_taken_over(tmp_path: Path, version: int) -> None:
    """What an earlier version has measured is kept, and the new tables are there."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.execute("INSERT INTO run (identity, started) VALUES ('one', 1.0)")
    later = {1: "DROP TABLE verdict; DROP TABLE submission;", 2: ""}
    with sqlite3.connect(path) as db:
        tables = " ".join(f"DROP TABLE {name};" for name in ("facts", "host", "picture", "pace"))
        db.executescript(f"{later[version]} {tables} PRAGMA user_version={version}")
    db.close()
    for _ in range(2):
        with Journal(path) as journal:
            assert [("one", 1.0)] == journal.execute("SELECT identity, started FROM run")
            assert [] == journal.execute("SELECT run FROM submission")
            assert [] == journal.execute("SELECT run FROM pace")
            assert [(SCHEMA_VERSION,)] == journal.execute("PRAGMA user_version")
