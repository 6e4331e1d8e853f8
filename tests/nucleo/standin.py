"""A NUCLEO-F446RE that is none: QEMU's STM32F405 behind a pseudo-terminal, with a debug probe that programs talk to.

The firmware that is "flashed" is the one that is built for the board, bit for bit. The programs ``openocd`` and
``pyocd`` on the path of `StandIn.environment` are `tool`, which asks this for what a probe would do.
"""

from __future__ import annotations

import json
import os
import select
import socket
import stat
import subprocess
import sys
import threading
import tty
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from pytest_tinyml.boards.child import kept_command

TOOL: Final = Path(__file__).with_name("tool.py")
VARIABLE: Final = "NUCLEO_STAND_IN"
SERIAL_NUMBER: Final = "066BFF343537424257254323"
_END_S: Final = 60.0
_START_S: Final = 60.0
"""A part is there milliseconds after a reset, and the board does not wait for it much longer; QEMU and its keeper take
the better part of a second, and on a busy computer more, which is not what is tested."""
_HELD_BYTES: Final = 1 << 16


class StandIn:
    """One board at a USB port, until the end of a with block.

    Args:
        folder: for the programs and the socket; its path must be short.
        flash: the ELF file that is in its flash; None for a new part.
        device_id: of the part.
        trouble: of the probe, one of `tool`'s.

    Attributes:
        port: path of its serial port.
        environment: variables under which the programs find it.
        flashed: what was written, in order.
        resets: how often the probe has reset the part, flashing aside.
    """

    def __init__(self, folder: Path, *, flash: Path | None = None, device_id: int = 0x421, trouble: str = "") -> None:
        """Plug it in."""
        self.device_id, self.trouble = device_id, trouble
        self.flashed: list[Path] = []
        self.resets = 0
        self._flash = flash
        self._lock = threading.Lock()
        self._qemu: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._control = -1
        self._to_host = bytearray()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        programs = folder / "bin"
        programs.mkdir(exist_ok=True)
        for name in ("openocd", "pyocd"):
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{TOOL}" {name} "$@"\n', encoding="utf-8")
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        address = folder / "probe"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen()
        self.environment = {VARIABLE: str(address), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="stand-in", daemon=True)
        self._start()
        self._thread.start()

    def __enter__(self) -> Self:
        """Be plugged in."""
        return self

    def __exit__(self, *_: object) -> None:
        """Be unplugged."""
        self._waker.close()
        self._thread.join(_END_S)
        self._stop()
        for end in (self._wake, self._listener):
            end.close()
        os.close(self._master)
        os.close(self._slave)

    @property
    def device(self) -> dict[str, str]:
        """`BoardRequest.device`."""
        return {"port": self.port}

    # The processor.

    def _start(self) -> None:
        if self._flash is None:
            return
        self._line, theirs = socket.socketpair()
        self._line.setblocking(False)
        end, self._control = os.pipe()
        command = [
            *("qemu-system-arm", "-M", "netduinoplus2", "-nodefaults", "-display", "none", "-monitor", "none"),
            *("-serial", "null", "-serial", "chardev:line", "-chardev", f"socket,id=line,fd={theirs.fileno()}"),
            *("-kernel", str(self._flash)),
        ]
        self._qemu = subprocess.Popen(
            kept_command(end, [theirs.fileno()], command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[end, theirs.fileno()],
        )
        theirs.close()
        os.close(end)
        # Its first words, or the end of the line where it dies at once.
        if select.select([self._line], [], [], _START_S)[0]:
            with suppress(OSError):
                self._to_host += self._line.recv(1 << 14)

    def _stop(self) -> None:
        qemu, self._qemu = self._qemu, None
        if qemu is None:
            return
        os.close(self._control)  # which its keeper notices
        qemu.wait(_END_S)
        if self._line is not None:
            self._line.close()
            self._line = None

    # The cable and the probe.

    def _serve(self) -> None:
        to_host, to_board = self._to_host, bytearray()
        while True:
            line = self._line
            readers: list[Any] = [self._master, self._listener, self._wake, *([line] if line else [])]
            writers: list[Any] = [*([self._master] if to_host else []), *([line] if line and to_board else [])]
            readable, writable, _ = select.select(readers, writers, [])
            if self._wake in readable:
                return
            if self._master in readable:
                with suppress(OSError):
                    to_board += os.read(self._master, 1 << 14)
            if line in readable and line is not None:
                data = b""
                with suppress(OSError):
                    data = line.recv(1 << 14)
                if not data:  # the processor has locked up
                    line.close()
                    self._line = None
                to_host += data
            if self._master in writable:
                with suppress(BlockingIOError):
                    del to_host[: os.write(self._master, to_host)]
            if line in writable and line is not None and self._line is line:
                with suppress(OSError):
                    del to_board[: line.send(to_board)]
            # Nobody reads, or nothing runs: as with a UART, that is lost.
            del to_host[_HELD_BYTES:]
            if self._line is None:
                to_board.clear()
            if self._listener in readable:
                self._answer()

    def _answer(self) -> None:
        client, _ = self._listener.accept()
        with client, client.makefile("rw", encoding="utf-8") as stream:
            client.settimeout(_END_S)
            request = json.loads(stream.readline())
            stream.write(json.dumps(self._done(**request)) + "\n")
            stream.flush()

    def _done(self, verb: str, image: str = "") -> dict[str, Any]:
        if verb == "flash" and self.trouble != "forgets":
            self._flash = Path(image)
        if verb == "flash":
            self.flashed.append(Path(image))
        if verb == "reset":
            self.resets += 1
        if verb in {"flash", "reset"}:
            self._stop()
            self._start()
        return {"trouble": self.trouble, "device_id": self.device_id, "serial_number": SERIAL_NUMBER}
