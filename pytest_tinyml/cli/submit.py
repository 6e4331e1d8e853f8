"""``tinyml submit``: submit a run of the journal to Kaggle, or ask for the score of one that was submitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    import argparse

TIMEOUT_S: Final = 120.0


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("submit", help="submit a run of the journal to Kaggle (needs pytest-tinyml[kaggle])")
    command.add_argument("competition", help="digit-recognizer")
    command.add_argument("--run", metavar="ID", type=int, help="number of a run in the journal (default: the last)")
    command.add_argument("--journal", metavar="FILE", type=Path, default=Path(".tinyml/journal.sqlite"),
                         help="default: .tinyml/journal.sqlite")  # fmt: skip
    command.add_argument("--out", metavar="FILE", type=Path, help="the file (default: COMPETITION-runID.csv)")
    command.add_argument("--dry-run", action="store_true", help="write and check the file only")
    command.add_argument("--timeout", metavar="S", type=float, default=TIMEOUT_S,
                         help=f"longest wait for the upload, and for the score (default: {TIMEOUT_S:g} s)")  # fmt: skip
    command.set_defaults(action=submit)


def submit(options: argparse.Namespace) -> int:
    """Submit a run that was not, and print what Kaggle says; returns 1 if it could not score it, else 0."""
    from pytest_tinyml.campaign import submission as case  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.kaggle.competitions import get_competition  # noqa: PLC0415
    from pytest_tinyml.report.submission import submission_lines  # noqa: PLC0415
    from pytest_tinyml.stores.journal import Journal  # noqa: PLC0415
    from pytest_tinyml.stores.submissions import State, load_run  # noqa: PLC0415

    competition = get_competition(options.competition)
    if not options.timeout > 0:
        msg = f"--timeout {options.timeout:g}: must be a positive number of seconds"
        raise UsageError(msg)
    if not options.journal.is_file():
        msg = f"no journal {options.journal}: name the one of the run with --journal"
        raise UsageError(msg)
    with Journal(options.journal) as journal:
        run = load_run(journal, options.run)
        results = run.results
        path = options.out or Path(f"{competition.name}-run{run.id}.csv")
        data, board = results["dataset"], results["board"]
        print(f"run {run.id}: {results['model']['name']} on {board['name']}, {data['count']:,} of {data['name']}")
        if options.dry_run:
            case.write_predictions(run, competition, path)
            print(f"{path}: {competition.count:,} predictions, as {competition.name} takes them; not submitted")
            return 0
        known = case.submit(
            journal, run, competition, path=path, timeout_s=options.timeout, say=lambda text: print(text, flush=True)
        )
    for line in submission_lines(results | {"submission": case.facts(competition, results, known, file=str(path))}):
        print(line)
    return 1 if known.state is State.FAILED else 0
