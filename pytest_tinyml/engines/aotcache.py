"""Generated sources, kept by content: a run that has been made before need not even import the generator."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.engines import aotgenerate, aotunit
from pytest_tinyml.engines.manifest import digest_of_code, keep_sources
from pytest_tinyml.engines.sources import EngineSources, from_record, to_record
from pytest_tinyml.errors import UnknownNameError

if TYPE_CHECKING:
    from pytest_tinyml.records import Model

_OTHERS: Final = ("preprocess.py", "records.py")
"""Modules outside this folder that decide about the output."""


@cache
def _generator() -> str:
    """Return the digest of all code that writes the sources: ours by content, bakenn by its version."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), *(here.parent / name for name in _OTHERS)]
    files += sorted((assets_dir("firmware") / "engines" / "aot" / "kernels").glob("*.h"))
    return digest_of_code(files, [f"{package} {version(package)}" for package in ("bakenn", "ai-edge-litert")])


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


def generated(model: Model, kernels: str = aotunit.PORTABLE) -> EngineSources:
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

    def write(folder: Path) -> dict[str, Any]:
        return to_record(aotgenerate.write(model, folder, kernels), folder)

    return keep_sources(_digest(model, kernels), write, from_record)
