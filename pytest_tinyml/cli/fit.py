"""``tinyml fit``: which boards a model fits, before anything is flashed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tinyml.cli.screen import wrapped

if TYPE_CHECKING:
    import argparse

    from pytest_tinyml.campaign.fit import Fit


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("fit", help="say which boards a model fits, and what it takes of their memories")
    command.add_argument("model", help="name of the zoo (tinyml models list) or a model file")
    command.add_argument(
        "--board", action="append", default=[], metavar="NAME", help="ask for this one only; may be repeated"
    )
    command.set_defaults(action=run)


def run(options: argparse.Namespace) -> int:
    """Print an answer for each board; returns 1 if one that was named does not take the model."""
    from pytest_tinyml.boards.registry import Registry, registered  # noqa: PLC0415 - not needed for a help text
    from pytest_tinyml.campaign.choices import choose_model  # noqa: PLC0415
    from pytest_tinyml.campaign.fit import REFUSALS, fit  # noqa: PLC0415

    registry = registered(Registry())
    kinds = [registry.get(name) for name in options.board or registry.names()]
    model = choose_model(options.model, None)
    width = max(len(kind.name) for kind in kinds)
    print(f"{model.name}: {len(model.data):,} B")
    with tempfile.TemporaryDirectory(prefix="tinyml-") as scratch:
        answers = []
        for kind in kinds:
            answer = fit(kind, model, Path(scratch))
            answers.append(answer)
            print(f"{answer.board:<{width}}  {answer.verdict} (engine {answer.engine})")
            print("\n".join(line for text in _details(answer) for line in wrapped(text)), flush=True)
    return int(bool(options.board) and any(answer.verdict in REFUSALS for answer in answers))


def _details(answer: Fit) -> list[str]:
    """Return what is behind a verdict: a few sentences."""
    if answer.reason:
        return [answer.reason]
    need = answer.need
    if not answer.memories:
        return [] if need is None else [f"it takes {need.flash_bytes:,} B and {need.ram_bytes:,} B to work in"]
    used = [f"{one.name} {one.used:,} of {one.size:,} B" for one in answer.memories if one.used]
    if answer.verdict == "too large":
        over = [f"{one.name} ({one.size:,} B) by {one.used - one.size:,} B" for one in answer.memories]
        return [f"it exceeds {' and '.join(over)}"]
    if answer.verdict == "fits" or need is None:
        return [f"linked: {', '.join(used)}"]
    return [f"the model alone takes {', '.join(used)}; the firmware comes on top", f"from {need.basis}"]
