"""``tinyml report``: make a run's reports again, from the journal alone."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from pytest_tinyml.stores.archive import Archive, RunRecord


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("report", help="make a run's reports again, from the journal alone")
    command.add_argument("run", nargs="?", help="number of a run in the journal (default: the last)")
    command.add_argument("--list", action="store_true", help="list the runs of the journal and do nothing else")
    command.add_argument("--compare", nargs=2, metavar=("A", "B"),
                         help="put two runs over the same data beside each other, B measured by A")  # fmt: skip
    command.add_argument("--journal", metavar="FILE", type=Path, default=Path(".tinyml/journal.sqlite"),
                         help="default: .tinyml/journal.sqlite")  # fmt: skip
    command.add_argument("--format", metavar="LIST", default="html",
                         help="kinds of reports with commas between them, or all (default: html)")  # fmt: skip
    command.add_argument("--output", metavar="DIR", type=Path, default=Path("tinyml-report"),
                         help="receives results.json and the reports (default: tinyml-report)")  # fmt: skip
    command.set_defaults(action=report)


def report(options: argparse.Namespace) -> int:
    """Write results.json and the reports of a run, and print their paths and the summary."""
    from pytest_tinyml.report.colour import painted, wants_colour  # noqa: PLC0415 - not to print a help text
    from pytest_tinyml.report.files import load_report, write_reports  # noqa: PLC0415
    from pytest_tinyml.report.formats import choose_formats  # noqa: PLC0415
    from pytest_tinyml.report.results import write_results  # noqa: PLC0415
    from pytest_tinyml.report.terminal import summary  # noqa: PLC0415
    from pytest_tinyml.stores.archive import Archive  # noqa: PLC0415
    from pytest_tinyml.stores.journal import Journal  # noqa: PLC0415

    formats = choose_formats(options.format)
    if not options.journal.is_file():
        msg = f"no journal {options.journal}: name the one of the run with --journal"
        raise UsageError(msg)
    with Journal(options.journal) as journal:
        archive = Archive(journal)
        if options.list:
            for run in archive.runs():
                print(_line(run, archive.answered(run)))
            return 0
        if options.compare:
            return _compare(archive, options)
        made = load_report(archive, options.run)
        written = [write_results(options.output, made.results), *write_reports(made, options.output, formats)]
    colour = wants_colour(sys.stdout)
    for line in summary(made.results):
        print(painted(line, colour=colour))
    for path in written:
        print(f"  written: {path}")
    return 0


def _compare(archive: Archive, options: argparse.Namespace) -> int:
    """Write the comparison of two runs, and print it."""
    from pytest_tinyml.report.comparison import compare_runs, comparison_lines  # noqa: PLC0415 - not for a help text
    from pytest_tinyml.report.files import load_report, write_file  # noqa: PLC0415
    from pytest_tinyml.report.html.compare import write_comparison  # noqa: PLC0415

    if options.run is not None:
        msg = f"--compare names the runs: leave out {options.run!r}"
        raise UsageError(msg)
    first, second = (load_report(archive, which) for which in options.compare)
    found = compare_runs(first, second)
    path = options.output / f"compare-{first.run.id}-{second.run.id}.html"
    write_file(path, lambda temporary: write_comparison(found, temporary))
    for line in comparison_lines(found):
        print(line)
    print(f"  written: {path}")
    return 0


def _line(run: RunRecord, answered: int) -> str:
    """Describe a run in a line."""
    from pytest_tinyml.report.terminal import verdict  # noqa: PLC0415

    # As in the reports: who reads a CI's journal is somewhere else.
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(run.started))
    known = run.verdict or run.facts
    model = f"model {run.key.model_sha256[:12]}" if known is None else known["model"]["name"]
    ended = "ended before its verdict" if run.verdict is None else verdict(run.verdict)
    if run.finished is None:
        ended += ", unfinished"
    return f"{run.id:>5}  {when}  {model} on {run.key.board}, {answered:,} of {run.key.samples:,}: {ended}"
