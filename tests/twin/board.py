"""The twin itself: what `pytest --board esp32cam --port rfc2217://...` finds at the other end of the line.

Reset into download mode it is the ROM boot loader of `esp32-mock-bootloader`; reset otherwise it starts what was
flashed (see `image`): the native build of the firmware, with its console at the serial port, and its HTTP client behind
`radio` or its frames at the same port. Whoever listens at another speed than is spoken hears noise.
"""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from esp32_mock_bootloader.server import BootloaderConnection, FlashImage, handle_client

from tests.twin.circuit import Adapter, TwinPortManager
from tests.twin.image import BootError, program_in
from tests.twin.radio import Loss, Radio

if TYPE_CHECKING:
    from socket import SocketIO

MAC: Final = "240ac4000001"
BANNER: Final = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x%x (%s),boot:0x%x (%s)\r\n"
POWER_ON: Final = (0x1, b"POWERON_RESET")
SOFTWARE: Final = (0xC, b"SW_CPU_RESET")
_SERVER: Final = re.compile(rb"tinyml server (\S+) (\d+) (.*)", re.DOTALL)
_END_S: Final = 60.0
ROM_BAUD: Final = 115_200


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What kind of board the twin is.

    Attributes:
        board: the name of its application.
        wired: frames travel over the serial port, too; otherwise over the network.
        baud: of the application's console.
        arguments: of the firmware's program, besides.
    """

    board: str
    wired: bool = False
    baud: int = ROM_BAUD
    arguments: tuple[str, ...] = ()


CAM: Final = Wiring(board="esp32cam")


def at_the_port(board: str, *arguments: str) -> Wiring:
    """Return what an ESP32 is whose serial port is the link."""
    window = ("--rx-window", "8192", "--max-frame", "4096")
    return Wiring(board=board, wired=True, baud=921_600, arguments=(*window, *arguments))


class Twin:
    """A board behind an RFC 2217 server on loopback.

    Args:
        faults: see there.
        flash: what is in it from the beginning; erased where this ends.
        mac: of the board, twelve hexadecimal digits.
        wiring: what kind of board it is.

    Attributes:
        address: host and port of the server.
        url: for ``--port``.
        boots: how often the firmware was started.
        downloads: how often it was reset into download mode.
        flash: what it has in its flash.
        heard_server: the last ``tinyml server`` command.
    """

    def __init__(self, faults: Faults = Faults(), *, flash: bytes = b"", mac: str = MAC, wiring: Wiring = CAM) -> None:
        """Listen."""
        self.faults, self._mac, self._wiring = faults, mac, wiring
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
        self._line_end: socket.socket | None = None
        self._armed = True
        self._lost = 0
        self.heard_server = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.url = f"rfc2217://127.0.0.1:{self.address[1]}?ign_set_control"
        self._line_thread = threading.Thread(target=self._accept, name="twin line", daemon=True)
        self._line_thread.start()

    def __enter__(self) -> Self:
        """Be plugged in."""
        return self

    def __exit__(self, *_: object) -> None:
        """Be unplugged."""
        # Closing alone does not end the thread in accept(): continued after a stop it would wait at the descriptor's
        # number, which may be the next twin's by then.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._line_thread.join(_END_S)
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
            if self._occupied():
                client.close()  # one at a time, as with a device file that is locked
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client = client
            threading.Thread(target=self._serve, args=(client,), name="twin client", daemon=True).start()

    def _occupied(self) -> bool:
        """Return whether a client is there; until it is clear that it has not gone."""
        while (client := self._client) is not None:
            try:
                client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except OSError:
                pass  # closed by now
            time.sleep(0.001)
        return False

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

    def say(self, data: bytes, baud: int | None = None) -> None:
        """Send what the board says, at the speed that it is said with: the ROM's, or else the application's."""
        manager = self._manager
        if manager is not None and not self.faults.silent:
            heard = data if self._adapter.baudrate == (baud or self._wiring.baud) else noise(data)
            self.write(b"".join(manager.escape(heard)))

    def _to_board(self, data: bytes) -> None:
        with self._lock:
            if self._rom is not None:
                with suppress(OSError):
                    self._rom[0].sendall(data)
            elif self._line_end is not None:
                with suppress(OSError):
                    self._line_end.sendall(data if self._adapter.baudrate == self._wiring.baud else noise(data))
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
                with suppress(OSError):
                    rom[0].shutdown(socket.SHUT_RDWR)
                rom[0].close()
            program, self._program = self._program, None
            self._line = b""
            self._hang_up()
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
        mode = b"DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2)"
        self.say(BANNER % (*POWER_ON, 0x3, mode) + b"waiting for download\r\n", ROM_BAUD)
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
                self.say(data, self._adapter.baudrate)  # the ROM measures it

    def _start_program(self, cause: tuple[int, bytes]) -> None:
        self.say(BANNER % (*cause, 0x13, b"SPI_FAST_FLASH_BOOT"), ROM_BAUD)
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
            named = ("--board", self._wiring.board, "--chip", "twin", "--mac", self._mac)
            command = [str(path), *named, *self._wiring.arguments, *self._planted()]
            self._start_wired(command) if self._wiring.wired else self._start_console(command)

    def _start_console(self, command: list[str]) -> None:
        """Start what has its console at standard input and output."""
        self._program = subprocess.Popen(
            [*command, "--console"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        assert self._program.stdout is not None
        self._listen_to(self._program, self._program.stdout)

    def _start_wired(self, command: list[str]) -> None:
        """Start what has frames and console on one line; what it says of itself is not for that."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._program = subprocess.Popen(
                [*command, "--wired", "--fd", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        self._line_end = ours
        self._listen_to(self._program, ours.makefile("rb", buffering=0))

    def _listen_to(self, program: subprocess.Popen[bytes], stream: IO[bytes] | SocketIO) -> None:
        threading.Thread(target=self._listen, args=(program, stream), name="twin program", daemon=True).start()

    def _hang_up(self) -> None:
        line, self._line_end = self._line_end, None
        if line is not None:
            line.close()

    def _planted(self) -> list[str]:
        """Return the arguments that make the firmware fail."""
        if not (self._armed or self.faults.always):
            return []
        planted = (("exit", self.faults.reset_at), ("hang", self.faults.hang_at))
        return [word for name, at in planted if at is not None for word in ("--fault", f"{name}@{at}")]

    def _listen(self, program: subprocess.Popen[bytes], stream: IO[bytes] | SocketIO) -> None:
        """Pass on what the firmware says; when it ends by itself, the chip starts anew."""
        with stream, suppress(OSError):
            if self._wiring.wired:
                while data := stream.read(1 << 16):
                    self.say(data)
            else:
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
            self._hang_up()
        self.say(self.faults.panic)
        self._start_program(SOFTWARE)


def noise(data: bytes) -> bytes:
    """Return what is heard at another speed than is spoken: as many bytes without a meaning, and never a zero."""
    return bytes(0x80 | (byte * 37 & 0x7F) for byte in data)
