"""A stand-in for Espressif's qemu-system-xtensa, by the command line that pytest-embedded makes for it.

It has no processor that could run an ESP32's code either: the image of the flash holds a program of this computer (see
`image`), whose console is at standard input and output, as with ``-nographic``, and for which QEMU's user-mode network
is imitated: its own address is 10.0.2.15, and 10.0.2.2 is this computer's loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from tests.twin.image import BootError, program_in

ROOT: Final = Path(__file__).parents[2]
ESPRESSIF: Final = ("esp32", "esp32s3", "none", "sim")
DEBIAN: Final = ("kc705", "lx60", "none", "sim", "virt")
SIZES: Final = tuple(size << 20 for size in (2, 4, 8, 16))
BANNER: Final = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x%x (%s),boot:0x12 (SPI_FAST_FLASH_BOOT)\r\n"
POWER_ON: Final = (0x1, b"POWERON_RESET")
SOFTWARE: Final = (0xC, b"SW_CPU_RESET")
DIED: Final = 3


def install(folder: Path, *, machines: tuple[str, ...] = ESPRESSIF, fault: str | None = None) -> Path:
    """Write the program.

    Args:
        folder: made.
        machines: that it has.
        fault: planted in its board at the first start (firmware/apps/common/faults.h); it ends with its board.

    Returns:
        Its path.
    """
    folder.mkdir()
    program = folder / "qemu-system-xtensa"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tests.twin.qemu import main\n"
        f"main(sys.argv[1:], {machines!r}, {fault!r}, {str(folder / 'seen')!r})\n",
        encoding="utf-8",
    )
    program.chmod(0o700)
    return program


def main(words: list[str], machines: tuple[str, ...], fault: str | None, seen: str) -> NoReturn:
    """Be QEMU; every start is one line of JSON in the file `seen`."""
    if words == ["-machine", "help"]:
        sys.stdout.write("\n".join(["Supported machines are:", *(f"{name:<20} a board" for name in machines), ""]))
        sys.exit(0)
    parser = argparse.ArgumentParser(prog="qemu-system-xtensa", allow_abbrev=False, add_help=False)
    parser.add_argument("-nographic", action="store_true", required=True)
    parser.add_argument("-machine", choices=machines, required=True)
    parser.add_argument("-m", choices=("2M", "4M"), required=True)
    parser.add_argument("-qmp", required=True)
    parser.add_argument("-nic", default="none")
    parser.add_argument("-global", dest="properties", action="append", default=[])
    parser.add_argument("-drive", required=True)
    given = parser.parse_args(words)
    flash = dict(part.partition("=")[::2] for part in given.drive.split(","))
    if (flash["if"], flash["format"]) != ("mtd", "raw"):
        parser.error("the flash is a raw mtd drive")
    content = Path(flash["file"]).read_bytes()
    if len(content) not in SIZES:
        parser.error("only 2, 4, 8, 16 MB flash images are supported")
    first = not Path(seen).exists()
    with Path(seen).open("a", encoding="utf-8") as file:
        file.write(json.dumps(words) + "\n")
    networked = given.nic.startswith("user,model=open_eth")
    # Killed as QEMU is, it leaves its files to whoever made the folder.
    scratch = Path(tempfile.mkdtemp(dir=Path(seen).parent))
    machine = Machine(content, scratch, networked=networked, fault=fault if first else None)
    threading.Thread(target=answer_qmp, args=(given.qmp, machine), daemon=True).start()
    machine.run()


class Machine:
    """A chip with a program in its flash.

    Args:
        flash: all of it.
        scratch: a folder.
        networked: whether there is a network.
        fault: see `install`.
    """

    def __init__(self, flash: bytes, scratch: Path, *, networked: bool, fault: str | None) -> None:
        """Be off."""
        self._flash, self._scratch, self._networked, self._fault = flash, scratch, networked, fault
        self._program: subprocess.Popen[bytes] | None = None

    def run(self) -> NoReturn:
        """Run until killed."""
        path = self._scratch / "program"
        try:
            path.write_bytes(program_in(self._flash, path.with_name("partition.bin")))
        except BootError as error:
            self._say(BANNER % POWER_ON + f"{error}\r\n".encode())
            threading.Event().wait()  # as a chip without a program does
        path.chmod(0o700)
        planted = [] if self._fault is None else ["--fault", self._fault]
        threading.Thread(target=self._listen, daemon=True).start()
        cause = POWER_ON
        while True:
            self._say(BANNER % cause)
            cause = SOFTWARE
            self._program = subprocess.Popen(
                [str(path), "--console", "--board", "esp32-qemu", "--chip", "twin", "--mac", "000000000003", *planted],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert self._program.stdout is not None
            for line in self._program.stdout:
                self._say(self._seen_from_outside(line).replace(b"\n", b"\r\n"))
            self._program.wait()
            if planted:
                os._exit(DIED)

    def reset(self) -> None:
        """Start the chip anew."""
        if self._program is not None:
            self._program.kill()

    def _listen(self) -> None:
        """Pass on what is typed; its end is not ours."""
        for line in sys.stdin.buffer:
            program = self._program
            if program is not None and program.stdin is not None:
                program.stdin.write(line.replace(b"tinyml server 10.0.2.2 ", b"tinyml server 127.0.0.1 "))
                program.stdin.flush()

    def _seen_from_outside(self, line: bytes) -> bytes:
        if self._networked:
            return line.replace(b"address=127.0.0.1", b"address=10.0.2.15")
        return line.replace(b"network=up address=127.0.0.1", b"network=down address=-")

    def _say(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def answer_qmp(option: str, machine: Machine) -> None:
    """Speak QEMU's machine protocol, of which pytest-embedded uses ``system_reset``, at the place that is asked for."""
    found = re.fullmatch(r"tcp:([\d.]+):(\d+),server,wait=off", option)
    assert found is not None, option
    with socket.create_server((found[1], int(found[2]))) as server:
        while True:
            client, _ = server.accept()
            with client:
                version = {"qemu": {"major": 9, "minor": 0, "micro": 0}, "package": "stand-in"}
                client.sendall(json.dumps({"QMP": {"version": version, "capabilities": []}}).encode() + b"\r\n")
                text = ""
                while data := client.recv(1 << 12):
                    text += data.decode()
                    with suppress(ValueError):  # not all of it has come; no line ends between commands
                        asked, end = json.JSONDecoder().raw_decode(text)
                        text = text[end:].lstrip()
                        if asked["execute"] == "system_reset":
                            machine.reset()
                        client.sendall(json.dumps({"return": {}, "id": asked.get("id")}).encode() + b"\r\n")
