"""An engine as a shared library: what is generated for a model, compiled with every warning of ours, and called."""

from __future__ import annotations

import ctypes
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.assets import assets_dir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_tinyml.engines.sources import EngineSources
    from pytest_tinyml.records import Model

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror", "-ffreestanding")
SHIM = """#include "tml_engine.h"
#include "tml_model.h"
const tml_model *shim_model(void) { return &tml_the_model; }
tml_engine *shim_engine(void) { return &tml_the_engine; }
"""


def load_engine(
    generated: EngineSources, folder: Path, *, strict: bool = False, compiled: Sequence[Path] = ()
) -> ctypes.CDLL:
    """Compile and load what was generated; every warning of ours is an error, with `strict` those of the rest too.

    Args:
        generated: what is compiled.
        folder: for what comes out of it; made if it is absent.
        strict: see above.
        compiled: objects to be linked besides, see `compile_kernels`.
    """
    dirs = (*generated.include_dirs, generated.engine_dir, assets_dir("firmware") / "core" / "include")
    includes = [f"-I{path}" for path in dirs]
    others = STRICT if strict else ("-std=c11",)
    objects = list(compiled)
    folder.mkdir(parents=True, exist_ok=True)
    for source, flags in [
        *((s, STRICT) for s in generated.own_sources),
        *((s, others) for s in generated.vendor_sources),
    ]:
        objects.append(folder / f"{source.stem}.o")
        command = [
            "cc",
            *flags,
            "-O3",
            "-ffp-contract=off",
            "-fPIC",
            "-fvisibility=hidden",
            *includes,
            "-c",
            str(source),
            "-o",
            str(objects[-1]),
        ]
        subprocess.run(command, check=True, timeout=120)
    (folder / "shim.c").write_text(SHIM)
    library = folder / "engine.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", *includes, str(folder / "shim.c"), *map(str, objects), "-o", str(library)],
        check=True,
        timeout=120,
    )
    return ctypes.CDLL(str(library))


def compile_kernels(folder: Path, out: Path) -> tuple[Path, ...]:
    """Compile all C of a folder with every warning as an error, once for many networks; returns the objects."""
    objects = []
    for source in sorted(folder.glob("*.c")):
        objects.append(out / f"{source.stem}.o")
        command = ["cc", *STRICT, "-O3", "-fPIC", "-fvisibility=hidden", "-c", str(source), "-o", str(objects[-1])]
        subprocess.run(command, check=True, timeout=120)
    return tuple(objects)


class Engine(ctypes.Structure):
    """``tml_engine``."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("init", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)),
        ("input", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)),
        ("invoke", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)),
        ("output", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)),
        ("arena_used", ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)),
        ("arena_capacity", ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)),
    )


def engine_of(library: ctypes.CDLL) -> Engine:
    """Return the vtable of a library made by `load_engine`."""
    library.shim_engine.restype = ctypes.POINTER(Engine)
    engine: Engine = library.shim_engine().contents
    return engine


def run(engine: Engine, model: Model, tensors: Any) -> Any:
    """Run input tensors, one at a time; the output's dtype, [N, output elements]."""
    assert engine.init(None) == 0
    source, result = engine.input(None), engine.output(None)
    scores = np.empty((len(tensors), model.output.elements), model.output.dtype)
    for row, tensor in zip(scores, np.ascontiguousarray(tensors), strict=True):
        ctypes.memmove(source, tensor.ctypes.data, tensor.nbytes)
        assert engine.invoke(None) == 0
        ctypes.memmove(row.ctypes.data, result, row.nbytes)
    return scores


def tflm(model: Model, tensors: Any) -> Any:
    """Return TensorFlow Lite Micro's outputs; the output's dtype, [N, output elements]."""
    runtime: Any = pytest.importorskip("tflite_micro", reason="published for Linux x86-64 only").runtime
    interpreter = runtime.Interpreter.from_bytes(model.data, arena_size=1 << 16)
    scores = np.empty((len(tensors), model.output.elements), model.output.dtype)
    for row, tensor in zip(scores, tensors, strict=True):
        interpreter.set_input(tensor, 0)
        interpreter.invoke()
        row[:] = interpreter.get_output(0).reshape(-1)
    return scores
