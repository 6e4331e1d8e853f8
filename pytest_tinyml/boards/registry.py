"""The boards that can be asked for by name: ours, and those that plugins register."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from pytest_tinyml.boards.base import BoardKind

# Modules by board name, imported when the board is asked for: a board's imports are its own business.
_OURS: Final = {
    "native": "pytest_tinyml.boards.native",
    "http-client": "pytest_tinyml.boards.httpclient",
    "qemu-stm32f405": "pytest_tinyml.boards.qemu_stm32f405",
    "qemu-xtensa": "pytest_tinyml.boards.qemu_xtensa",
    "tflm": "pytest_tinyml.boards.tflm",
    "esp32cam": "pytest_tinyml.boards.esp32cam",
    "esp32": "pytest_tinyml.boards.esp32",
    "esp32-aot": "pytest_tinyml.boards.esp32_aot",
    "esp32-espdl": "pytest_tinyml.boards.esp32_espdl",
    "esp32-qemu": "pytest_tinyml.boards.esp32_qemu",
    "mlperf": "pytest_tinyml.boards.mlperf",
    "nucleo-f446re": "pytest_tinyml.boards.nucleo_f446re",
}


class Registry:
    """Board kinds by name.

    Other packages add to it in the hook ``pytest_tinyml_boards(registry)``.
    """

    def __init__(self) -> None:
        """Begin with the boards of this package."""
        self._kinds: dict[str, BoardKind] = {}

    def register(self, kind: BoardKind) -> None:
        """Add a kind of board.

        Raises:
            UsageError: there is one of that name.
        """
        if kind.name in self._kinds or kind.name in _OURS:
            msg = f"a board named {kind.name!r} is already registered"
            raise UsageError(msg)
        self._kinds[kind.name] = kind

    def get(self, name: str) -> BoardKind:
        """Return the kind of that name.

        Raises:
            UnknownNameError: with the closest known name.
        """
        if name in _OURS and name not in self._kinds:
            self._kinds[name] = import_module(_OURS[name]).KIND
        if name not in self._kinds:
            raise UnknownNameError("board", name, self.names())
        return self._kinds[name]

    def names(self) -> tuple[str, ...]:
        """Return all names, ours first."""
        return (*_OURS, *sorted(name for name in self._kinds if name not in _OURS))


def boards_with_room(flash_bytes: int, ram_bytes: int) -> list[str]:
    """Return the boards whose memories hold so much; a board that has no `memories` is a process, which has no limit.

    Args:
        flash_bytes: code and constants; 0 if that is not the problem.
        ram_bytes: data; likewise.
    """
    registry = registered(Registry())
    needed = {"flash": flash_bytes, "RAM": ram_bytes}
    kinds = [registry.get(name) for name in registry.names()]
    limits = {kind.name: getattr(kind, "memories", {}) for kind in kinds if getattr(kind, "verifiable", True)}
    return [name for name, sizes in limits.items() if all(needed[k] <= sizes.get(k, needed[k]) for k in needed)]


def registered(registry: Registry) -> Registry:
    """Add the boards that installed plugins register, outside of pytest; broken plugins are named on stderr.

    A pytest plugin is asked through its entry point (group ``pytest11``) if its module defines the hook.
    """
    for point in entry_points(group="pytest11"):
        if point.value.startswith("pytest_tinyml."):
            continue
        try:
            hook = getattr(point.load(), "pytest_tinyml_boards", None)
        except Exception as error:  # noqa: BLE001 - somebody else's module; the list must come out all the same
            print(f"tinyml: plugin {point.name!r} cannot be loaded: {error}", file=sys.stderr)
            continue
        if hook is not None:
            hook(registry=registry)
    return registry
