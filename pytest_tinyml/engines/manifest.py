"""Generated sources in the cache, with a manifest that says what every file was like when it was written."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_tinyml.contentcache import keep
from pytest_tinyml.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
_MANIFEST: Final = "manifest.json"


def digest_of_code(files: list[Path], texts: list[str]) -> str:
    """Return the digest of a generator: its files by name and content, and texts such as versions of packages."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    for text in texts:
        total.update(f"{text}\n".encode())
    return total.hexdigest()


def keep_sources(
    digest: str,
    write: Callable[[Path], dict[str, Any]],
    read: Callable[[dict[str, Any], Path], T],
) -> T:
    """Return sources from the cache; write them if they are not there, or not every file is as it was written.

    A refusal is not cached: what `write` raises is raised again the next time. Two processes may ask for the same at
    the same time.

    Args:
        digest: of all that they depend on.
        write: fills an empty folder and returns the record of what it wrote, as JSON has it.
        read: returns what a record and its folder stand for; raises KeyError or TypeError if it is not such a record.

    Raises:
        UsageError: the cache folder cannot be written.
    """

    def make(folder: Path) -> None:
        manifest = {"sources": write(folder), "files": _files(folder)}
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")

    def found(entry: Path) -> T | None:
        try:
            manifest: dict[str, Any] = json.loads((entry / _MANIFEST).read_bytes())
            return read(manifest["sources"], entry) if manifest["files"] == _files(entry) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    return keep(cache_dir() / "generated" / digest, make, found)


def _files(entry: Path) -> dict[str, str]:
    """Return the digest of every file of an entry but the manifest."""
    return {
        path.relative_to(entry).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(entry.rglob("*"))
        if path.is_file() and path.name != _MANIFEST
    }
