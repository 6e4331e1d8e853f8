"""A reference's scores, kept between runs.

One folder per (model, data set, preprocessing, reference, runtime version), one file per chunk of samples: an
interrupted computation loses at most the chunks that were being computed. A file is an ordinary .npy followed by
the SHA-256 of it; one that does not match is computed again.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.paths import cache_dir as default_cache_dir
from pytest_tinyml.references.base import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from pytest_tinyml.records import Model
    from pytest_tinyml.references.base import OnChunk, Reference

_DIGEST_BYTES: Final = 32


def entry_dir(reference: Reference, model: Model, dataset_sha256: str, cache_dir: Path | None = None) -> Path:
    """Return the folder of a cache entry; its name is a digest of everything that the scores depend on."""
    preprocess = model.preprocess
    key = "\n".join(
        (
            model.sha256,
            dataset_sha256,
            f"{preprocess.kind} {preprocess.scale!r} {preprocess.offset!r}",
            reference.name,
            reference.runtime_version,
        )
    )
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return (cache_dir or default_cache_dir()) / "references" / f"{reference.name}-{digest}"


def _load(path: Path, shape: tuple[int, int], dtype: str) -> npt.NDArray[Any] | None:
    """Return a stored chunk, or None if it is absent, damaged or something else."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        return None
    chunk: npt.NDArray[Any] = np.load(io.BytesIO(body), allow_pickle=False)
    return chunk if chunk.shape == shape and chunk.dtype == np.dtype(dtype) else None


def _store(path: Path, chunk: npt.NDArray[Any]) -> None:
    """Write a chunk so that it is there completely or not at all."""
    buffer = io.BytesIO()
    np.save(buffer, chunk, allow_pickle=False)
    body = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body + hashlib.sha256(body).digest())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def cached_scores(
    reference: Reference,
    model: Model,
    dataset_sha256: str,
    tensors: Callable[[int, int], npt.NDArray[Any]],
    *,
    samples: int,
    cache_dir: Path | None = None,
    on_chunk: OnChunk | None = None,
) -> npt.NDArray[Any]:
    """Return a reference's scores of the first samples of a data set; computes only what is not stored.

    A cache that cannot be written is said once as a warning, and nothing is stored.

    Args:
        reference: whose scores.
        model: to be run.
        dataset_sha256: the data set's identity.
        tensors: returns the input tensors of samples [start, stop): the input's dtype, [n, *input.shape[1:]].
        samples: how many, from the first.
        cache_dir: where; `paths.cache_dir()` if None.
        on_chunk: told of each piece, stored or computed; first all that are stored.

    Returns:
        The output's dtype, [samples, C].

    Raises:
        ModelError: the reference cannot run the model.
    """
    folder = entry_dir(reference, model, dataset_sha256, cache_dir)
    scores = np.empty((samples, model.output.elements), dtype=model.output.dtype)
    missing: list[int] = []
    for start in range(0, samples, CHUNK):
        stop = min(start + CHUNK, samples)
        chunk = _load(_chunk_path(folder, start, stop), (stop - start, model.output.elements), model.output.dtype)
        if chunk is None:
            missing.append(start)
            continue
        scores[start:stop] = chunk
        if on_chunk is not None:
            on_chunk(start, scores[start:stop])
    if not missing:
        return scores
    writable = True

    def finished(position: int, chunk: npt.NDArray[Any]) -> None:
        nonlocal writable
        # Missing chunks travel as one batch; all but the last are full, so starts are multiples of CHUNK there too.
        start = missing[position // CHUNK]
        scores[start : start + len(chunk)] = chunk
        if writable:
            try:
                _store(_chunk_path(folder, start, start + len(chunk)), chunk)
            except OSError as error:
                writable = False
                warnings.warn(f"scores of reference {reference.name!r} are not cached: {error}", stacklevel=2)
        if on_chunk is not None:
            on_chunk(start, chunk)

    wanted = np.concatenate([tensors(start, min(start + CHUNK, samples)) for start in missing])
    reference.scores(model, wanted, on_chunk=finished)
    return scores


def _chunk_path(folder: Path, start: int, stop: int) -> Path:
    return folder / f"{start:08d}-{stop:08d}.npy"
