"""From a model's file to what a firmware compiles for it, kept by content."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.engines.layers import AOT_FLOAT, ESPDL_C, emit
from pytest_tinyml.engines.layers.plan import lay_out
from pytest_tinyml.engines.manifest import digest_of_code, keep_sources
from pytest_tinyml.engines.modelfile import model_source
from pytest_tinyml.engines.sources import EngineSources, KernelUse, from_record, to_record

if TYPE_CHECKING:
    from pytest_tinyml.engines.layers.ir import Network
    from pytest_tinyml.records import Model

FOLDER: Final = "layers"
_KERNELS: Final = {AOT_FLOAT: "f32", ESPDL_C: "pot"}
"""The folder of each engine's kernels."""


def network_of(model: Model) -> Network:
    """Read a model into a network.

    Raises:
        ModelError: the file is damaged, or has other types than the engine computes with.
        UnsupportedOperatorError: an operator that no kernel computes.
    """
    if model.format == "espdl":
        from pytest_tinyml.engines.layers.fromespdl import read_espdl  # noqa: PLC0415 - most models do without

        return read_espdl(model)
    from pytest_tinyml.engines.layers.fromfloat import read_float  # noqa: PLC0415

    return read_float(model)


def write(network: Network, description: str, out_dir: Path) -> EngineSources:
    """Write the sources of a network into a folder; the same network gives the same bytes.

    Args:
        network: to be executed.
        description: the text of ``tml_model.c``, see `model_source`.
        out_dir: receives ``layers_network.c``, ``layers_engine_config.h`` and ``tml_model.c``; made if it is absent.

    Raises:
        OSError: out_dir cannot be written, or the disk is full.
    """
    layout = lay_out(network)
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / "tml_model.c").write_text(description, encoding="utf-8")
    (out_dir / emit.CONFIG).write_text(emit.config_header(network, layout), encoding="utf-8")
    (out_dir / emit.NETWORK).write_text(emit.network_source(network, layout), encoding="utf-8")
    return EngineSources(
        engine=network.engine,
        folder=FOLDER,
        kernels="portable",
        sources=(out_dir / "tml_model.c",),
        vendor_sources=(out_dir / emit.NETWORK,),
        include_dirs=(out_dir,),
        arena_bytes=layout.arena_bytes,
        weights_bytes=sum(value.nbytes for value in network.values if value.data is not None),
        kernels_used=tuple(
            KernelUse(index=step.index, operator=step.operator, function=step.function, vendor=False)
            for step in network.steps
        ),
    )


def with_kernels(generated: EngineSources) -> EngineSources:
    """Add the engine's kernels, which are not generated, to what `write` returned."""
    folder = assets_dir("firmware") / "engines" / FOLDER / _KERNELS[generated.engine]
    return replace(
        generated,
        vendor_sources=(*generated.vendor_sources, *sorted(folder.glob("*.c"))),
        include_dirs=(*generated.include_dirs, folder),
    )


@cache
def _generator() -> str:
    """Return the digest of all code that writes the sources: ours by content, the schema's reader by its version."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), *sorted(here.parent.glob("*.py"))]
    files += [here.parents[1] / name for name in ("preprocess.py", "records.py")]
    return digest_of_code(files, [f"{package} {version(package)}" for package in ("ai-edge-litert", "flatbuffers")])


def generated(model: Model) -> EngineSources:
    """Return the C of a model from the cache; generate it if it is not there, or is damaged.

    Raises:
        ModelError, UnsupportedOperatorError: see `network_of`.
        UsageError: the cache folder cannot be written.
    """
    preprocess = model.preprocess
    parts = (
        _generator(),
        model.sha256,
        model.name,
        f"{preprocess.kind} {preprocess.scale!r} {preprocess.offset!r}",
        f"{model.input!r} {model.output!r}",
    )

    def make(folder: Path) -> dict[str, Any]:
        return to_record(write(network_of(model), model_source(model), folder), folder)

    return with_kernels(keep_sources(hashlib.sha256("\n".join(parts).encode()).hexdigest(), make, from_record))
