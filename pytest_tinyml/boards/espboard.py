"""Boards with an ESP32: built, flashed if need be, and watched while they are used, over whatever link."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pytest_tinyml.boards import espidf
from pytest_tinyml.boards.espcrash import CrashWatch
from pytest_tinyml.boards.espdevice import EspDevice
from pytest_tinyml.boards.streamed import StreamedBoard
from pytest_tinyml.boards.watched import WatchedLink
from pytest_tinyml.errors import BoardCrashedError, BoardError, IdentityError, UsageError

if TYPE_CHECKING:
    from pytest_embedded_idf import IdfApp
    from pytest_embedded_qemu import Qemu

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.boards.espconsole import Commands, ConsoleIdentity, ConsoleLines
    from pytest_tinyml.boards.espidf import AppBuild, Application
    from pytest_tinyml.boards.espserial import BoardSerial
    from pytest_tinyml.links.base import Link

_TRIES: Final = 5
_ANSWER_S: Final = 2.0


class EspBoard(StreamedBoard):
    """One board.

    Args:
        kind: the name of the kind of board, which is also that of the application.
        application: its firmware.
        request: what the board shall be; `BoardRequest.device` says where it is.

    Attributes:
        app: the firmware as pytest-embedded describes it; known after `prepare`.
    """

    device_type: ClassVar[type[EspDevice]] = EspDevice

    def __init__(self, kind: str, application: Application, request: BoardRequest) -> None:
        """Start nothing."""
        super().__init__(kind, request)
        self._kind, self._application = kind, application
        self._device = self.device_type(request.device, self.console)
        self._device.say = request.say
        self.app: Any = None
        self._build: AppBuild | None = None
        self._watch: CrashWatch | None = None

    @property
    def engine(self) -> str:
        """What executes the model; of the firmware after `prepare`."""
        return self._application.engine if self._build is None else self._build.engine

    @property
    def emulated(self) -> bool:
        """Whether its times say nothing about the part; known after `prepare`."""
        return self._build is not None and self._build.emulated

    @property
    def serial(self) -> BoardSerial | None:
        """The board's port, once it was opened."""
        return self._device.serial

    @property
    def qemu(self) -> Qemu | None:
        """The emulator that stands for the board, as pytest-embedded has it."""
        return None

    @property
    def lines(self) -> ConsoleLines:
        """What the board says."""
        return self._device.lines

    def prepare(self) -> str:
        """See `Board.prepare`.

        Raises:
            UsageError: no port, several, or no firmware for this model; or see `_check`.
            BuildError: it does not build.
        """
        if self._build is None:
            # What is quickly known first: a build takes minutes.
            self._device.find()
            self._check()
            build = self._built()
            self.app, self._build = self._described(build), build
            self._device.console_baud = build.baud
        return self._build.firmware_sha256

    def start(self) -> Link:
        """See `StreamedBoard.start`."""
        self.prepare()
        self._flash_if_needed(self._device.identity(self._device.reset()))
        # From here on a restart is a death; joining the Wi-Fi is when a weak supply breaks down.
        commands = self._device.commands
        started = commands.settle(_TRIES, _ANSWER_S)
        watch = self._watch = CrashWatch(self.lines, started, self._device.ending)
        return WatchedLink(self.connect(commands, watch), watch.reason)

    @abstractmethod
    def connect(self, commands: Commands, watch: CrashWatch) -> Link:
        """Return the link to a board that was just started.

        Args:
            commands: asks it.
            watch: says how it died, if it does.
        """

    def stop(self) -> str:
        """See `StreamedBoard.stop`: the board is left in peace, the port is closed."""
        watch, self._watch = self._watch, None
        if self._device.is_open:
            if watch is not None and watch.reason() is None:
                self._leave()
            self._device.release()
        return ""

    def _complete(self, error: BoardError) -> BoardError:
        """Say how the board died where the link only says that it is gone."""
        watch = self._watch
        reason = None if watch is None else watch.reason()
        if watch is not None and reason is not None and not error.board:
            elf = Path(self.app.elf_file) if self.app.elf_file else None
            calls = [f"    {line}" for line in watch.decoded(elf, self.app.target)]
            for line in calls:
                self.console.line(line)
            dead = BoardCrashedError("\n".join([reason, *calls]))
            dead.__cause__ = error.__cause__
            error = dead
        return super()._complete(error)

    def _check(self) -> None:
        """Refuse, before anything is built, what could not be used then."""

    def _leave(self) -> None:
        """Tell a board that lives that it is not needed any more."""

    def _built(self) -> AppBuild:
        """Build the firmware, or take the one that was named.

        Raises:
            UsageError: it is for another model.
        """
        model = self.request.model
        build = espidf.find_build(self.request.device) or self._newly_built()
        if build.model_sha256 != model.sha256 and not build.loads_models:
            msg = (
                f"{build.folder} was built with another model ({build.model_sha256[:12]}) than {model.name!r} "
                f"({model.sha256[:12]}): build it with that, or set IDF_PATH and leave --app-path and --build-dir out"
            )
            raise UsageError(msg)
        return build

    def _newly_built(self) -> AppBuild:
        return espidf.build_app(self._kind, self.request.model, self.request.clock or espidf.WALL, self._application)

    def _described(self, build: AppBuild) -> IdfApp:
        """Return what pytest-embedded makes of a build."""
        return build.app(self.request.device)

    def _flash_if_needed(self, identity: ConsoleIdentity | None) -> None:
        """Flash, unless the board has the right firmware.

        Raises:
            BoardError: see `EspDevice.flash`.
            IdentityError: it has another one even then.
        """
        if self._is_right(identity):
            return
        assert self._build is not None  # noqa: S101 - prepare() has set it
        wanted = f"firmware {self._build.firmware_sha256[:12]} with model {self._build.model_sha256[:12]}"
        identity = self._device.flash(self.app, f"the board runs {_said(identity)}, not {wanted}")
        if not self._is_right(identity):
            msg = f"after flashing the board runs {_said(identity)}, not {wanted}"
            raise IdentityError(msg)

    def _is_right(self, identity: ConsoleIdentity | None) -> bool:
        build = self._build
        if build is None or identity is None or identity.firmware_sha256 != build.firmware_sha256:
            return False
        # Another model can be uploaded over the link, see `StreamedBoard.open`.
        return build.loads_models or identity.model_sha256 == build.model_sha256


def _said(identity: ConsoleIdentity | None) -> str:
    if identity is None:
        return "nothing that answers"
    return f"firmware {identity.firmware_sha256[:12]} with model {identity.model_sha256[:12]}"
