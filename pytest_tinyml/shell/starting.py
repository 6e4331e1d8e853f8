"""What is looked up and checked when a session with a board starts, before anything is run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.plan import make_campaign, make_plan
from pytest_tinyml.errors import TinymlError, UsageError
from pytest_tinyml.report.results import check_folder

if TYPE_CHECKING:
    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.shell.options import Settings


def plan_session(config: pytest.Config, settings: Settings) -> tuple[Plan, Campaign]:
    """Make plan and campaign of a session.

    Raises:
        pytest.UsageError: with one message that says what is wrong and what would do.
    """
    registry = Registry()
    try:
        config.hook.pytest_tinyml_boards(registry=registry)
        plan = make_plan(
            registry,
            board=settings.board,
            model=settings.model,
            dataset=settings.dataset,
            reference=settings.reference,
            preprocess=settings.preprocess,
            limit=settings.limit,
            max_lsb=settings.max_lsb,
            link=settings.link,
            count=settings.count,
            options=_board_options(settings.option),
        )
        check_folder(settings.report)
        campaign = make_campaign(
            plan,
            journal=settings.journal,
            work_dir=settings.report / "logs",
            timeout_s=settings.timeout,
            fresh=settings.fresh,
        )
    except TinymlError as error:
        raise pytest.UsageError(str(error)) from error
    return plan, campaign


def suite_arguments(config: pytest.Config) -> list[str]:
    """Return what to collect when no paths were given: the ready-made suite, beside the user's own tests."""
    from pytest_tinyml import suite  # noqa: PLC0415 - only with a board

    folder = os.path.dirname(suite.__file__)  # noqa: PTH120 - an argument of pytest is text
    return [] if folder in config.args else [folder]


def _board_options(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    key, equals, value = text.partition("=")
    if not (key and equals):
        msg = f"--tinyml-option: {text!r} is not KEY=VALUE"
        raise UsageError(msg)
    return {key: value}
