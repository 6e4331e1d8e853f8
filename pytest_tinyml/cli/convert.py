"""``tinyml convert``: a model as sources for firmware."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from pytest_tinyml.engines.aot import AotSources


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("convert", help="translate a model to C for the firmware (engine aot)")
    command.add_argument("model", help="name of the zoo (tinyml models list) or a .tflite file")
    command.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the sources")
    command.add_argument(
        "--kernels",
        metavar="NAME",
        default="portable",
        help="portable, cmsis-nn (Arm Cortex-M4) or esp-nn (Espressif ESP32); default: portable",
    )
    command.add_argument(
        "--preprocess", metavar="SPEC", help="scale:DIVISOR, l2axis1 or none (default: the model's card)"
    )
    command.set_defaults(action=run)


def _table(generated: AotSources) -> list[str]:
    """Return one line for each operator: its index and name in the file, and the function that computes it."""
    width = max(len(use.operator) for use in generated.kernels_used)
    lines = []
    for use in generated.kernels_used:
        source = generated.kernels if use.vendor else "portable"
        what = f"{use.function} ({source})" if use.function else "no code: the same memory in another shape"
        lines.append(f"{use.index:>4} {use.operator:<{width}}  {what}")
    return lines


def run(options: argparse.Namespace) -> None:
    """Write the sources and print what they need."""
    from pytest_tinyml.campaign.plan import choose_model  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.engines import aot  # noqa: PLC0415

    model = choose_model(options.model, options.preprocess)
    generated = aot.generate(model, options.out, options.kernels)
    for path in (*generated.sources, *generated.vendor_sources):
        print(path)
    print(" ".join(f"-I{folder}" for folder in generated.include_dirs))
    for line in _table(generated):
        print(line)
    print(f"arena {generated.arena_bytes:,} B, weights {generated.weights_bytes:,} B")
