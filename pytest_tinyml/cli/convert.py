"""``tinyml convert``: a model as sources for firmware."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("convert", help="translate a model to C for the firmware (engine aot)")
    command.add_argument("model", help="name of the zoo (tinyml models list) or a .tflite file")
    command.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the sources")
    command.add_argument(
        "--preprocess", metavar="SPEC", help="scale:DIVISOR, l2axis1 or none (default: the model's card)"
    )
    command.set_defaults(action=run)


def run(options: argparse.Namespace) -> None:
    """Write the sources and print what they need."""
    from pytest_tinyml.campaign.plan import choose_model  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.engines import aot  # noqa: PLC0415

    model = choose_model(options.model, options.preprocess)
    generated = aot.generate(model, options.out)
    for path in (*generated.sources, *generated.vendor_sources):
        print(path)
    print(f"arena {generated.arena_bytes:,} B, weights {generated.weights_bytes:,} B")
