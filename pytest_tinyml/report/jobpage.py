"""The page of a GitHub job: what a step appends to the file that ``GITHUB_STEP_SUMMARY`` names is shown there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.report.markdown import LIMIT, markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VARIABLE: Final = "GITHUB_STEP_SUMMARY"


def add_to_job_page(found: Iterable[dict[str, Any]], environment: Mapping[str, str]) -> str | None:
    """Append runs to the page, as many as fit beside what the step has written already.

    Args:
        found: the results of each.
        environment: of the process.

    Returns:
        What went wrong, in a line; None if nothing did, or there is no such page.
    """
    name = environment.get(VARIABLE)
    if not name:
        return None
    cut = 0
    try:
        with Path(name).open("ab") as file:
            for results in found:
                text = markdown(results, LIMIT - file.tell())
                cut += text != markdown(results)
                file.write(text.encode())
    except OSError as error:
        return f"cannot append to {VARIABLE}, {name}: {error.strerror}"
    return f"{VARIABLE}: {cut} of the runs are not whole there, as GitHub shows 1 MiB of a step" if cut else None
