"""The kinds of reports that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import UsageError
from pytest_tinyml.report.base import Format

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_tinyml.report.base import Report, Writer


def _csv() -> Writer:
    from pytest_tinyml.report.csvfile import write_csv  # noqa: PLC0415 - as `Format.writer` says

    return write_csv


def _html() -> Writer:
    from pytest_tinyml.report.html.page import write_html  # noqa: PLC0415

    return write_html


def _junit() -> Writer:
    from pytest_tinyml.report.junit import junit_xml  # noqa: PLC0415
    from pytest_tinyml.report.shards import shards  # noqa: PLC0415

    def write(report: Report, path: Path) -> None:
        path.write_bytes(junit_xml(report.results, shards(report.results, report.archive, report.run)))

    return write


def _markdown() -> Writer:
    from pytest_tinyml.report.markdown import markdown  # noqa: PLC0415

    def write(report: Report, path: Path) -> None:
        path.write_text(markdown(report.results), encoding="utf-8")

    return write


def _openmetrics() -> Writer:
    from pytest_tinyml.report.openmetrics import openmetrics  # noqa: PLC0415

    def write(report: Report, path: Path) -> None:
        path.write_text(openmetrics(report.results), encoding="utf-8")

    return write


FORMATS: Final[tuple[Format, ...]] = (
    Format(name="html", file="report.html", help="figures and pictures, in one file", writer=_html),
    Format(name="csv", file="predictions.csv", help="every sample, the board beside the host", writer=_csv),
    Format(name="junit", file="junit.xml", help="JUnit XML: verdict, gates and shards", writer=_junit),
    Format(name="markdown", file="summary.md", help="a page for GitHub and the like", writer=_markdown),
    Format(name="openmetrics", file="metrics.txt", help="figures for GitLab and Prometheus", writer=_openmetrics),
)
NONE: Final = "none"


def choose_formats(text: str) -> tuple[Format, ...]:
    """Return the formats of a list with commas between them; ``none`` and ``all`` are what they say.

    Raises:
        UsageError: there is no such format.
    """
    if text == NONE:
        return ()
    if text == "all":
        return FORMATS
    chosen = []
    for name in (part.strip() for part in text.split(",")):
        found = next((one for one in FORMATS if one.name == name), None)
        if found is None:
            msg = f"no report format named {name!r}; known: {_names(FORMATS)}, all, {NONE}"
            raise UsageError(msg)
        chosen.append(found)
    return tuple(dict.fromkeys(chosen))


def _names(formats: Sequence[Format]) -> str:
    return ", ".join(one.name for one in formats)
