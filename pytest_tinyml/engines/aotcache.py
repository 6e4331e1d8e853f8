"""Generated sources, kept by content: a run that has been made before need not even import the generator."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.contentcache import keep
from pytest_tinyml.engines import aotgenerate, aotunit
from pytest_tinyml.engines.aotsources import AotSources, from_record, to_record
from pytest_tinyml.errors import UnknownNameError
from pytest_tinyml.paths import cache_dir

if TYPE_CHECKING:
    from pytest_tinyml.records import Model

_MANIFEST: Final = "manifest.json"
_OTHERS: Final = ("preprocess.py", "records.py")
"""Modules outside this folder that decide about the output."""


@cache
def _generator() -> str:
    """Return the digest of all code that writes the sources: ours by content, bakenn by its version."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), *(here.parent / name for name in _OTHERS)]
    files += sorted((assets_dir("firmware") / "engines" / "aot" / "kernels").glob("*.h"))
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    for package in ("bakenn", "ai-edge-litert"):
        total.update(f"{package} {version(package)}\n".encode())
    return total.hexdigest()


def _digest(model: Model, kernels: str) -> str:
    preprocess = model.preprocess
    parts = (
        _generator(),
        kernels,
        model.sha256,
        model.name,
        f"{preprocess.kind} {preprocess.scale!r} {preprocess.offset!r}",
        f"{model.input!r} {model.output!r}",
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _files(entry: Path) -> dict[str, str]:
    """Return the digest of every file of an entry but the manifest."""
    return {
        path.relative_to(entry).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(entry.rglob("*"))
        if path.is_file() and path.name != _MANIFEST
    }


def _read(entry: Path) -> AotSources | None:
    """Return what an entry holds; None if it is absent, or not every file is as it was written."""
    try:
        manifest: dict[str, Any] = json.loads((entry / _MANIFEST).read_bytes())
        if manifest["files"] != _files(entry):
            return None
        return from_record(manifest["sources"], entry)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def generated(model: Model, kernels: str = aotunit.PORTABLE) -> AotSources:
    """Return the C of a model from the cache; generate it if it is not there, or is damaged.

    A refusal is not cached: the model is refused again with the same words. Two processes may ask for the same at the
    same time.

    Args:
        model: see `generate`.
        kernels: see `generate`.

    Raises:
        UnknownNameError: no such kernels.
        ModelError: see `generate`.
        UnsupportedOperatorError: see `generate`.
        UsageError: the cache folder cannot be written.
    """
    if kernels not in aotunit.KERNELS:
        raise UnknownNameError("kernels", kernels, aotunit.KERNELS)

    def make(folder: Path) -> None:
        sources = aotgenerate.write(model, folder, kernels)
        manifest = {"sources": to_record(sources, folder), "files": _files(folder)}
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")

    return keep(cache_dir() / "generated" / _digest(model, kernels), make, _read)
