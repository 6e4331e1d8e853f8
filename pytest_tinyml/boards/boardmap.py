"""``tinyml-boards.toml``: the boards of a desk or a runner, so that each can be asked for by a name of its own.

Close to the hardware map of Zephyr's Twister: an entry has an id, the kind of board, where it is, and tags.
docs/reference/boards-toml.md describes the file.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from pytest_tinyml.boards.base import BoardKind
    from pytest_tinyml.boards.registry import Registry

FILE: Final = "tinyml-boards.toml"
TAG: Final = "tag:"
_PLACES: Final = {
    "port": "port",
    "serial_number": "port_serial_number",
    "location": "port_location",
    "mac": "port_mac",
}
"""Where a board is: keys of the file, and what `BoardRequest.device` calls them."""
_DEVICE: Final = {
    **_PLACES,
    **{
        name: name
        for name in (
            "baud",
            "target",
            "app_path",
            "build_dir",
            "esptool_baud",
            "flasher",
            "skip_autoflash",
            "erase_nvs",
        )
    },
}
_PATHS: Final = ("app_path",)
_OTHERS: Final = ("id", "board", "connected", "link", "options", "tags", "notes")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskBoard:
    """One board.

    Attributes:
        id: its name; not that of a kind of board.
        board: the kind: a name of ``tinyml boards``, or ``module:attribute`` of a kind that no plugin registers.
        device: where it is and what is flashed, see `BoardRequest.device`.
        link: how samples travel; None for the kind's first.
        options: board-specific settings.
        tags: any words.
        connected: it may be used.
        notes: for people.
    """

    id: str
    board: str
    device: Mapping[str, str] = field(default_factory=dict)
    link: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    connected: bool = True
    notes: str = ""

    @property
    def place(self) -> str:
        """Where it is, in words; empty if only the kind knows."""
        return ", ".join(
            f"{key.replace('_', ' ')} {self.device[name]}" for key, name in _PLACES.items() if name in self.device
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardMap:
    """The boards of a file; without one, none.

    Attributes:
        path: of the file; None if there is none.
        boards: in its order.
    """

    path: Path | None = None
    boards: tuple[DeskBoard, ...] = ()

    def get(self, name: str) -> DeskBoard | None:
        """Return the board of that id, if there is one."""
        return next((board for board in self.boards if board.id == name), None)

    def device(self, name: str, given: Mapping[str, str]) -> Mapping[str, str]:
        """Return `BoardRequest.device` of a name: what the file says of that board, and what was given, which wins."""
        board = self.get(name)
        return given if board is None else {**board.device, **given}

    def expand(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return names with those of all connected boards in the place of ``tag:WORD``, each once.

        Raises:
            UnknownNameError: no connected board has the tag.
        """
        found: list[str] = []
        for name in names:
            if not name.startswith(TAG):
                found.append(name)
                continue
            tag = name.removeprefix(TAG)
            tagged = [board.id for board in self.boards if tag in board.tags and board.connected]
            if not tagged:
                tags = {tag for board in self.boards if board.connected for tag in board.tags}
                raise UnknownNameError("tag of a connected board", tag, tags)
            found += tagged
        return tuple(dict.fromkeys(found))

    def kind(self, name: str, registry: Registry) -> BoardKind:
        """Return the kind of board that a name means, an id or a kind's own.

        Raises:
            UnknownNameError: it means nothing.
            UsageError: the board is not connected, or its kind cannot be imported.
        """
        board = self.get(name)
        if board is None:
            if name not in registry.names():
                raise UnknownNameError("board", name, [*registry.names(), *(each.id for each in self.boards)])
            return registry.get(name)
        if not board.connected:
            msg = f"board {name!r} is not connected, says {self.path}{f': {board.notes}' if board.notes else ''}"
            raise UsageError(msg)
        if ":" in board.board:
            return self._imported(board, registry)
        try:
            return registry.get(board.board)
        except UnknownNameError as error:
            msg = f"{self.path}: board {name!r}: {error}"
            raise UsageError(msg) from error

    def _imported(self, board: DeskBoard, registry: Registry) -> BoardKind:
        """Return a kind that only the file knows, and register it."""
        module, _, attribute = board.board.partition(":")
        folder = str(self.path.parent) if self.path is not None else ""
        sys.path.insert(0, folder)
        try:
            found: Any = getattr(import_module(module), attribute)
            kind: BoardKind = found() if isinstance(found, type) else found
            known = kind.name in registry.names()
        except Exception as error:  # somebody else's module, which may raise anything
            msg = f"{self.path}: board {board.id!r}: {board.board} cannot be used: {type(error).__name__}: {error}"
            raise UsageError(msg) from error
        finally:
            sys.path.remove(folder)
        if not known:
            registry.register(kind)
        return registry.get(kind.name)


def read_board_map(path: Path, kinds: Collection[str]) -> BoardMap:
    """Read a file.

    Args:
        path: of the file.
        kinds: names of kinds of boards, which no id may be.

    Raises:
        UsageError: it cannot be read, is no TOML, or an entry is not as it should be; with the entry and the key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"--tinyml-boards: {path} cannot be read: {error.strerror}"
        raise UsageError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: not TOML: {error}"
        raise UsageError(msg) from error
    rest = sorted(set(tables) - {"board"})
    entries = tables.get("board", [])
    if rest or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        msg = f"{path}: expected tables [[board]] and nothing else{f', got {rest[0]!r}' if rest else ''}"
        raise UsageError(msg)
    boards: list[DeskBoard] = []
    for number, entry in enumerate(entries, start=1):
        where = f"{path}: board {number}"
        board = _board(entry, f"{where} ({entry['id']!r})" if "id" in entry else where, path.parent)
        if board.id in kinds or board.id in {other.id for other in boards}:
            whose = "the name of a kind of board" if board.id in kinds else "another board's"
            msg = f"{where}: id {board.id!r} is {whose}"
            raise UsageError(msg)
        boards.append(board)
    return BoardMap(path=path, boards=tuple(boards))


def _board(entry: Mapping[str, Any], where: str, folder: Path) -> DeskBoard:
    """Make one board of a table.

    Raises:
        UsageError: see `read_board_map`.
    """
    for key in entry:
        if key not in {*_DEVICE, *_OTHERS}:
            msg = f"{where}: {UnknownNameError('key', key, {*_DEVICE, *_OTHERS})}"
            raise UsageError(msg)
    for key in ("id", "board"):
        if key not in entry:
            msg = f"{where}: {key!r} is missing"
            raise UsageError(msg)
    name = _of(str, entry, "id", where)
    if not _NAME.fullmatch(name):
        msg = f"{where}: an id has letters, digits, '.', '_' and '-' only"
        raise UsageError(msg)
    device = {_DEVICE[key]: _plain(entry[key], key, where) for key in entry if key in _DEVICE}
    device |= {key: str(folder / device[key]) for key in _PATHS if key in device}
    tags = _of(list, entry, "tags", where, [])
    options = _of(dict, entry, "options", where, {})
    return DeskBoard(
        id=name,
        board=_of(str, entry, "board", where),
        device=device,
        link=_of(str, entry, "link", where) if "link" in entry else None,
        options={str(key): _plain(value, f"options.{key}", where) for key, value in options.items()},
        tags=tuple(_plain(tag, "tags", where) for tag in tags),
        connected=_of(bool, entry, "connected", where, True),
        notes=_of(str, entry, "notes", where, ""),
    )


def _of(kind: type[Any], entry: Mapping[str, Any], key: str, where: str, default: object = None) -> Any:  # noqa: ANN401 - as `kind`
    value = entry.get(key, default)
    if type(value) is not kind:
        expected = {str: "a string", list: "an array", dict: "a table", bool: "true or false"}[kind]
        msg = f"{where}: {key!r} is not {expected}: {value!r}"
        raise UsageError(msg)
    return value


def _plain(value: object, key: str, where: str) -> str:
    """Return a string, number or truth value as the text that an option on the command line would be."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float) and value != "":
        return str(value)
    msg = f"{where}: {key!r} is not a string or a number: {value!r}"
    raise UsageError(msg)
