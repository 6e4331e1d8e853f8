"""``tinyml boards``: what can be asked for with ``--board``, and what is missing for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tinyml.boards.registry import Registry, registered

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("boards", help="list the boards, and what each lacks on this computer")
    command.set_defaults(action=run)


def run(_: argparse.Namespace) -> None:
    """Print a line per board, and one per missing thing with the command that installs it."""
    registry = registered(Registry())
    width = max(len(name) for name in registry.names())
    for name in registry.names():
        kind = registry.get(name)
        missing = kind.missing()
        state = "not ready" if missing else "ready"
        links = ", ".join(kind.links)
        print(f"{name:<{width}}  {state:<9}  {kind.summary} [engine {kind.engine}; links: {links}]")
        for item in missing:
            print(f"{'':<{width}}    needs {item.what}: {item.install}")
