"""Where a board is and what is flashed: the options that ``pytest`` has from pytest-embedded, for commands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.base import has_device
from pytest_tinyml.boards.espport import VARIABLES
from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_tinyml.boards.base import BoardKind

# Name in `BoardRequest.device`, metavar, help.
_OPTIONS: Final = (
    ("port", "PORT", "path, URL, or the beginning of a path and * (default: the only USB serial port)"),
    ("baud", "N", "of the console (default: 115200)"),
    ("flasher", "NAME", "of boards with a debug probe: openocd, pyocd or none (default: the first that is installed)"),
    ("app_path", "DIR", "an application that is built already (default: build it)"),
    ("build_dir", "DIR", "its build folder, in it or absolute (default: build)"),
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare the options."""
    group = command.add_argument_group("boards at a serial port", "options that mean what they mean to pytest")
    for name, metavar, text in _OPTIONS:
        group.add_argument(_flag(name), metavar=metavar, help=text)


def given(options: argparse.Namespace, kinds: Sequence[BoardKind]) -> dict[str, str]:
    """Return `BoardRequest.device`: what was given, and what the environment says instead.

    Args:
        options: the command line.
        kinds: of the boards that are meant.

    Raises:
        UsageError: options were given, and no board of these kinds is at a port.
    """
    typed = {name: text for name, _, _ in _OPTIONS if (text := getattr(options, name)) is not None}
    if not any(has_device(kind) for kind in kinds):
        if not typed:
            return {}
        names = " and ".join(repr(kind.name) for kind in kinds)
        what = f"board {names} is at no port" if names else "name the board that is meant"
        msg = f"{', '.join(map(_flag, typed))}: {what}"
        raise UsageError(msg)
    return typed | {name: text for name, variable in VARIABLES.items() if (text := os.environ.get(variable))}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
