"""The twin itself: what `pytest --board esp32cam --port rfc2217://...` finds at the other end of the line.

Reset into download mode it is the ROM boot loader of `esp32-mock-bootloader`; reset otherwise it starts what was
flashed (see `image`): the native build of the firmware, with its console at the serial port and its HTTP client behind
`radio`.
"""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from esp32_mock_bootloader.server import BootloaderConnection, FlashImage, handle_client

from tests.twin.circuit import Adapter, TwinPortManager
from tests.twin.image import BootError, program_in
from tests.twin.radio import Loss, Radio

MAC: Final = "240ac4000001"
BANNER: Final = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x%x (%s),boot:0x%x (%s)\r\n"
POWER_ON: Final = (0x1, b"POWERON_RESET")
SOFTWARE: Final = (0xC, b"SW_CPU_RESET")
_SERVER: Final = re.compile(rb"tinyml server (\S+) (\d+) (.*)", re.DOTALL)
_END_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong, once each.

    Attributes:
        silent: nothing is ever said, in any mode.
        unwired: there is no auto-reset circuit: DTR and RTS lead nowhere.
        reset_at: the firmware ends when it has computed so many samples, and the chip starts anew.
        hang_at: its inference of this number never ends; after each start, as only a reset ends that.
        always: it is reset after each start, too.
        panic: what the chip says then.
        losses: of the network.
    """

    silent: bool = False
    unwired: bool = False
    reset_at: int | None = None
    hang_at: int | None = None
    always: bool = False
    panic: bytes = b""
    losses: tuple[Loss, ...] = ()


def panic(*addresses: int) -> bytes:
    """Return what ESP-IDF's panic handler prints, with a backtrace through these addresses."""
    trace = " ".join(f"0x{address:08x}:0x3ffb{k:04x}" for k, address in enumerate(addresses))
    return (
        "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\r\n"
        "Core  0 register dump:\r\nPC      : 0x400d1234  PS      : 0x00060730\r\n\r\n"
        f"Backtrace: {trace}\r\n\r\nELF file SHA256: 0123456789abcdef\r\n\r\nRebooting...\r\n"
    ).encode()


class Twin:
    """An ESP32-CAM behind an RFC 2217 server on loopback.

    Args:
        faults: see there.
        flash: what is in it from the beginning; erased where this ends.
        mac: of the board, twelve hexadecimal digits.

    Attributes:
        address: host and port of the server.
        url: for ``--port``.
        boots: how often the firmware was started.
        downloads: how often it was reset into download mode.
        flash: what it has in its flash.
        heard_server: the last ``tinyml server`` command.
    """

    def __init__(self, faults: Faults = Faults(), *, flash: bytes = b"", mac: str = MAC) -> None:
        """Listen."""
        self.faults, self._mac = faults, mac
        self.boots = self.downloads = 0
        self.flash = FlashImage()
        self.flash.data[: len(flash)] = flash
        self._folder = tempfile.TemporaryDirectory(prefix="twin-")
        self._lock = threading.RLock()
        self._adapter = Adapter(self._power_off, self._power_on, wired=not faults.unwired)
        self._manager: TwinPortManager | None = None
        self._client: socket.socket | None = None
        self._rom: tuple[socket.socket, threading.Event] | None = None
        self._program: subprocess.Popen[bytes] | None = None
        self._radio: Radio | None = None
        self._line = b""
        self._armed = True
        self._lost = 0
        self.heard_server = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.url = f"rfc2217://127.0.0.1:{self.address[1]}?ign_set_control"
        threading.Thread(target=self._accept, name="twin line", daemon=True).start()

    def __enter__(self) -> Self:
        """Be plugged in."""
        return self

    def __exit__(self, *_: object) -> None:
        """Be unplugged."""
        self._listener.close()
        with self._lock:
            if self._client is not None:
                with suppress(OSError):
                    self._client.shutdown(socket.SHUT_RDWR)
            self._power_off()
        self._folder.cleanup()

    @property
    def network_losses(self) -> int:
        """How often the network was lost."""
        return self._lost + (0 if self._radio is None else self._radio.lost)

    def press_reset(self, *, jumper: bool) -> None:
        """Reset the board by its button, with IO0 at GND (download mode) or not."""
        self._adapter.press_reset(jumper=jumper)

    # The line.

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._client is not None:
                client.close()  # one at a time, as with a device file that is locked
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client = client
            threading.Thread(target=self._serve, args=(client,), name="twin client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        manager = self._manager = TwinPortManager(self._adapter, self)
        with client, suppress(OSError):
            while data := client.recv(1 << 16):
                plain = b"".join(manager.filter(data))
                if plain:
                    self._to_board(plain)
        self._client = self._manager = None

    def write(self, data: bytes) -> None:
        """Send Telnet bytes to the client; what it does not want is lost, as on a line."""
        client = self._client
        if client is not None:
            with suppress(OSError):
                client.sendall(data)

    def say(self, data: bytes) -> None:
        """Send what the board says."""
        manager = self._manager
        if manager is not None and not self.faults.silent:
            self.write(b"".join(manager.escape(data)))

    def _to_board(self, data: bytes) -> None:
        with self._lock:
            if self._rom is not None:
                with suppress(OSError):
                    self._rom[0].sendall(data)
            elif self._program is not None and self._program.stdin is not None:
                *lines, self._line = re.split(rb"(?<=[\r\n])", self._line + data)
                with suppress(OSError):
                    for line in lines:
                        self._program.stdin.write(self._through_air(line))
                    self._program.stdin.flush()

    def _through_air(self, line: bytes) -> bytes:
        """Put the radio between the board and the server that it is told of."""
        found = _SERVER.fullmatch(line)
        if found is None:
            return line
        self.heard_server = line.decode()
        losses = self.faults.losses
        if self._radio is not None:
            self._radio.close()
            self._lost += self._radio.lost
            # A loss happens once, not again after each restart.
            losses = losses[self._lost :]
        self._radio = Radio((found[1].decode(), int(found[2])), losses)
        return b"tinyml server 127.0.0.1 %d %s" % (self._radio.port, found[3])

    # The chip.

    def _power_off(self) -> None:
        with self._lock:
            rom, self._rom = self._rom, None
            if rom is not None:
                rom[1].set()
                rom[0].close()
            program, self._program = self._program, None
            self._line = b""
        if program is not None:
            program.kill()
            program.wait(_END_S)

    def _power_on(self, download: bool) -> None:
        if download:
            self._start_rom()
        else:
            self._start_program(POWER_ON)

    def _start_rom(self) -> None:
        ours, theirs = socket.socketpair()
        end = threading.Event()
        with self._lock:
            self.downloads += 1
            self._rom = (ours, end)
        self.say(BANNER % (*POWER_ON, 0x3, b"DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2)") + b"waiting for download\r\n")
        threading.Thread(
            target=handle_client,
            args=(BootloaderConnection(sock=theirs), end, "esp32"),
            # Otherwise it hangs up 3 s after the first of several files.
            kwargs={"flash": self.flash, "exit_on_disconnect": True},
            name="twin ROM",
            daemon=True,
        ).start()
        threading.Thread(target=self._forward_rom, args=(ours,), name="twin ROM out", daemon=True).start()

    def _forward_rom(self, ours: socket.socket) -> None:
        with suppress(OSError):
            while data := ours.recv(1 << 16):
                self.say(data)

    def _start_program(self, cause: tuple[int, bytes]) -> None:
        self.say(BANNER % (*cause, 0x13, b"SPI_FAST_FLASH_BOOT"))
        folder = Path(self._folder.name)
        try:
            program = program_in(bytes(self.flash.data), folder / "partition.bin")
        except BootError as error:
            self.say(f"{error}\r\n".encode())
            return
        with self._lock:
            self.boots += 1
            path = folder / f"program-{self.boots}"
            path.write_bytes(program)
            path.chmod(0o700)
            self._program = subprocess.Popen(
                [
                    str(path),
                    *("--console", "--board", "esp32cam", "--chip", "twin", "--mac", self._mac),
                    *self._planted(),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        threading.Thread(target=self._listen, args=(self._program,), name="twin program", daemon=True).start()

    def _planted(self) -> list[str]:
        """Return the arguments that make the firmware fail."""
        if not (self._armed or self.faults.always):
            return []
        planted = (("exit", self.faults.reset_at), ("hang", self.faults.hang_at))
        return [word for name, at in planted if at is not None for word in ("--fault", f"{name}@{at}")]

    def _listen(self, program: subprocess.Popen[bytes]) -> None:
        """Pass on what the firmware says; when it ends by itself, the chip starts anew."""
        stream: IO[bytes] | None = program.stdout
        assert stream is not None
        with stream:
            for line in stream:
                self.say(line.replace(b"\n", b"\r\n"))
        program.wait(_END_S)
        if program.stdin is not None:
            with suppress(OSError):
                program.stdin.close()
        with self._lock:
            if self._program is not program:
                return
            self._program = None
            self._armed = False
        self.say(self.faults.panic)
        self._start_program(SOFTWARE)
