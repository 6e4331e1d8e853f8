"""How an ESP32 dies on its console: panics, brown-outs and restarts recognised, backtraces with function names."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from pytest_tinyml.firmware import function_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.boards.espconsole import ConsoleLines

# ESP-IDF Programming Guide, "Fatal Errors": what the panic handler prints.
_PANIC: Final = re.compile(
    r"Guru Meditation Error: .*|abort\(\) was called at PC 0x[0-9a-f]+.*|assert failed: .*|"
    r"\*\*\*ERROR\*\*\* A stack overflow.*|Stack smashing protect failure.*|Brownout detector was triggered.*|"
    r"CORRUPT HEAP: .*",
)
_BROWNOUT: Final = "Brownout"
# The ROM's first line after a reset, with its cause; and what the firmware says when it has started.
_RESTART: Final = re.compile(r"\brst:0x[0-9a-f]+ \((\w+)\)|tinyml: (?:ready |note (restarted after .*))")
_OVER: Final = re.compile(r"Rebooting\.\.\.|ELF file SHA256|\brst:0x")
_BACKTRACE: Final = re.compile(r"Backtrace: ?((?:0x[0-9a-f]{8}:0x[0-9a-f]{8} ?)+)", re.IGNORECASE)
_DUMP_S: Final = 2.0
"""How long the panic handler takes to print its dump, at 115,200 baud and then some."""
_TOOL_S: Final = 20.0
_TOOLS: Final = {"EM_XTENSA": "xtensa-{}-elf-addr2line", "EM_RISCV": "riscv32-esp-elf-addr2line"}


class CrashWatch:
    """Looks out for a death from a position of the console on.

    Args:
        lines: what the board says.
        since: position; what was said before is not looked at.
        ending: says how the board ended without a word, if it has.
    """

    def __init__(self, lines: ConsoleLines, since: int, ending: Callable[[], str | None] = lambda: None) -> None:
        """Begin there."""
        self._lines, self._since, self._ending = lines, since, ending
        self._seen: float | None = None
        self._next = since

    def reason(self) -> str | None:
        """Return how the board died, once it has finished to say so; None if it is alive."""
        if self._lines.position == self._next and self._seen is None:
            return self._ending()  # called for every exchange: nothing new costs next to nothing
        self._next = self._lines.position
        panic = self._lines.find(_PANIC, self._since)
        restart = self._lines.find(_RESTART, self._since)
        if panic is None and restart is None:
            return self._ending()
        if self._seen is None:
            self._seen = time.monotonic()
        told = self._lines.find(_OVER, self._since) is not None or panic is None
        if not told and time.monotonic() - self._seen < _DUMP_S:
            return None
        if panic is None:
            assert restart is not None  # noqa: S101 - else there is nothing to say
            return f"the board restarted{f' ({restart[1] or restart[2]})' if restart[1] or restart[2] else ''}"
        if _BROWNOUT in panic[0]:
            return (
                f"the board's supply voltage broke down ({panic[0].strip()}): use a supply of 5 V and 1 A, short cables"
            )
        return f"the board panicked: {panic[0].strip()}"

    def decoded(self, elf: Path | None, target: str) -> list[str]:
        """Return a line for each call of the backtraces that were printed; empty without the program's file."""
        found = [line for text in self._lines.since(self._since) for line in _BACKTRACE.findall(text)]
        addresses = [word.partition(":")[0] for text in found for word in text.split()]
        return [] if elf is None or not addresses else decode(elf, addresses, target)


def decode(elf: Path, addresses: list[str], target: str) -> list[str]:
    """Name the functions of a backtrace, with file and line if the toolchain's addr2line is at hand.

    Args:
        elf: the program.
        addresses: of code, innermost first, in hex.
        target: the chip, e.g. ``esp32``; part of the tool's name.
    """
    tool = _tool(elf, target)
    if tool is not None:
        command = [tool, "-pfiaC", "-e", str(elf), *addresses]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TOOL_S, check=True)
            return [line.strip() for line in done.stdout.splitlines() if line.strip()]
        except (OSError, subprocess.SubprocessError):
            pass  # the symbol table below says less, and is always there
    return [
        f"{address}: {function_at(elf, int(address, 16)) or 'no function of the firmware'}" for address in addresses
    ]


def _tool(elf: Path, target: str) -> str | None:
    try:
        with elf.open("rb") as stream:
            machine = str(ELFFile(stream)["e_machine"])
    except (OSError, ELFError):
        return None
    return shutil.which(_TOOLS.get(machine, "addr2line").format(target))
