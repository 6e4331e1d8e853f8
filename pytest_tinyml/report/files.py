"""Write a run's reports, from the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tinyml.errors import ReportError
from pytest_tinyml.report.base import Report
from pytest_tinyml.report.view import results_of
from pytest_tinyml.stores.wholefile import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_tinyml.report.base import Format
    from pytest_tinyml.stores.archive import Archive


def load_report(archive: Archive, which: str | int | None = None) -> Report:
    """Return what reports of a run are made from; `which` as for `Archive.find`.

    Raises:
        UsageError: there is no such run.
        JournalError: the journal cannot be read, or holds too little of the run.
    """
    run = archive.find(which)
    return Report(results=results_of(archive, run), archive=archive, run=run)


def write_reports(report: Report, folder: Path, formats: Sequence[Format]) -> list[Path]:
    """Write reports, each whole or not at all, and return their paths.

    Raises:
        ReportError: a file cannot be written; those before it are there.
        JournalError: the journal cannot be read.
    """
    return [write_report(report, folder / one.file, one) for one in formats]


def write_report(report: Report, path: Path, form: Format) -> Path:
    """Write one report; see `write_reports`."""
    return write_file(path, lambda temporary: form.writer()(report, temporary))


def write_file(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file whole or not at all, and return its path.

    Args:
        path: in a folder that is made if need be.
        write: writes to the path that it is given, or raises OSError.

    Raises:
        ReportError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, write)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}; every result is safe in the journal"
        raise ReportError(msg) from error
    return path
