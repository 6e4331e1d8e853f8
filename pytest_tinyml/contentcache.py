"""Folders that are made once and kept under a name that says what is in them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pytest_tinyml.errors import UsageError
from pytest_tinyml.paths import CACHE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
_LOCK_TIMEOUT_S: Final = 30.0
_LOCK_PAUSE_S: Final = 0.01


def keep(entry: Path, make: Callable[[Path], None], read: Callable[[Path], T | None]) -> T:
    """Return what an entry of the cache holds; make it if it is absent, incomplete or damaged.

    It is made in a folder of its own beside its place and moved there whole: nobody sees half an entry, and two
    processes may make the same one at the same time. For that its name must be a digest of all that it depends on.

    Args:
        entry: its place, ``cache_dir() / KIND / DIGEST``.
        make: fills an empty folder. What it raises is passed on, and nothing is kept.
        read: returns what a folder, which may not exist, holds; None if it cannot be used.

    Raises:
        UsageError: the cache cannot be written: no permission, no space, a file in the way, or another process that
            holds it for 30 s.
    """
    found = read(entry)
    if found is not None:
        return found
    work: Path | None = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=entry.parent))
        make(work)
        return _publish(work, entry, read)
    except OSError as error:
        msg = (
            f"cannot write the cache folder {entry.parent} ({error.strerror or error}); "
            f"set {CACHE_VARIABLE} to one that can be written"
        )
        raise UsageError(msg) from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def _publish(work: Path, entry: Path, read: Callable[[Path], T | None]) -> T:
    """Move a finished folder to its place, and what is wrong there out of the way."""
    with _locked(entry.parent):
        found = read(entry)
        if found is not None:
            return found  # another process was faster, and its entry is the same as ours
        with tempfile.TemporaryDirectory(prefix=".damaged-", dir=entry.parent) as aside:
            if entry.is_dir():
                # Moved before it is removed: a folder that is being removed would be half an entry.
                entry.rename(Path(aside) / "entry")
            work.rename(entry)
        found = read(entry)
    if found is None:
        msg = f"the cache entry {entry} cannot be read back; remove it and run again"
        raise UsageError(msg)
    return found


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time replace entries of a folder; without this, one could replace what another just made."""
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # It is held for the time of two renames; only a process that was stopped holds it for longer.
                if time.monotonic() > deadline:
                    msg = f"another process has held the cache folder {folder} for {_LOCK_TIMEOUT_S:.0f} s"
                    raise UsageError(msg) from None
                time.sleep(_LOCK_PAUSE_S)
        yield
    finally:
        os.close(handle)  # and with it the lock
