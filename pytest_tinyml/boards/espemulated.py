"""Boards with an ESP32 that Espressif's QEMU emulates: what differs from one at a serial port."""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.boards import espidf, provisioning
from pytest_tinyml.boards.espdevice import EspDevice
from pytest_tinyml.boards.espnetwork import LOOPBACK, NetworkBoard
from pytest_tinyml.errors import BoardCrashedError, BoardError, BoardTimeoutError, IdentityError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.boards.espconsole import Commands, ConsoleIdentity
    from pytest_tinyml.boards.espidf import AppBuild, Application
    from pytest_tinyml.boards.espqemu import BoardQemu, FlashApp
    from pytest_tinyml.links.http import ImageServer

APPLICATION: Final = "esp32cam"
SETTINGS: Final = "sdkconfig.qemu"
_BOOT_S: Final = 30.0
_JOIN_S: Final = 20.0
_SLICE_S: Final = 0.5
# QEMU's user-mode network (its manual, "Network emulation"): where boards are, and what this computer is there.
_USER_NETWORK: Final = "10.0.2."
_THIS_COMPUTER: Final = "10.0.2.2"
# Espressif's page on QEMU for the ESP32: network, PSRAM, and no watchdogs, whose time is not that of a slow emulator.
_ARGUMENTS: Final = (
    (("-nic", "-net", "-netdev"), ("-nic", "user,model=open_eth")),
    (("-m",), ("-m", "4M")),
    (("driver=timer.esp32.timg",), ("-global", "driver=timer.esp32.timg,property=wdt_disable,value=true")),
)


def our_arguments(given: Sequence[str]) -> list[str]:
    """Return QEMU's arguments besides pytest-embedded's and those that were given, which win."""
    return [
        word
        for owners, words in _ARGUMENTS
        if not any(word == owner or word.startswith(f"{owner},") for word in given for owner in owners)
        for word in words
    ]


class EmulatedDevice(EspDevice):
    """One ESP32 in a QEMU: reset is starting it anew.

    Attributes:
        app: what is in its flash; has to be set before the first reset.
        qemu: its QEMU, once it was started.
    """

    app: FlashApp | None = None
    qemu: BoardQemu | None = None

    def find(self) -> None:
        """There is no port to be found."""

    def reset(self) -> int:
        """Start QEMU, and return the console's position before that.

        Raises:
            UsageError: it cannot be started.
        """
        from pytest_tinyml.boards.espqemu import BoardQemu  # noqa: PLC0415 - comes with the extra

        self.release()
        assert self.app is not None  # noqa: S101 - prepare() has set it
        since = self.lines.position
        cli_args = self._device.get("qemu_cli_args")
        try:
            given = shlex.split(self._device.get("qemu_extra_args", ""))
            theirs = shlex.split((cli_args or "").strip("\"'"))
            arguments = shlex.join([*our_arguments([*theirs, *given]), *given])
            self.qemu = BoardQemu(self.app, self.lines, cli_args=cli_args, extra_args=arguments)
        except (OSError, ValueError) as error:
            msg = f"{self.app.qemu_prog_path} cannot be started: {error}"
            raise UsageError(msg) from error
        return since

    def identity(self, since: int) -> ConsoleIdentity | None:
        """Return what the board says it is; None if it says nothing, or nothing that is understood.

        Raises:
            BoardCrashedError: QEMU has ended.
        """
        deadline = time.monotonic() + _BOOT_S
        reason = None
        while reason is None and time.monotonic() < deadline:
            try:
                if (found := self.commands.identity(since, _SLICE_S, _SLICE_S)) is not None:
                    return found
            except BoardError as error:
                self._console.line(str(error))
                deadline = 0.0
            reason = self.ending()
        if reason is not None:
            raise BoardCrashedError(reason)
        return None

    def flash(self, app: Any, why: str) -> ConsoleIdentity:  # noqa: ANN401 - pytest-embedded's
        """Refuse: the image was made of this very application, or was named.

        Raises:
            IdentityError: with the way out.
        """
        msg = (
            f"{why}, in {app.image_path}: leave out --skip-regenerate-image, or see in the console's log what keeps it "
            "from starting"
        )
        raise IdentityError(msg)

    def ending(self) -> str | None:
        """Say how QEMU ended, if it has."""
        return None if self.qemu is None else self.qemu.ending()

    def release(self) -> None:
        """End QEMU; harmless when repeated."""
        if self.qemu is not None:
            self.qemu.terminate()

    @property
    def is_open(self) -> bool:
        """Whether QEMU runs."""
        return self.qemu is not None and self.qemu.poll() is None

    def _write(self, data: bytes) -> None:
        try:
            if self.qemu is not None:
                self.qemu.write(data)
        except (OSError, ValueError) as error:  # a pipe without a reader, or closed
            msg = f"QEMU is gone: {error}"
            raise BoardError(msg) from error


class EmulatedBoard(NetworkBoard):
    """One board, see `EspBoard`."""

    device_type = EmulatedDevice
    _device: EmulatedDevice

    def __init__(self, kind: str, application: Application, request: BoardRequest) -> None:
        """Start nothing."""
        super().__init__(kind, application, request)
        self._scratch: Path | None = None

    @property
    def qemu(self) -> BoardQemu | None:
        """See `EspBoard.qemu`."""
        return self._device.qemu

    def stop(self) -> str:
        """See `StreamedBoard.stop`: QEMU ends, and a dead one has its console read to the end."""
        super().stop()
        self._device.release()
        return ""

    def _check(self) -> None:
        """It is wired."""

    def _described(self, build: AppBuild) -> FlashApp:
        """Return the application with the image of a flash.

        Raises:
            UsageError: it was built for a board with Wi-Fi.
        """
        if not build.emulated:
            msg = (
                f"{build.folder} was built for a board with Wi-Fi, which is not emulated: build it with "
                f'-D SDKCONFIG_DEFAULTS="../espidf/sdkconfig.common;sdkconfig.defaults;{SETTINGS}" '
                f"(firmware/apps/{APPLICATION}/README.md)"
            )
            raise UsageError(msg)
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="tinyml-qemu-"))
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        app = self._device.app = flash_app(build, self.request.device, self._scratch)
        return app

    def _joined(self, commands: Commands) -> str:
        """Wait for an address.

        Raises:
            BoardTimeoutError: none comes.
        """
        address = provisioning.own_network(commands, _JOIN_S)
        if address is None:
            msg = f"no address within {_JOIN_S:g} s: the network has to be -nic user,model=open_eth, or one with DHCP"
            raise BoardTimeoutError(msg)
        return address

    def _served(self, address: str) -> tuple[ImageServer, str]:
        """Return the server, and what the board finds it by: in QEMU's user-mode network, a gateway to loopback."""
        if not address.startswith(_USER_NETWORK):
            return super()._served(address)
        server, host = super()._served(LOOPBACK[0])
        return server, _THIS_COMPUTER if host in LOOPBACK else host


def flash_app(build: AppBuild, device: Mapping[str, str], scratch: Path) -> FlashApp:
    """Make the image of a flash with an application.

    Args:
        build: the application.
        device: pytest-embedded's options.
        scratch: a folder for the image, unless one is named, and for QEMU's output.

    Raises:
        UsageError: the build folder is not complete.
        BuildError: esptool cannot merge its files.
    """
    from pytest_tinyml.boards.espqemu import FlashApp  # noqa: PLC0415 - comes with the extra

    try:
        return FlashApp(
            msg_queue=None,
            app_path=str(build.app_path),
            build_dir=str(build.folder),
            part_tool=device.get("part_tool") or None,
            qemu_image_path=device.get("qemu_image_path") or str(scratch / "flash_image.bin"),
            skip_regenerate_image=device.get("skip_regenerate_image") == "true",
            qemu_prog_path=device.get("qemu_prog_path") or None,
            scratch=str(scratch),
        )
    except (ValueError, KeyError, OSError) as error:
        raise espidf.not_a_build_folder(build.folder, error) from error
