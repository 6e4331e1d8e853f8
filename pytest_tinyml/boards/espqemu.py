"""Espressif's QEMU as pytest-embedded starts it, but for how its console is read and how it is ended.

Imported when a board is built: pytest-embedded-qemu comes with the extra ``esp``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from pytest_embedded.log import DuplicateStdoutPopen
from pytest_embedded_qemu import Qemu
from pytest_embedded_qemu.app import IdfFlashImageMaker, QemuApp

from pytest_tinyml.boards.child import how_it_ended, kept_command
from pytest_tinyml.errors import BuildError
from pytest_tinyml.firmware.build import LOG, run_step

if TYPE_CHECKING:
    from pytest_tinyml.boards.espconsole import ConsoleLines

_LOOK_S: Final = 0.01
_END_S: Final = 5.0


class FlashApp(QemuApp):  # type: ignore[misc]  # untyped
    """A built application, and the image of a flash with it.

    pytest-embedded merges it with the script ``esptool.py`` of the search path, which an environment that was not
    activated does not have, and shows what that says if it succeeds; this is the same command line with the esptool of
    this Python. `QemuApp` makes the image as it is constructed.

    Attributes:
        scratch: a folder for what QEMU writes while it runs (given by name, as `App` takes it).

    Raises:
        BuildError: esptool cannot merge the files.
    """

    scratch: str

    def create_image(self) -> None:
        """Make the image, unless there is one that shall be kept."""
        image = Path(self.image_path)
        if self.skip_regenerate_image and image.exists():
            return
        size = IdfFlashImageMaker(self, self.image_path).qemu_flash_size
        merge = ["--chip", self.target, "merge-bin", "-o", str(image.resolve()), "--fill-flash-size", size]
        command = [sys.executable, "-m", "esptool", *merge, *self.write_flash_args]
        code, output = run_step(command, cwd=Path(self.binary_path))
        if code != 0:
            log = image.with_name(LOG)
            log.write_text(output, encoding="utf-8")
            tail = "\n".join(f"    {line}" for line in output.splitlines()[-10:])
            msg = f"esptool cannot merge the files of {self.binary_path} into the image of a flash\n{tail}"
            raise BuildError(msg, log)


class _Reader(threading.Thread):
    """Reads the file that QEMU writes to; pytest-embedded's is a process of its own, which never rests."""

    def __init__(self, lines: ConsoleLines, path: str) -> None:
        """Read nothing yet."""
        super().__init__(name="console of QEMU", daemon=True)
        self._lines, self._path = lines, path
        self._ended = threading.Event()

    def run(self) -> None:
        """Pass on what is new until told otherwise, and then the rest."""
        with Path(self._path).open("rb") as file:
            ended = False
            while not ended:
                ended = self._ended.wait(_LOOK_S)
                while data := file.read():
                    self._lines.put(data)

    def terminate(self) -> None:
        """Read the rest; harmless when repeated."""
        self._ended.set()
        self.join(_END_S)


class _Kept(DuplicateStdoutPopen):  # type: ignore[misc]  # untyped
    """A program that ends when this process does, see `keeper`."""

    def __init__(self, msg_queue: ConsoleLines, cmd: list[str], **others: Any) -> None:  # noqa: ANN401
        theirs, self._control = os.pipe()
        try:
            # Ctrl-C is for pytest.
            super().__init__(msg_queue, kept_command(theirs, [], cmd), pass_fds=(theirs,), process_group=0, **others)
        except BaseException:
            os.close(self._control)
            raise
        finally:
            os.close(theirs)


class BoardQemu(Qemu, _Kept):  # type: ignore[misc]  # untyped
    """A running QEMU, whose standard input and output are the console.

    All other methods, `_hard_reset` above all, are pytest-embedded's.

    Args:
        app: what it runs; names program and image.
        lines: receives what the board says, and QEMU itself.
        cli_args: instead of pytest-embedded's own, which name the machine.
        extra_args: besides.

    Raises:
        OSError: it cannot be started.
    """

    REDIRECT_CLS = _Reader

    def __init__(self, app: FlashApp, lines: ConsoleLines, *, cli_args: str | None, extra_args: str) -> None:
        """Start it."""
        super().__init__(  # type: ignore[call-arg]  # `Qemu` adds the command
            qemu_image_path=app.image_path,
            qemu_cli_args=cli_args,
            qemu_extra_args=extra_args,
            app=app,
            msg_queue=lines,
            # Where its output is kept while it runs.
            meta=SimpleNamespace(logdir=app.scratch, logfile_extension=".log"),
        )

    def ending(self) -> str | None:
        """Say how it ended, if it has."""
        code = self.poll()
        return None if code is None else f"QEMU {how_it_ended(code) or 'ended'}"

    def terminate(self) -> None:
        """End it; harmless when repeated."""
        control, self._control = self._control, -1
        if control >= 0:
            with suppress(OSError):
                os.write(control, b"\n")  # an end of file would not come: pytest-embedded forks, and keeps it open
            os.close(control)
            with suppress(OSError):
                self.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self.wait(_END_S)
            if self.poll() is None:
                self.kill()
                self.wait(_END_S)
            self.close()
            Path(self._logfile).unlink(missing_ok=True)
