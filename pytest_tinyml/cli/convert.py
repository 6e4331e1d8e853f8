"""``tinyml convert``: a model as sources for firmware."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tinyml.cli import espdl, tflite
from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    from pytest_tinyml.engines.aot import EngineSources
    from pytest_tinyml.records import Model


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("convert", help="write a model as sources for firmware")
    command.add_argument(
        "model", help="name of the zoo (tinyml models list), a .tflite or an .espdl file; with --tflite a Keras file"
    )
    command.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the sources")
    command.add_argument(
        "--kernels",
        metavar="NAME",
        help="translate it to C (engine aot) with these: portable, cmsis-nn (Arm Cortex-M4) or esp-nn (Espressif "
        "ESP32); default: portable",
    )
    command.add_argument(
        "--c-array",
        action="store_true",
        help="write the file as an array, and the operators that TensorFlow Lite Micro needs for it (engine tflm)",
    )
    command.add_argument(
        "--arena", metavar="BYTES", type=_bytes, help="with --c-array: size of the arena (default: measured)"
    )
    command.add_argument(
        "--preprocess", metavar="SPEC", help="scale:DIVISOR, l2axis1 or none (default: the model's card)"
    )
    tflite.add_options(command)
    espdl.add_options(command)
    espdl.add_calibration(command)
    command.set_defaults(action=run)


def _bytes(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 32:
        msg = f"{text!r} is not a number of bytes"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _table(generated: EngineSources) -> list[str]:
    """Return one line for each operator: its index and name in the file, and the function that computes it."""
    width = max(len(use.operator) for use in generated.kernels_used)
    lines = []
    for use in generated.kernels_used:
        source = generated.kernels if use.vendor else "portable"
        what = f"{use.function} ({source})" if use.function else "no code: the same memory in another shape"
        lines.append(f"{use.index:>4} {use.operator:<{width}}  {what}")
    return lines


def _translate(model: Model, options: argparse.Namespace) -> None:
    from pytest_tinyml.engines import aot, component  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.engines.layers.generate import network_of, with_kernels, write  # noqa: PLC0415
    from pytest_tinyml.engines.modelfile import model_source  # noqa: PLC0415
    from pytest_tinyml.engines.select import DEFAULT, engine_of  # noqa: PLC0415

    if engine_of(model) == DEFAULT:
        generated = aot.generate(model, options.out, options.kernels or aot.PORTABLE)
    else:
        if options.kernels not in {None, aot.PORTABLE}:
            msg = f"engine {engine_of(model)!r}, which {model.name} is for, has kernels 'portable' only"
            raise UsageError(msg)
        generated = with_kernels(write(network_of(model), model_source(model), options.out))
    component.describe(model, generated, options.out)
    for path in (*generated.sources, *generated.vendor_sources):
        print(path)
    print(" ".join(f"-I{folder}" for folder in generated.include_dirs))
    for line in _table(generated):
        print(line)
    print(f"arena {generated.arena_bytes:,} B, weights {generated.weights_bytes:,} B")


def _as_array(model: Model, options: argparse.Namespace) -> None:
    from pytest_tinyml.engines import tflm  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.engines.espdl import generate  # noqa: PLC0415

    if model.format == "espdl":
        # ESP-DL reads the file as it is, and finds operators and memory itself.
        for path in sorted(generate(model, options.out).glob("*model*.[ch]*")):
            print(path)
        print(f"model {len(model.data):,} B")
        return
    generated = tflm.generate(model, options.out, options.arena)
    for path in (*generated.sources, *generated.headers):
        print(path)
    print("operators " + " ".join(generated.operators))
    measured = f" (measured {generated.arena_used_bytes:,} B)" if generated.arena_used_bytes else ""
    print(f"arena {generated.arena_bytes:,} B{measured}, model {len(model.data):,} B")


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    wanted = [f"--{name}" for name in ("espdl", "tflite") if getattr(options, name)]
    if wanted and (options.c_array or options.kernels is not None or len(wanted) > 1):
        msg = f"{wanted[0]} writes a model file; do one thing at a time, and translate that file in a second call"
        raise UsageError(msg)
    needed = [
        *((name, ("espdl",)) for name in espdl.OPTIONS),
        *((name, ("espdl", "tflite")) for name in espdl.CALIBRATION),
    ]
    for name, makers in needed:
        if getattr(options, name) is not None and not any(getattr(options, maker) for maker in makers):
            msg = f"--{name} needs {' or '.join(f'--{maker}' for maker in makers)}"
            raise UsageError(msg)
    if options.samples is not None and options.samples < 1:
        msg = f"--samples {options.samples}: must be at least 1"
        raise UsageError(msg)


def run(options: argparse.Namespace) -> None:
    """Write the sources and print what they need.

    Raises:
        UsageError: options that do not go together.
    """
    from pytest_tinyml.campaign.choices import choose_model  # noqa: PLC0415 - not needed to print a help text

    _check(options)
    if options.espdl or options.tflite:
        (espdl if options.espdl else tflite).convert(options)
        return
    if options.c_array and options.kernels is not None:
        raise UsageError("--kernels is for a model translated to C; with --c-array the firmware brings the kernels")
    if options.arena is not None and not options.c_array:
        raise UsageError("--arena needs --c-array: what a translated model takes is known")
    model = choose_model(options.model, options.preprocess)
    (_as_array if options.c_array else _translate)(model, options)
