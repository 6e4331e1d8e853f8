"""The part of ``tinyml convert`` that makes a .tflite of a Keras file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.cli.espdl import calibration

if TYPE_CHECKING:
    import argparse

VARIANTS: Final = ("float", "ptq", "ptq-pertensor")


def add_options(command: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the option."""
    group = command.add_argument_group("from Keras (needs pytest-tinyml[train])")
    group.add_argument(
        "--tflite",
        metavar="KIND",
        choices=VARIANTS,
        help="make a .tflite of an .h5 or .keras file, with its card: float, ptq (int8) or ptq-pertensor",
    )


def convert(options: argparse.Namespace) -> None:
    """Write a .tflite and its card, and say what they are.

    Raises:
        UsageError: what was asked for cannot be done.
    """
    from pytest_tinyml.campaign.choices import parse_preprocess  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.records import PreprocessSpec  # noqa: PLC0415
    from pytest_tinyml.training.kerasfile import SAMPLES, input_shape, read_keras, to_tflite  # noqa: PLC0415
    from pytest_tinyml.training.owncard import write_model  # noqa: PLC0415

    spec = PreprocessSpec() if options.preprocess is None else parse_preprocess(options.preprocess)
    path = Path(options.model)
    network = read_keras(path)
    data = None if options.tflite == "float" else calibration(options.calibrate, input_shape(network))
    tflite = to_tflite(network, options.tflite, data, spec, options.samples or SAMPLES)
    for written in write_model(options.out, f"{path.stem}-{options.tflite}.tflite", tflite, spec):
        print(written)
    print(f"{options.tflite}, input {list(input_shape(network))}, {len(tflite):,} B")
