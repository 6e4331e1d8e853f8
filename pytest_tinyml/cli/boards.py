"""``tinyml boards``: what can be asked for with ``--board``, and what is missing for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tinyml.boards.registry import Registry, registered
from pytest_tinyml.cli.planning import add_desk_option, read_desk
from pytest_tinyml.cli.screen import missing_lines, together, wrapped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_tinyml.boards.base import BoardKind
    from pytest_tinyml.boards.boardmap import DeskBoard


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("boards", help="list the boards, and what each lacks on this computer")
    add_desk_option(command)
    command.set_defaults(action=run)


def run(options: argparse.Namespace) -> None:
    """Print a few lines per board, and one per missing thing with the command that installs it.

    Raises:
        UsageError: the file of boards cannot be used.
    """
    registry = registered(Registry())
    desk = read_desk(options, registry)
    # Kinds that only the file knows are listed with the others.
    for board in desk.boards:
        if board.connected:
            desk.kind(board.id, registry)
    width = max(len(name) for name in registry.names())
    for name in registry.names():
        kind = registry.get(name)
        missing = kind.missing()
        print(f"{name:<{width}}  {'not ready' if missing else 'ready'}")
        for line in [*wrapped(kind.summary), *wrapped(together(_facts(kind), "; ")), *missing_lines(missing)]:
            print(line)
    if desk.boards:
        print(f"\nboards of {desk.path}")
        width = max(len(board.id) for board in desk.boards)
        for board in desk.boards:
            print(f"{board.id:<{width}}  {'' if board.connected else 'not connected'}".rstrip())
            for line in wrapped(together(_said(board), "; ")):
                print(line)


def _said(board: DeskBoard) -> list[str]:
    """Return what the file says of a board."""
    found = [board.board, *([board.place] if board.place else []), *([f"link {board.link}"] if board.link else [])]
    if board.options:
        found.append(_listed("option", [f"{key}={value}" for key, value in board.options.items()]))
    if board.tags:
        found.append(_listed("tag", board.tags))
    return [*found, *([board.notes] if board.notes else [])]


def _facts(kind: BoardKind) -> list[str]:
    """Return what can be chosen, and what the part has, the default first."""
    found = [f"engine {kind.engine}", _listed("link", kind.links), _listed("clock", kind.clocks)]
    # Optional: not every board is made of memories of a fixed size.
    memories: dict[str, int] = dict(getattr(kind, "memories", {}))
    if memories:
        found.append(", ".join(f"{name} {size / 1024:,g} KiB" for name, size in memories.items()))
    if kind.options:
        found.append(_listed("option", tuple(kind.options)))
    return found


def _listed(noun: str, names: Sequence[str]) -> str:
    return f"{noun}{'' if len(names) == 1 else 's'} {', '.join(names)}"
