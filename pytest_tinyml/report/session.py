"""The reports at the end of a campaign, while its data are still at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tinyml.campaign.keeping import keep_pictures
from pytest_tinyml.report.base import Report
from pytest_tinyml.report.files import write_reports
from pytest_tinyml.stores.archive import Archive, RunRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.report.base import Format


def write_all(campaign: Campaign, results: dict[str, Any], folder: Path, formats: Sequence[Format]) -> list[Path]:
    """Keep what remarkable samples look like, and write the reports; see `write_reports`.

    Args:
        campaign: over, or given up; its journal is still open.
        results: what results.json holds.
        folder: receives the reports.
        formats: which.
    """
    archive = Archive(campaign.journal)
    run = RunRecord.never_begun(results)
    if campaign.started_at is not None:
        keep_pictures(campaign)
        run = archive.find(campaign.run.id)
    return write_reports(Report(results=results, archive=archive, run=run), folder, formats)
