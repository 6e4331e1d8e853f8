"""``tinyml boards``: what can be asked for with ``--board``, and what is missing for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tinyml.boards.registry import Registry, registered
from pytest_tinyml.cli.screen import missing_lines, together, wrapped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_tinyml.boards.base import BoardKind


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("boards", help="list the boards, and what each lacks on this computer")
    command.set_defaults(action=run)


def run(_: argparse.Namespace) -> None:
    """Print a few lines per board, and one per missing thing with the command that installs it."""
    registry = registered(Registry())
    width = max(len(name) for name in registry.names())
    for name in registry.names():
        kind = registry.get(name)
        missing = kind.missing()
        print(f"{name:<{width}}  {'not ready' if missing else 'ready'}")
        for line in [*wrapped(kind.summary), *wrapped(together(_facts(kind), "; ")), *missing_lines(missing)]:
            print(line)


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
