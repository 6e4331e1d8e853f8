"""Folders that are made once and kept under a name that says what is in them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tinyml.errors import UsageError
from pytest_tinyml.paths import CACHE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable


def keep(entry: Path, make: Callable[[Path], None], is_complete: Callable[[Path], bool]) -> Path:
    """Return an entry of the cache; make it if it is absent, incomplete or damaged.

    It is made in a folder of its own beside its place and moved there whole: nobody sees half an entry, and two
    processes may make the same one at the same time, which is why its name must be a digest of all that it depends
    on.

    Args:
        entry: its place, ``cache_dir() / KIND / DIGEST``.
        make: fills an empty folder. What it raises is passed on, and nothing is kept.
        is_complete: whether a folder, which may not exist, is an entry that can be used.

    Raises:
        UsageError: the cache cannot be written: no permission, no space, or a file in the way.
    """
    if is_complete(entry):
        return entry
    work: Path | None = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=entry.parent))
        make(work)
        _publish(work, entry, is_complete)
    except OSError as error:
        msg = (
            f"cannot write the cache folder {entry.parent} ({error.strerror or error}); "
            f"set {CACHE_VARIABLE} to one that can be written"
        )
        raise UsageError(msg) from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return entry


def _publish(work: Path, entry: Path, is_complete: Callable[[Path], bool]) -> None:
    """Move a finished folder to its place, and what is wrong there out of the way."""
    try:
        work.rename(entry)
    except OSError:
        if is_complete(entry):
            return  # another process was faster: its entry is the same as ours
        if not entry.is_dir():
            raise
        # Renamed before it is removed: a folder that is being removed would be half an entry.
        with tempfile.TemporaryDirectory(prefix=".damaged-", dir=entry.parent) as aside:
            entry.rename(Path(aside) / "entry")
            work.rename(entry)
