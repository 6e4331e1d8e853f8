"""The native firmware as a device for MLPerf Tiny's runner, at the far end of a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import tty
from typing import TYPE_CHECKING, Self

from pytest_tinyml import firmware
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.stores.models import load_model

if TYPE_CHECKING:
    from pathlib import Path

_END_S = 60.0


def program_of(model: str) -> Path:
    """Return the firmware with a model of the zoo, built if need be."""
    made = sources_for(load_model(model))
    return firmware.build_native(
        [*made.own_sources, *made.vendor_sources], [*made.include_dirs, made.engine_dir]
    ).path  # fmt: skip


class NativeDevice:
    """A running device.

    Its port stays when the host closes it, as that of a development board does, and is gone when the device dies.

    Args:
        model: of the zoo.
        digits: decimals of its results.
        arguments: more of the firmware's, e.g. ``--fault``, ``crash@3``.

    Attributes:
        port: path of the serial port.
    """

    def __init__(self, model: str = "s1-ptq", *arguments: str, digits: int = 3) -> None:
        """Start it."""
        program = program_of(model)
        theirs, self._ours = pty.openpty()
        # Before the device speaks: a line with echo would send its own words back to it.
        tty.setraw(self._ours)
        self.port = os.ttyname(self._ours)
        command = [str(program), "--fd", str(theirs), "--mlperf", str(digits), *arguments]
        try:
            self.process = subprocess.Popen(command, pass_fds=[theirs], stderr=subprocess.PIPE, text=True)
        except BaseException:
            os.close(self._ours)
            raise
        finally:
            os.close(theirs)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Unplug it."""
        self.close()

    def close(self) -> None:
        """Unplug it; harmless when repeated."""
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1
            self.process.terminate()
            self.process.communicate(timeout=_END_S)
