"""The command ``tinyml``: the machinery of the plugin, by hand."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from pytest_tinyml import __version__
from pytest_tinyml.cli import (
    baselines,
    boards,
    capacity,
    convert,
    data,
    doctor,
    explain,
    fit,
    models,
    predict,
    report,
    samples,
    stedgeai,
    submit,
)
from pytest_tinyml.errors import TinymlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="tinyml", description="Neural networks on microcontrollers: the tools of pytest-tinyml."
    )
    top.add_argument("--version", action="version", version=f"pytest-tinyml {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for module in (
        *(boards, doctor, models, data, convert, fit, capacity, stedgeai, predict, samples, baselines, report, explain),
        submit,
    ):
        module.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, 1 if a board, a tool or a check failed, 2 if the request was wrong."""
    options = parser().parse_args(arguments)
    try:
        status: int | None = options.action(options)
        sys.stdout.flush()
    except UsageError as error:
        print(f"tinyml: {error}", file=sys.stderr)
        return EXIT_USAGE
    except TinymlError as error:
        print(f"tinyml: {error}", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough. What is still buffered goes nowhere, as the note on SIGPIPE
        # in the documentation of Python's module signal advises.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    else:
        return status or 0
    return 0
