"""Engine ``espdl``: what firmware with Espressif's ESP-DL links for an .espdl file.

The file as an array (``carray``), its description for the firmware's core (``modelfile``), and the facts for build
systems (``component``). What links it is ``firmware/engines/espdl``; ESP-DL itself finds operators and memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.engines import carray
from pytest_tinyml.engines.component import DESCRIPTION, description
from pytest_tinyml.engines.modelfile import model_source
from pytest_tinyml.errors import BuildError, ModelError
from pytest_tinyml.stores.espdl import read_espdl, require_family

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.records import Model

ENGINE: Final = "espdl"


def check(model: Model, chip: str) -> None:
    """Refuse what ESP-DL on a chip cannot execute, as far as the file says.

    Raises:
        ModelError: no .espdl file; a damaged one; or one for a chip with other kernels.
    """
    if model.format != "espdl":
        msg = (
            f"{model.name} is a .tflite file, and ESP-DL executes .espdl files: quantise the float model with "
            "tinyml convert MODEL --espdl --bits 8, or use --board esp32 or esp32-aot"
        )
        raise ModelError(msg)
    require_family(read_espdl(model.data, model.path), chip, model.path)


def generate(model: Model, out_dir: Path) -> Path:
    """Write the sources; returns the folder. The same model gives the same bytes.

    Args:
        model: an .espdl.
        out_dir: receives ``model.h``, ``model.cc``, ``tml_model.c`` and ``tinyml-model.json``; made if it is absent.

    Raises:
        ModelError: see `model_source`.
        BuildError: out_dir cannot be written.
    """
    text = model_source(model)
    try:
        carray.write(model.data, out_dir, ".espdl")
        (out_dir / "tml_model.c").write_text(text, encoding="utf-8")
        (out_dir / DESCRIPTION).write_text(description(model, ENGINE, {}), encoding="utf-8")
    except OSError as error:
        msg = f"cannot write the generated sources of {model.name} to {out_dir}: {error}"
        raise BuildError(msg) from error
    return out_dir
