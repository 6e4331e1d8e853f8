"""``tinyml export-samples`` and ``tinyml selftest``: test data as C, and a program of plain C that reads them."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_tinyml.campaign.selftest import Tested

_COUNT: Final = 50


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        msg = f"{text!r} is not a number of samples"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the commands."""
    export = commands.add_parser("export-samples", help="write the first samples of a data set, with labels, as C")
    export.add_argument("dataset", nargs="?", default="mnist-28k", help="default: mnist-28k")
    export.add_argument("--format", choices=("c",), default="c", help="default: c")
    export.add_argument("--count", metavar="N", type=_count, default=_COUNT, help=f"default: {_COUNT}")
    export.add_argument(
        "--model", help="write what firmware for this model takes: input tensors, if it does not preprocess by itself"
    )
    export.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the files")
    export.set_defaults(action=run_export)
    test = commands.add_parser("selftest", help="compile a model and samples into a program of plain C, and run it")
    test.add_argument("model", nargs="?", default="s4-ptq", help="default: s4-ptq")
    test.add_argument("--dataset", default="mnist-28k", help="default: mnist-28k")
    test.add_argument("--count", metavar="N", type=_count, default=_COUNT, help=f"default: {_COUNT}")
    test.set_defaults(action=run_selftest)


def run_export(options: argparse.Namespace) -> None:
    """Write ``tml_samples.c`` and its header, and print where they are."""
    from pytest_tinyml.assets import assets_dir  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.engines.samplefile import FILE, samples_source  # noqa: PLC0415
    from pytest_tinyml.errors import UsageError  # noqa: PLC0415
    from pytest_tinyml.stores.datasets import load_dataset  # noqa: PLC0415
    from pytest_tinyml.stores.models import load_model  # noqa: PLC0415

    model = None if options.model is None else load_model(options.model)
    dataset = load_dataset(options.dataset, shape=None if model is None else model.input.shape[1:])
    text = samples_source(model, dataset, options.count)
    header = assets_dir("firmware") / "core" / "include" / "tml_samples.h"
    written = (options.out / FILE, options.out / header.name)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        written[0].write_text(text, encoding="utf-8")
        shutil.copyfile(header, written[1])
    except OSError as error:
        msg = f"cannot write to {options.out}: {error.strerror}"
        raise UsageError(msg) from error
    for path in written:
        print(path)
    print(f"{options.count} samples of {dataset.name}, {'no labels' if dataset.labels is None else 'labelled'}")


def run_selftest(options: argparse.Namespace) -> None:
    """Print what the program makes of each sample, and how often it is right."""
    from pytest_tinyml.campaign.selftest import self_test  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.stores.datasets import load_dataset  # noqa: PLC0415
    from pytest_tinyml.stores.models import load_model  # noqa: PLC0415

    model = load_model(options.model)
    dataset = load_dataset(options.dataset, shape=model.input.shape[1:])
    tested = self_test(model, dataset, options.count)
    for index, one in enumerate(tested):
        print(_line(index, one))
    right = sum(one.predicted == one.label for one in tested)
    if dataset.labels is not None:
        print(f"{model.name}: {right} of {len(tested)} right, accuracy {right / len(tested):.2%}")


def _line(index: int, one: Tested) -> str:
    # A single output is the probability of class 1.
    value = one.values[one.predicted] if len(one.values) > 1 else abs(1 - one.predicted - one.values[0])
    sure = f"{value:.1%}" if 0.0 <= value <= 1.0 else f"{value:.4g}"
    label = "" if one.label is None else f" label {one.label},"
    wrong = "" if one.label in {None, one.predicted} else "  WRONG"
    return f"#{index}:{label} predicted {one.predicted} ({sure}){wrong}"
