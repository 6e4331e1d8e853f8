"""What commands that use a board have in common: which board, model and data are meant, and what to compare with."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tinyml.boards.boardmap import FILE, BoardMap, read_board_map
from pytest_tinyml.cli import device
from pytest_tinyml.errors import BoardError, UsageError
from pytest_tinyml.shell.parsers import key_and_value

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pytest_tinyml.boards.registry import Registry
    from pytest_tinyml.campaign.plan import Plan


def add_desk_option(command: argparse.ArgumentParser) -> None:
    """Declare ``--boards``."""
    command.add_argument(
        "--boards", metavar="FILE", type=Path, help=f"boards of a desk by name (default: {FILE} of this folder, if any)"
    )


def read_desk(options: argparse.Namespace, registry: Registry) -> BoardMap:
    """Return the boards of the file that was named, or of this folder's if it has one.

    Raises:
        UsageError: the file cannot be used.
    """
    path = options.boards or Path(FILE)
    if options.boards is None and not path.is_file():
        return BoardMap()
    return read_board_map(path, registry.names())


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare all of them but the model, which is an option of one command and an argument of another."""
    command.add_argument(
        "--board", default="native", help="a kind of board, or one of tinyml-boards.toml (default: native)"
    )
    command.add_argument("--dataset", default="mnist-28k", help="default: mnist-28k")
    command.add_argument(
        "--preprocess", metavar="SPEC", help="scale:DIVISOR, l2axis1 or none (default: the model's card)"
    )
    command.add_argument("--task", help="classification or regression (default: the model's card, or classification)")
    command.add_argument(
        "--reference", help="what the board is compared with (default: tflm, or espdl for .espdl models)"
    )
    command.add_argument("--link", metavar="NAME", help="how samples travel (default: the board's first)")
    command.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="a setting of the board; may be repeated"
    )
    add_desk_option(command)
    device.add_options(command)


def make_plan(
    options: argparse.Namespace,
    registry: Registry,
    desk: BoardMap,
    *,
    limit: int | None = None,
    clock: str | None = None,
) -> Plan:
    """Look up what the command line names.

    Args:
        options: the command line.
        registry: of kinds of boards.
        desk: see `read_desk`.
        limit: number of samples, >= 1; None for all.
        clock: that the board is held to; None for its first.

    Raises:
        UsageError: with one message that says what is wrong and what would do.
    """
    from pytest_tinyml.campaign.plan import make_plans  # noqa: PLC0415 - not needed for a help text

    (plan,) = make_plans(
        registry,
        boards=[options.board],
        model=options.model,
        dataset=options.dataset,
        reference=options.reference,
        preprocess=options.preprocess,
        task=options.task,
        limit=limit,
        link=options.link,
        clock=clock,
        options=_pairs(options.option),
        device=device.given(options, [desk.kind(options.board, registry)]),
        desk=desk,
    )
    return plan


@contextmanager
def scratch() -> Iterator[Path]:
    """Have a folder for boards to work in; an error does not send anybody to the log that goes with it."""
    with tempfile.TemporaryDirectory(prefix="tinyml-") as folder:
        try:
            yield Path(folder)
        except BoardError as error:
            error.log_path = None  # what matters is in its tail
            raise


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        try:
            key, value = key_and_value(text)
        except ValueError as error:
            msg = f"--option: {text!r} {error}"
            raise UsageError(msg) from None
        pairs[key] = value
    return pairs
