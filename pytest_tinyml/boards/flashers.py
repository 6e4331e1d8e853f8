"""Writes firmware to a part through a debug probe, with OpenOCD or pyOCD, whichever the user has.

Both are asked which part it is before anything is erased. Neither is imported: they are programs, whose output is read
for what a person can do about a failure.
"""

from __future__ import annotations

import re
import shutil
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_tinyml.boards.base import Missing
from pytest_tinyml.errors import BoardError, IdentityError, UnknownNameError
from pytest_tinyml.firmware.build import run_step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NONE: Final = "none"
_LIMIT_S: Final = 120.0
_IDCODE: Final = "0xE0042000"
"""DBGMCU_IDCODE of STM32F4 parts (RM0390, section 33.6.1); the low twelve bits say which."""
_DEVICE: Final = 0xFFF
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_SAID_LINES: Final = 6
_HELD: Final = "another program holds the probe: end the debugger or OpenOCD that is running"
_FORBIDDEN: Final = (
    "no permission for the probe: install the udev rules for ST-LINK (Debian: they come with the package openocd), "
    "then plug it in again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The part and the board, as the tools know them.

    Attributes:
        name: of the part, for messages.
        device_id: what DBGMCU_IDCODE says.
        openocd: configuration file below OpenOCD's scripts.
        pyocd: target type.
    """

    name: str
    device_id: int
    openocd: str
    pyocd: str


class Flasher(ABC):
    """One of the tools.

    Args:
        target: what is flashed.
        serial_number: of the probe; empty if there is only one.
        say: receives every line that the tool says.
    """

    name: ClassVar[str]
    install: ClassVar[str]
    reasons: ClassVar[Sequence[tuple[re.Pattern[str], str]]]
    """What in its output tells why it failed, and what to do."""

    def __init__(self, target: Target, serial_number: str, say: Callable[[str], object]) -> None:
        """Run nothing."""
        self.target, self.serial_number, self._say = target, serial_number, say

    @abstractmethod
    def flash(self, image: Path) -> None:
        """Check the part, write an ELF file, verify it, and start it.

        Raises:
            IdentityError: it is another part; nothing was written.
            BoardError: the probe is absent, busy or forbidden, or the part does not answer, or keeps something else.
        """

    @abstractmethod
    def reset(self) -> None:
        """Start the firmware that is there anew.

        Raises:
            BoardError: as with `flash`.
        """

    def _run(self, command: Sequence[str], purpose: str) -> str:
        code, output = run_step([*command], limit_s=_LIMIT_S)
        lines = [text for line in output.splitlines() if (text := _COLOUR.sub("", line).rstrip())]
        for line in lines:
            self._say(line)
        text = "\n".join(lines)
        if code == 0:
            return text
        reason = next((advice for pattern, advice in self.reasons if pattern.search(text)), "")
        probe = f" with serial number {self.serial_number}" if self.serial_number else ""
        advice = f": {reason.format(probe=probe, target=self.target.pyocd)}" if reason else ""
        said = "\n".join(f"    {line}" for line in lines[1:][-_SAID_LINES:])
        msg = f"{self.name} cannot {purpose} the {self.target.name}{advice}; it said\n{said}"
        raise BoardError(msg)

    def _check_part(self, device_id: int) -> None:
        if device_id != self.target.device_id:
            msg = (
                f"the part at the probe says that it is device {device_id:#05x}, and a {self.target.name} is "
                f"{self.target.device_id:#05x}: nothing was written; another board with --port-serial-number?"
            )
            raise IdentityError(msg)


class OpenOcd(Flasher):
    """OpenOCD, 0.11 or later."""

    name = "openocd"
    install = "sudo apt-get install openocd"
    reasons = (
        (re.compile(r"Can't find board/|couldn't open .*board/"), "it has no configuration for this board: update it"),
        (re.compile(r"LIBUSB_ERROR_ACCESS"), _FORBIDDEN),
        (re.compile(r"LIBUSB_ERROR_BUSY|claim interface failed"), _HELD),
        (re.compile(r"Address already in use|couldn't bind"), _HELD),
        (re.compile(r"open failed"), "no ST-LINK{probe} was found at USB"),
        (re.compile(r"init mode failed|unable to connect to the target"), "the part does not answer: has it power?"),
        (re.compile(r"Verify Failed"), "the flash does not hold what was written"),
    )

    def flash(self, image: Path) -> None:
        """See `Flasher.flash`."""
        try:
            self._run(self.command("init", *self.flashing(image)), "flash")
        except BoardError as error:
            found = re.search(r"^\s*tinyml: device (\d+)$", error.message, re.MULTILINE)
            if found:
                self._check_part(int(found[1]))
            raise

    def reset(self) -> None:
        """See `Flasher.reset`."""
        self._run(self.command("init", "reset run", "shutdown"), "reset")

    def flashing(self, image: Path) -> list[str]:
        """Return OpenOCD's commands that check the part and write an image, or end with an error."""
        check = (
            f"set device [expr {{[mrw {_IDCODE}] & {_DEVICE:#x}}}]; echo [format {{tinyml: device %d}} $device]; "
            f"if {{$device != {self.target.device_id}}} {{shutdown error}}"
        )
        return [check, f"program {{{image}}} verify reset exit"]

    def command(self, *steps: str) -> list[str]:
        """Return the command line that follows OpenOCD's commands: the program, the board's configuration, the rest."""
        # `adapter serial` is of OpenOCD 0.12; before that ST-LINKs had a command of their own. No ports: two of these
        # shall be able to run at the same time.
        number = self.serial_number
        chosen = [f"if {{[catch {{adapter serial {number}}}]}} {{hla_serial {number}}}"] if number else []
        quiet = [f"{server} disabled" for server in ("gdb_port", "tcl_port", "telnet_port")]
        words = [word for step in (*chosen, *quiet, *steps) for word in ("-c", step)]
        return [program_of(self.name) or self.name, "-f", self.target.openocd, *words]


class PyOcd(Flasher):
    """pyOCD; parts that it does not know itself come in packs of their vendors."""

    name = "pyocd"
    install = "pip install pyocd"
    reasons = (
        (re.compile(r"not recognized"), "it does not know the part yet: run pyocd pack install {target}"),
        (re.compile(r"Access denied|insufficient permissions|Errno 13"), _FORBIDDEN),
        (re.compile(r"Resource busy|Errno 16|already open|exclusive"), _HELD),
        (
            re.compile(r"No connected debug probe|No available debug probes|No target device"),
            "no probe{probe} was found at USB",
        ),
        (
            re.compile(r"No ACK|Transfer error|get target voltage|unable to connect"),
            "the part does not answer: has it power?",
        ),
        (re.compile(r"verif\w+ fail|flash .* fail", re.IGNORECASE), "the flash does not hold what was written"),
    )

    def flash(self, image: Path) -> None:
        """See `Flasher.flash`."""
        said = self._run(self._command("commander", "-c", f"read32 {_IDCODE}"), "look at")
        found = re.search(r"^e0042000:\s+([0-9a-f]{8})\b", said, re.MULTILINE | re.IGNORECASE)
        if found is None:
            msg = f"{self.name} does not say which part it has found; it said\n{said}"
            raise BoardError(msg)
        self._check_part(int(found[1], 16) & _DEVICE)
        self._run([*self._command("load"), "--format", "elf", str(image)], "flash")

    def reset(self) -> None:
        """See `Flasher.reset`."""
        self._run(self._command("reset"), "reset")

    def _command(self, verb: str, *more: str) -> list[str]:
        chosen = ["--uid", self.serial_number] if self.serial_number else []
        return [program_of(self.name) or self.name, verb, "--target", self.target.pyocd, *chosen, "--no-wait", *more]


_KNOWN: Final[dict[str, type[Flasher]]] = {kind.name: kind for kind in (OpenOcd, PyOcd)}
NAMES: Final = (*_KNOWN, NONE)


def program_of(name: str) -> str | None:
    """Return a tool's program: on the path, or beside this Python."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def missing_flasher(name: str | None) -> list[Missing]:
    """Say what is missing for the tool that was asked for, or for any if it is None.

    Raises:
        UnknownNameError: there is no such tool.
    """
    kinds = _kinds(name)
    if not kinds or any(program_of(kind.name) for kind in kinds):
        return []
    other = "" if name else f" (or: {PyOcd.install}; or flash by hand, with --tinyml-flasher {NONE})"
    return [Missing(what=kinds[0].name, install=f"{kinds[0].install}{other}")]


def make_flasher(name: str | None, target: Target, serial_number: str, say: Callable[[str], object]) -> Flasher | None:
    """Make the tool of that name, or for None the first that is installed; no tool for ``none``.

    Raises:
        UnknownNameError: there is no such tool.
    """
    kinds = _kinds(name)
    usable = [kind for kind in kinds if program_of(kind.name)]
    return (usable or kinds)[0](target, serial_number, say) if kinds else None


def _kinds(name: str | None) -> list[type[Flasher]]:
    if name == NONE:
        return []
    if name is None:
        return list(_KNOWN.values())
    if name not in _KNOWN:
        what = "flasher"
        raise UnknownNameError(what, name, NAMES)
    return [_KNOWN[name]]
