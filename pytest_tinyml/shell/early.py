"""``--tinyml-sequential``: what it does not go with, and the early stop of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.campaign.early import EarlyStop, Partner
from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.shell.options import Settings
    from pytest_tinyml.shell.regression import Regression

_FLAG: Final = "--tinyml-sequential"


def check_sequential(plan: Plan, settings: Settings) -> None:
    """Refuse an early stop where every sample is needed, or where there is no class to be right about.

    Raises:
        UsageError: with what to leave out.
    """
    if settings.sequential is None:
        return
    if plan.model.task == "regression":
        msg = f"{_FLAG} is not for model {plan.model.name!r}, whose task is regression: it counts right classes"
        raise UsageError(msg)
    whole = {
        "--tinyml-submit": settings.submit is not None,
        "--tinyml-save": settings.save is not None,
        "--tinyml-option performance": "performance" in settings.option,
    }
    for flag, given in whole.items():
        if given:
            msg = f"{flag} does not go with {_FLAG}: it needs every sample, and the run may end before"
            raise UsageError(msg)


def early_stop(settings: Settings, campaign: Campaign, regression: Regression) -> EarlyStop | None:
    """Return the early stop of a run that is about to start; None if it was not asked for.

    The partner is the baseline, if the run is compared with one, or else the host.
    """
    if settings.sequential is None:
        return None
    before = regression.before
    if regression.baseline is None or before is None:
        partner = Partner(kind="host", name=campaign.reference.name)
    else:
        partner = Partner(kind="baseline", name=regression.baseline.label, classes=before)
    return EarlyStop(
        settings.sequential,
        partner,
        samples=campaign.settings.samples,
        labels=campaign.dataset.labels,
        output=campaign.model.output,
    )
