"""Boards that are programs of this computer: how they are started, listened to, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards import keeper
from pytest_tinyml.boards.streamed import StreamedBoard
from pytest_tinyml.errors import BoardError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tinyml.boards.base import BoardRequest

_GRACE_S: Final = 0.5
"""A board that does not end by itself in so long after its line was closed is told to."""
_END_S: Final = 10.0
"""What was told to end is gone at once: this is for a computer that is very busy. A keeper that had to be killed could
not end its program any more."""


class ChildBoard(StreamedBoard):
    """A board that is a program; subclasses start it with `spawn`."""

    def __init__(self, kind: str, request: BoardRequest) -> None:
        """Start nothing."""
        super().__init__(kind, request)
        self._process: subprocess.Popen[bytes] | None = None
        self._control = -1

    def spawn(
        self, command: Sequence[str], fds: Sequence[int], *, kept: bool = False, talks: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a program; what it says on standard error goes to the console.

        Args:
            command: the program and its arguments.
            fds: descriptors that it inherits, by the same numbers; still open here afterwards.
            kept: end it when this process dies, however that happens (see `keeper`). For programs that do not do so
                themselves when the line is closed.
            talks: its standard input and output are pipes, which whoever asked for them closes.

        Returns:
            The program, for its pipes; `stop` ends it.

        Raises:
            BoardError: it cannot be started.
        """
        inherited = list(fds)
        ours = theirs = -1
        if kept:
            theirs, ours = os.pipe()
            command = kept_command(theirs, fds, command)
            inherited.append(theirs)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=inherited,
                process_group=0,  # Ctrl-C is for pytest, which then closes the line
            )
        except OSError as error:
            if ours >= 0:
                os.close(ours)
            msg = f"cannot be started: {error}"
            raise BoardError(msg) from error
        finally:
            if theirs >= 0:
                os.close(theirs)
        self._control = ours
        if self._process.stderr is not None:
            self.console.follow(self._process.stderr)
        return self._process

    def ending(self) -> str | None:
        """Say how the program ended, if it has."""
        code = None if self._process is None else self._process.poll()
        return None if code is None else how_it_ended(code) or "its program has ended"

    @property
    def pid(self) -> int | None:
        """The process id of what was started: the program, or its keeper; None if nothing runs."""
        return None if self._process is None else self._process.pid

    def stop(self) -> str:
        """See `StreamedBoard.stop`."""
        process, self._process = self._process, None
        if process is None:
            return ""
        # The link is closed by now: a healthy board ends by itself.
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
        control, self._control = self._control, -1
        told = control < 0 and process.poll() is None
        if control >= 0:
            os.close(control)
        elif told:
            process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
        killed = process.poll() is None
        if killed:
            process.kill()
            process.wait(_END_S)
        self.console.drain(_END_S)
        if killed or (control >= 0 and process.returncode == keeper.ENDED_IT):
            return "had to be killed"
        # Not being quick enough is no reason to be taken for killed: what it says of its end is true all the same.
        return "" if told and process.returncode == -signal.SIGTERM else how_it_ended(process.returncode)


def kept_command(control: int, fds: Sequence[int], command: Sequence[str]) -> list[str]:
    """Return the command line under which `keeper` runs a program.

    Args:
        control: the reading end of a pipe, inherited; the program ends when nobody has the writing end any more.
        fds: descriptors that are for the program alone.
        command: the program and its arguments.
    """
    return [
        *(sys.executable, "-I", "-S", str(Path(keeper.__file__)), str(control), ",".join(map(str, fds))),
        *command,
    ]


def how_it_ended(code: int) -> str:
    """Say how a program ended by itself, from its exit code; nothing if it did so in peace."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}" if code else ""
