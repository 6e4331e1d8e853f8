"""The cache of folders: made once, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml import contentcache
from pytest_tinyml.contentcache import keep
from pytest_tinyml.errors import BuildError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def read(entry: Path) -> str | None:
    """Return the text of an entry's file; None if it is absent or not one that `make` writes."""
    file = entry / "file"
    text = file.read_text() if file.is_file() else ""
    return text if text.startswith("good") else None


def make(work: Path) -> None:
    """Fill an entry."""
    (work / "file").write_text("good")


def test_is_made_once(tmp_path: Path) -> None:
    """What is there is not made again."""
    made: list[Path] = []

    def counted(work: Path) -> None:
        made.append(work)
        make(work)

    entry = tmp_path / "kind" / "digest"
    assert ["good", "good"] == [keep(entry, counted, read) for _ in range(2)]
    assert 1 == len(made)
    assert [entry] == list(entry.parent.iterdir())


@pytest.mark.parametrize("damage", ["empty folder", "other content", "half removed"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    """Whatever is in its place goes, and nothing of it stays."""
    entry = tmp_path / "kind" / "digest"
    entry.mkdir(parents=True)
    if damage == "other content":
        (entry / "file").write_text("bad")
    if damage == "half removed":
        (entry / "another").write_text("good")
    assert "good" == keep(entry, make, read)
    assert [entry / "file"] == list(entry.iterdir())
    assert [entry] == list(entry.parent.iterdir())


@pytest.mark.parametrize("damaged", [False, True])
def test_several_at_the_same_time(tmp_path: Path, *, damaged: bool) -> None:
    """All get the entry, whoever was first, and no half of one is left."""
    entry = tmp_path / "kind" / "digest"
    if damaged:
        entry.mkdir(parents=True)
        (entry / "file").write_text("bad")
    together = threading.Barrier(8, timeout=30)

    def slow(work: Path) -> None:
        make(work)
        together.wait()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: keep(entry, slow, read), range(8)))
    assert ["good"] * 8 == results
    assert [entry] == list(entry.parent.iterdir())


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    """What `make` raises is passed on; the next attempt starts afresh."""

    def fails(work: Path) -> None:
        (work / "half").write_text("")
        raise BuildError("planted")

    entry = tmp_path / "kind" / "digest"
    with pytest.raises(BuildError, match="planted"):
        keep(entry, fails, read)
    assert [] == list(entry.parent.iterdir())
    assert "good" == keep(entry, make, read)


def test_a_full_disk(tmp_path: Path) -> None:
    """The message has the folder, the system's words and the variable that moves it."""

    def full(work: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match=r"cannot write the cache folder .*kind \(No space left on device\); set TINY"):
        keep(tmp_path / "kind" / "digest", full, read)
    assert [] == list((tmp_path / "kind").iterdir())


@pytest.mark.parametrize("place", ["kind", "kind/digest"])
def test_a_file_in_the_way(tmp_path: Path, place: str) -> None:
    """A file where a folder should be is not removed."""
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("mine")
    with pytest.raises(UsageError, match="cannot write the cache folder"):
        keep(tmp_path / "kind" / "digest", make, read)
    assert "mine" == (tmp_path / place).read_text()


def test_a_process_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds the folder and does not let go is waited for a bounded time."""
    monkeypatch.setattr(contentcache, "_LOCK_TIMEOUT_S", 0.1)
    (tmp_path / "kind").mkdir()
    handle = os.open(tmp_path / "kind", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process has held the cache folder"):
            keep(tmp_path / "kind" / "digest", make, read)
    finally:
        os.close(handle)
    assert "good" == keep(tmp_path / "kind" / "digest", make, read)


def test_an_entry_that_cannot_be_read_back(tmp_path: Path) -> None:
    """One attempt, then an error; not a loop."""
    with pytest.raises(UsageError, match="cannot be read back"):
        keep(tmp_path / "kind" / "digest", make, lambda _: None)
