"""What stands for a processor under QEMU: which program, which machine, which firmware."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.base import Missing
from pytest_tinyml.boards.crossbuild import Part
from pytest_tinyml.firmware.build import too_old

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OLDEST_QEMU: Final = (7, 0)
_VERSION: Final = re.compile(r"version (\d+)\.(\d+)")
_ASK_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator(Part):
    """A processor under QEMU.

    Attributes:
        name: the board's.
        program: of QEMU.
        install: the command that installs it.
        machine: QEMU's arguments for the bulk link.
        serial_machine: ... and for the serial link, to which the line is connected as the character device ``line``.
        counting: QEMU's arguments that make its time the number of instructions.
    """

    name: str
    program: str
    install: str
    machine: tuple[str, ...]
    serial_machine: tuple[str, ...]
    counting: tuple[str, ...]

    def command(self, image: Path, machine: Sequence[str], words: Sequence[str], *, counted: bool = False) -> list[str]:
        """Return QEMU's command line.

        Args:
            image: the firmware.
            machine: `machine`, or `serial_machine` and what the line is connected to.
            words: for the firmware; firmware/apps/emulated/main.c understands them.
            counted: time is the number of instructions.
        """
        words = [*words, *(["clock=instructions"] if counted else [])]
        return [
            self.program,
            *machine,
            *(self.counting if counted else ()),
            *("-display", "none", "-monitor", "none", "-no-reboot", "-d", "guest_errors"),
            *("-semihosting-config", "enable=on,target=native," + ",".join(f"arg={word}" for word in words)),
            *("-kernel", str(image)),
        ]

    def missing(self) -> list[Missing]:
        """Say what this computer lacks."""
        lacking: list[Missing] = []
        version = qemu_version(self.program)
        if version is None:
            lacking.append(Missing(what=self.program, install=self.install))
        elif (old := too_old(self.program, version, OLDEST_QEMU)) is not None:
            lacking.append(Missing(what=old, install=self.install))
        return lacking + Part.missing(self)  # a slotted class has no super()


def qemu_version(program: str) -> tuple[int, int] | None:
    """Return QEMU's version; None if it is not installed or does not say."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout)
    return (int(found[1]), int(found[2])) if found else None
