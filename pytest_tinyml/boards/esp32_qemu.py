"""An ESP32 under Espressif's QEMU: the ESP32-CAM's application with the Ethernet that is emulated."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.base import Missing
from pytest_tinyml.boards.espapps import tflm_application
from pytest_tinyml.boards.espemulated import APPLICATION, SETTINGS, EmulatedBoard
from pytest_tinyml.boards.espidf import APP_BYTES, PSRAM_BYTES, WALL
from pytest_tinyml.boards.espkind import missing_packages
from pytest_tinyml.engines.tflmops import operators_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.records import Model

NAME: Final = "esp32-qemu"
_PACKAGES: Final = ("esptool", "pytest_embedded", "pytest_embedded_idf", "pytest_embedded_qemu")
_PROGRAM: Final = "qemu-system-xtensa"
_MACHINE: Final = "esp32"
_ASK_S: Final = 10.0
_INSTALL: Final = "python $IDF_PATH/tools/idf_tools.py install qemu-xtensa"
_IDF: Final = "ESP-IDF (IDF_PATH is not set), or a firmware that is built already (--app-path DIR)"


class Esp32QemuKind:
    """See the module."""

    name = NAME
    summary = "ESP32 under Espressif's QEMU, with its emulated Ethernet (engine: TensorFlow Lite Micro)"
    engine = "tflm"
    hardware = False
    links: tuple[str, ...] = ("http",)
    clocks: tuple[str, ...] = (WALL,)
    options: Mapping[str, str] = {}
    memories: Mapping[str, int] = {"flash": APP_BYTES, "RAM": PSRAM_BYTES}
    embedded_services = "idf,qemu"
    """The services of pytest-embedded that a board of this kind has: it lends its QEMU to the fixture ``dut``."""

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        return self.missing_with({})

    def missing_with(self, device: Mapping[str, str]) -> list[Missing]:
        """Say what this computer lacks, if pytest-embedded's options name program and firmware."""
        lacking = missing_packages(_PACKAGES)
        for program in dict.fromkeys(device.get("qemu_prog_path", _PROGRAM).split("|")):
            what = _why_not(program)
            if what:
                lacking.append(Missing(what=what, install=_INSTALL))
        if not os.environ.get("IDF_PATH") and not {"app_path", "build_dir"} & set(device):
            lacking.append(Missing(what=_IDF, install=". $HOME/esp/esp-idf/export.sh"))
        return lacking

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        operators_of(model)

    def create(self, request: BoardRequest) -> EmulatedBoard:
        """See `BoardKind.create`."""
        return EmulatedBoard(NAME, tflm_application(APPLICATION, SETTINGS), request)


def _why_not(program: str) -> str:
    """Say why a program is not Espressif's QEMU; nothing if it is."""
    path = shutil.which(program)
    if path is None:
        return f"Espressif's QEMU (there is no {program}; after installing, . $IDF_PATH/export.sh, or --qemu-prog-path)"
    try:
        done = subprocess.run(
            [path, "-machine", "help"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"Espressif's QEMU ({path} does not say which machines it has: {error})"
    machines = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    if _MACHINE in machines:
        return ""
    return f"Espressif's QEMU ({path} has no machine {_MACHINE}: distributions' emulate other boards with an Xtensa)"


KIND: Final = Esp32QemuKind()
