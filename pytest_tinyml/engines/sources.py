"""What engines generate for a model: the files, their sizes, and who computes each operator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pytest_tinyml.assets import assets_dir

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelUse:
    """Which C function computes an operator.

    Attributes:
        index: 0-based position of the operator in the model's file.
        operator: its TensorFlow Lite name, e.g. ``CONV_2D``.
        function: what the generated code calls for it, e.g. ``arm_convolve_wrapper_s8``; empty for an operator that
            needs no code, such as a RESHAPE, which is the same memory under another shape.
        vendor: whether the function is one of the chip vendor's library.
    """

    index: int
    operator: str
    function: str
    vendor: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSources:
    """What a firmware compiles for a model. No macro has to be defined for it.

    Attributes:
        engine: what the firmware says that executes the model, e.g. ``aot``.
        folder: of ``firmware/engines`` with the C that is the same for all models.
        kernels: the back end: ``portable``, ``cmsis-nn`` or ``esp-nn``.
        sources: our generated C, clean under -Wall -Wextra -Wconversion.
        vendor_sources: bakenn's generated C and the vendor's, to be compiled without those warnings; wants -O3.
        include_dirs: for all of them and for the engine's own sources.
        arena_bytes: working memory of the engine: bakenn's plan with the kernels' scratch buffers, the input and the
            output. A linker may add up to 15 bytes to align them.
        weights_bytes: constant data of the network.
        kernels_used: one for every operator of the model's file that was not folded away, in the file's order.
        libraries: archives of the vendor's to link with, in the ABI of the FPU, before the C library; not part of what
            is kept in the cache.
    """

    engine: str
    folder: str
    kernels: str
    sources: tuple[Path, ...]
    vendor_sources: tuple[Path, ...]
    include_dirs: tuple[Path, ...]
    arena_bytes: int
    weights_bytes: int
    kernels_used: tuple[KernelUse, ...]
    libraries: tuple[Path, ...] = ()

    @property
    def engine_dir(self) -> Path:
        """The folder of the engine's own C; its headers are there as well."""
        return assets_dir("firmware") / "engines" / self.folder

    @property
    def own_sources(self) -> tuple[Path, ...]:
        """All that is clean under -Wall -Wextra -Wconversion: what was generated, and the engine's own C."""
        return (*self.sources, *sorted(self.engine_dir.glob("*.c")))


def to_record(generated: EngineSources, folder: Path) -> dict[str, Any]:
    """Return the JSON form; paths are relative to a folder that holds all of them."""
    record = asdict(generated)
    del record["libraries"]
    for name in ("sources", "vendor_sources", "include_dirs"):
        record[name] = [path.relative_to(folder).as_posix() for path in record[name]]
    return record


def from_record(record: Mapping[str, Any], folder: Path) -> EngineSources:
    """Return what `to_record` was given, with the files now in another folder.

    Raises:
        KeyError, TypeError: the record is not one of `to_record`.
    """
    paths = {
        name: tuple(folder / part for part in record[name]) for name in ("sources", "vendor_sources", "include_dirs")
    }
    uses = tuple(KernelUse(**use) for use in record["kernels_used"])
    return EngineSources(**{**record, **paths, "kernels_used": uses})
