"""What every report is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.stores.archive import Archive, RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run, as its reports see it.

    Attributes:
        results: what results.json holds (docs/reference/results.md), from the journal alone.
        archive: where its samples are.
        run: which it is.
    """

    results: dict[str, Any]
    archive: Archive
    run: RunRecord


class Writer(Protocol):
    """Writes a report, or raises OSError."""

    def __call__(self, report: Report, path: Path) -> None:
        """Write it, in the place of an earlier one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of report.

    Attributes:
        name: in ``--tinyml-formats`` and ``tinyml report --format``.
        file: name of the file in the report folder.
        help: what it is, in a few words.
        writer: returns what writes it; the import of what that needs is put off until then.
    """

    name: str
    file: str
    help: str
    writer: Callable[[], Writer]
