"""The part of ``tinyml convert`` that quantises for ESP-DL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from pytest_tinyml.records import Dataset, PreprocessSpec
    from pytest_tinyml.training.espdl import FloatNetwork

_IMAGE_RANK: Final = 3
OPTIONS: Final = ("bits", "target")
"""Options that only go with ``--espdl``; each is None unless it is given."""
CALIBRATION: Final = ("calibrate", "samples")
"""Those of everything that quantises."""


def add_options(command: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the options."""
    group = command.add_argument_group("for ESP-DL (needs pytest-tinyml[espdl])")
    group.add_argument(
        "--espdl", action="store_true", help="quantise a float .tflite or an .onnx file into an .espdl, with its card"
    )
    group.add_argument("--bits", type=int, choices=(8, 16), help="of weights and activations (default: 8)")
    group.add_argument("--target", metavar="CHIP", help="esp32 (default), esp32s3, esp32p4, ...")


def convert(options: argparse.Namespace) -> None:
    """Write an .espdl and its card, and say what they are.

    Raises:
        UsageError: what was asked for cannot be done.
        BuildError: esp-ppq failed.
    """
    from pytest_tinyml.training.espdl import SAMPLES, calibration_of, quantise  # noqa: PLC0415
    from pytest_tinyml.training.owncard import write_model  # noqa: PLC0415

    network = _network(options.model, options.preprocess)
    shape = network.shape[1:]
    data = calibration(options.calibrate, (*shape[1:], shape[0]) if len(shape) == _IMAGE_RANK else shape)
    bits: Literal[8, 16] = options.bits or 8
    target = options.target or "esp32"
    espdl = quantise(network, calibration_of(network, data, options.samples or SAMPLES), bits=bits, target=target)
    stem = f"{network.name.removesuffix('-float')}-int{bits}"
    for path in write_model(options.out, f"{stem}.espdl", espdl, network.preprocess):
        print(path)
    print(f"{bits} bits, {target}, {len(espdl):,} B")


def _network(model: str, preprocess: str | None) -> FloatNetwork:
    from pytest_tinyml.campaign.choices import choose_model, parse_preprocess  # noqa: PLC0415
    from pytest_tinyml.records import PreprocessSpec  # noqa: PLC0415
    from pytest_tinyml.training.espdl import from_onnx, from_tflite  # noqa: PLC0415

    if Path(model).suffix == ".onnx":
        spec: PreprocessSpec = PreprocessSpec() if preprocess is None else parse_preprocess(preprocess)
        return from_onnx(Path(model), spec)
    chosen = choose_model(model, preprocess)
    if chosen.input.dtype != "float32" and not Path(model).is_file():
        system = chosen.name.partition("-")[0]
        msg = f"{chosen.name} is quantised already; take the float model: tinyml convert {system}-float --espdl"
        raise UsageError(msg)
    return from_tflite(chosen)


def add_calibration(command: Any) -> None:  # noqa: ANN401
    """Declare the options of everything that quantises."""
    group = command.add_argument_group("what quantisation is calibrated with (--espdl, --tflite ptq)")
    group.add_argument(
        "--calibrate",
        metavar="DATA",
        help="data set whose first samples give the ranges of activations (default: the images that the zoo's models "
        "are trained on)",
    )
    group.add_argument("--samples", type=int, metavar="N", help="how many of them (default: 256)")


def calibration(spec: str | None, shape: tuple[int, ...]) -> Dataset:
    """Return the samples that ranges are taken from.

    Args:
        spec: a data set; None for what the zoo is trained on.
        shape: of one sample, channels last; photographs are made to fit it.
    """
    if spec is None:
        from pytest_tinyml.training.data import training_data  # noqa: PLC0415 - fetches 11 MB, once

        return training_data(None)[0]
    from pytest_tinyml.stores.datasets import load_dataset  # noqa: PLC0415

    return load_dataset(spec, shape=shape)
