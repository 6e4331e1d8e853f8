"""``tinyml models``: the zoo's cards as a table, and its recipes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tinyml.stores.models import list_models, models_table

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the commands."""
    group = commands.add_parser("models", help="list the zoo's models, or train one").add_subparsers(
        metavar="COMMAND", required=True
    )
    group.add_parser("list", help="the cards as a table").set_defaults(action=show)
    train = group.add_parser(
        "train", help="train, quantise and evaluate a model (needs pytest-tinyml[train], or [espdl] for s3)"
    )
    train.add_argument("name", help="name of the recipe: s0, s1, s2, s3 or s4")
    train.add_argument(
        "--data", metavar="PATH", help="MNIST's 70,000 images (IDX folder, .npz, ...); fetched if absent"
    )
    train.add_argument("--out", metavar="DIR", type=Path, help="where the files go (default: ./NAME)")
    train.add_argument("--seed", type=int, help="of weights and shuffling (default: the recipe's)")
    train.set_defaults(action=run_training)


def show(_: argparse.Namespace) -> None:
    """Print the table of models."""
    print(models_table(list_models()))


def run_training(options: argparse.Namespace) -> None:
    """Train a model, saying what happens."""
    from pytest_tinyml.training import train  # noqa: PLC0415 - the only command that needs it

    out = options.out or Path(options.name)
    train(options.name, data=options.data, out=out, seed=options.seed, report=lambda line: print(line, flush=True))
