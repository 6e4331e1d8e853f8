"""``tinyml stedgeai``: what ST's tool says about a model, in the words of a run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from pytest_tinyml.engines.stedgeaireport import Footprint, Validation


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("stedgeai", help="let ST's tool, if it is installed, analyse and validate a model")
    command.add_argument("model", help="name of the zoo (tinyml models list) or a .tflite file")
    command.add_argument("--dataset", help="validate over samples of this: mnist-28k or a path (default: analyse only)")
    command.add_argument("--limit", type=int, default=1000, metavar="N", help="how many samples (default: 1000)")
    command.add_argument(
        "--desc",
        default="",
        help="a part that has ST's validation firmware, e.g. serial:/dev/ttyACM0:921600 (default: this computer)",
    )
    command.set_defaults(action=run)


def run(options: argparse.Namespace) -> None:
    """Print what the model takes and, with a data set, how the C network compares with the model.

    Raises:
        UsageError: options that make no sense.
    """
    from pytest_tinyml.campaign.choices import choose_model  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.campaign.stedgeai import validate  # noqa: PLC0415
    from pytest_tinyml.engines.stedgeai import analyze  # noqa: PLC0415
    from pytest_tinyml.stores.datasets import load_dataset  # noqa: PLC0415

    if options.limit < 1:
        msg = f"--limit {options.limit}: at least one sample is needed"
        raise UsageError(msg)
    model = choose_model(options.model, None)
    print("\n".join(_footprint(analyze(model))))
    if options.dataset is None:
        return
    data = load_dataset(options.dataset)
    with tempfile.TemporaryDirectory(prefix="tinyml-") as scratch:
        samples = min(options.limit, len(data))
        found = validate(model, data, samples, Path(scratch), description=options.desc)
    print("\n".join(_validation(found)))


def _footprint(found: Footprint) -> list[str]:
    return [
        f"ST's tool {found.version or '(version unknown)'}",
        f"flash {found.weights_bytes:,} B of weights, RAM {found.ram_bytes:,} B, {found.macs:,} MACs",
    ]


def _validation(found: Validation) -> list[str]:
    """Return a line for each metric, by its name in results.json."""
    distance = found.distance
    values = {
        "argmax_agreement": found.argmax_agreement,
        "top1_board": found.top1_board,
        "top1_reference": found.top1_reference,
        "rmse": distance.rmse,
        "mae": distance.mae,
        "l2r": distance.l2r,
        "nse": distance.nse,
        "cos": distance.cos,
    }
    head = f"{found.samples:,} samples" if found.samples is not None else "validated"
    latency = "" if found.latency_ms is None else f", {found.latency_ms:g} ms each"
    return [head + latency, *(f"  {name:<16} {value:.6g}" for name, value in values.items() if value is not None)]
