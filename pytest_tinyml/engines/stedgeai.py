"""Engine ``stedgeai``: a model translated by ST's own tool, which the user has installed.

The tool is ``stedgeai`` (ST Edge AI Core) or the older ``stm32ai`` (X-CUBE-AI from 7.1 on). It writes the network's C
and comes with headers and a library for each core; ``firmware/engines/stedgeai`` is what stands around them. Nothing of
ST's is part of this package.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.engines.manifest import digest_of_code, keep_sources
from pytest_tinyml.engines.modelfile import model_source
from pytest_tinyml.engines.sources import EngineSources, from_record, to_record
from pytest_tinyml.engines.stedgeaireport import Footprint, kernels_of, read_footprint
from pytest_tinyml.errors import BuildError, MissingToolError, ModelError, UsageError
from pytest_tinyml.firmware.build import first_error, run_step
from pytest_tinyml.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tinyml.records import Model

ENGINE: Final = "stedgeai"
FOLDER_VARIABLE: Final = "STEDGEAI_CORE_DIR"
PROGRAMS: Final = ("stedgeai", "stm32ai")
TARGET: Final = "stm32f4"
INSTALL: Final = (
    "download ST Edge AI Core (or the pack X-CUBE-AI) from https://www.st.com/stedgeai, and put the folder of its "
    f"program on the PATH, or set {FOLDER_VARIABLE} to where it is installed"
)
_HEADERS: Final = Path("Middlewares/ST/AI/Inc")
_LIBRARIES: Final = Path("Middlewares/ST/AI/Lib")
_CORE: Final = "CM4"
_CONFIG: Final = "stedgeai_engine_config.h"
_OLDEST: Final = "ai_network_create_and_init"
"""The call that the older interface has had since X-CUBE-AI 7.1."""
# E.g. "E010(InvalidModelError): ..." and "NOT IMPLEMENTED: Unsupported layer types: ...".
_REFUSAL: Final = re.compile(r"^.*?((?:E\d+\((?:\w+)\)|NOT IMPLEMENTED|TOOL ERROR|INTERNAL ERROR): .+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """ST's tool, as it is installed.

    Attributes:
        program: its path.
        root: the folder that has ``Middlewares/ST/AI``; None if there is none above the program.
    """

    program: Path
    root: Path | None

    @property
    def headers(self) -> Path:
        """Folder of the headers of ST's library.

        Raises:
            MissingToolError: it was not found.
        """
        return self._root() / _HEADERS

    @property
    def library(self) -> Path:
        """ST's library for the Cortex-M4 and GCC, the newest if there are several.

        Raises:
            MissingToolError: it was not found.
        """
        folder = self._root() / _LIBRARIES
        found = sorted(folder.rglob(f"NetworkRuntime*_{_CORE}_GCC.a"))
        if not found:
            tool = f"ST's library NetworkRuntime*_{_CORE}_GCC.a in {folder}"
            raise MissingToolError(tool, f"engine {ENGINE!r}", INSTALL)
        return found[-1]

    def _root(self) -> Path:
        if self.root is None:
            tool = f"the folder {_HEADERS} beside {self.program}"
            raise MissingToolError(tool, f"engine {ENGINE!r}", INSTALL)
        return self.root


def find_tool() -> Tool:
    """Find ST's tool: on the PATH, or in ``$STEDGEAI_CORE_DIR``.

    Raises:
        MissingToolError: there is none; says where to get it.
    """
    given = os.environ.get(FOLDER_VARIABLE, "")
    folders = [str(path) for path in sorted(Path(given).glob("Utilities/*"))] if given else []
    for name in PROGRAMS:
        found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(folders))
        if found:
            program = Path(found).resolve()
            roots = [*([Path(given)] if given else []), *program.parents]
            return Tool(program=program, root=next((root for root in roots if (root / _HEADERS).is_dir()), None))
    raise MissingToolError("stedgeai or stm32ai", f"engine {ENGINE!r}", INSTALL)


def missing() -> str:
    """Return what of ST's is not installed, empty if nothing is."""
    try:
        tool = find_tool()
        _ = tool.headers, tool.library
    except MissingToolError as error:
        return error.tool
    return ""


def run_tool(tool: Tool, words: Sequence[str], model: Model, folder: Path) -> Path:
    """Run the tool on a model.

    Args:
        tool: ST's.
        words: command, and what it takes beside the model.
        model: a .tflite.
        folder: for the model, the tool's workspace and its output; exists.

    Returns:
        The folder of its output.

    Raises:
        ModelError: the tool refuses the model; or it is no .tflite.
        BuildError: the tool fails otherwise; with its output's path.
    """
    if model.format != "tflite":
        msg = f"{model.name}: engine {ENGINE!r} takes .tflite files, this is an .{model.format}"
        raise ModelError(msg)
    path = folder / "model.tflite"
    path.write_bytes(model.data)
    output = folder / "output"
    # stm32ai generates for all of ST's parts alike.
    target = ["--target", TARGET] if tool.program.stem == PROGRAMS[0] else []
    places = ["--output", str(output), "--workspace", str(folder / "workspace")]
    command = [str(tool.program), words[0], "--model", str(path), *target, "--name", "network", *places, *words[1:]]
    code, said = run_step(command, cwd=folder)
    refusal = _REFUSAL.search(said)
    if code != 0 and refusal:
        msg = f"{model.name}: refused by engine {ENGINE!r}: {refusal[1]}"
        raise ModelError(msg)
    if code != 0:
        kept = cache_dir() / ENGINE / f"{model.sha256[:16]}-failed.log"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(said, encoding="utf-8")
        msg = f"{tool.program.name} {words[0]} fails on {model.name}: {first_error(said)}"
        raise BuildError(msg, kept)
    return output


def report_of(output: Path, command: str) -> str:
    """Return the text of the report that a command of the tool left in its output folder.

    Raises:
        BuildError: there is none.
    """
    path = output / f"network_{command}_report.txt"
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        msg = f"ST's tool has left no {path.name}: {error.strerror}"
        raise BuildError(msg) from error


def analyze(model: Model) -> Footprint:
    """Ask the tool what a model takes.

    Raises:
        MissingToolError: the tool is not installed.
        ModelError: it refuses the model.
        BuildError: it fails.
    """
    with tempfile.TemporaryDirectory(prefix="tinyml-") as scratch:
        output = run_tool(find_tool(), ["analyze"], model, Path(scratch))
        return read_footprint(report_of(output, "analyze"))


def sources_for(model: Model) -> EngineSources:
    """Return the C that ST's tool makes of a model, generated now or before.

    It computes with the FPU, whatever the model's types, and is linked with ``libraries``.

    Raises:
        MissingToolError: the tool, its headers or its library is not installed.
        ModelError: the tool refuses the model, or is older than X-CUBE-AI 7.1.
        BuildError: the tool fails.
        UsageError: the cache folder cannot be written.
    """
    tool = find_tool()
    headers, library = tool.headers, tool.library
    preprocess = model.preprocess
    parts = (
        ENGINE,
        _generator(),
        _identity(tool.program, library),
        model.sha256,
        model.name,
        f"{preprocess.kind} {preprocess.scale!r} {preprocess.offset!r}",
        f"{model.input!r} {model.output!r}",
    )
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def make(folder: Path) -> dict[str, Any]:
        return to_record(_write(tool, model, folder), folder)

    generated = keep_sources(digest, make, from_record)
    return replace(generated, include_dirs=(*generated.include_dirs, headers), libraries=(library,))


@cache
def _generator() -> str:
    here = Path(__file__).parent
    others = [here.parent / name for name in ("preprocess.py", "records.py")]
    return digest_of_code([*sorted(here.glob("stedgeai*.py")), here / "modelfile.py", *others], [])


def _identity(program: Path, library: Path) -> str:
    """Return what tells one installation from another without starting it, which takes seconds."""
    return " ".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in (program, library))


def _write(tool: Tool, model: Model, folder: Path) -> EngineSources:
    """Generate into an empty folder; what the tool leaves beside the network is not kept."""
    with tempfile.TemporaryDirectory(prefix="tinyml-") as scratch:
        output = run_tool(tool, ["generate"], model, Path(scratch))
        footprint = read_footprint(report_of(output, "generate"))
        info = next(iter(sorted(Path(scratch).rglob("network_c_info.json"))), None)
        kernels = () if info is None else kernels_of(json.loads(info.read_text(encoding="utf-8")))
        for file in sorted(output.glob("*.[ch]")):
            shutil.copy(file, folder / file.name)
    header = folder / "network.h"
    if not header.is_file():
        msg = f"ST's tool has left no network.h for {model.name}"
        raise BuildError(msg)
    text = header.read_text(encoding="utf-8", errors="replace")
    new = "stai_network_init" in text
    if not new and _OLDEST not in text:
        msg = f"{model.name}: what {tool.program.name} generates lacks {_OLDEST}(): X-CUBE-AI 7.1 or later is needed"
        raise UsageError(msg)
    (folder / "tml_model.c").write_text(model_source(model), encoding="utf-8")
    (folder / _CONFIG).write_text(_config(model, new=new), encoding="utf-8")
    return EngineSources(
        engine=ENGINE,
        folder=ENGINE,
        kernels=ENGINE,
        sources=(folder / "tml_model.c",),
        vendor_sources=tuple(sorted(folder.glob("network*.c"))),
        include_dirs=(folder,),
        arena_bytes=footprint.ram_bytes,
        weights_bytes=footprint.weights_bytes,
        kernels_used=kernels,
    )


def _config(model: Model, *, new: bool) -> str:
    macros = {
        "STAI": int(new),
        "INPUT_BYTES": model.input.nbytes,
        "OUTPUT_BYTES": model.output.nbytes,
    }
    defines = "".join(f"#define TML_STEDGEAI_{name} {value}\n" for name, value in macros.items())
    return (
        "/* Generated by pytest-tinyml: what firmware/engines/stedgeai needs to know of the network. */\n"
        f"#ifndef STEDGEAI_ENGINE_CONFIG_H\n#define STEDGEAI_ENGINE_CONFIG_H\n\n{defines}\n#endif\n"
    )
