"""What is looked up and checked when a session with a board starts, before anything is run."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pytest_tinyml.boards.boardmap import FILE, BoardMap, read_board_map
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.plan import make_campaign, make_plans
from pytest_tinyml.errors import TinymlError, UsageError
from pytest_tinyml.report.formats import choose_formats
from pytest_tinyml.report.results import check_folder
from pytest_tinyml.shell.device import device_options
from pytest_tinyml.shell.early import check_sequential
from pytest_tinyml.shell.regression import check_baselines
from pytest_tinyml.shell.submitting import check_request
from pytest_tinyml.shell.talk import Talk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_tinyml.boards.base import BoardKind
    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.shell.options import Settings

PERFORMANCE: Final = "performance"
"""The option of boards with a performance mode."""
INSTRUCTIONS: Final = "instructions"
LIMIT_US, LIMIT_COUNT = "--tinyml-max-latency", "--tinyml-max-instructions"


def plan_session(config: pytest.Config, settings: Settings) -> list[tuple[str, Plan, Campaign, Path, Talk]]:
    """Make name, plan, campaign, report folder and voice of each run of a session: of each model on each kind of board.

    Raises:
        pytest.UsageError: with one message that says what is wrong and what would do.
    """
    registry = Registry()
    made: list[tuple[str, Plan, Campaign, Path, Talk]] = []
    try:
        choose_formats(settings.formats)
        config.hook.pytest_tinyml_boards(registry=registry)
        desk = _desk(config, settings, registry)
        boards = desk.expand(settings.boards)
        plans: list[Plan] = []
        for model in settings.models:
            plans += make_plans(
                registry,
                boards=boards,
                desk=desk,
                model=model,
                dataset=plans[0].dataset if plans else settings.dataset,
                reference=settings.reference,
                preprocess=settings.preprocess,
                limit=settings.limit,
                max_lsb=settings.max_lsb,
                max_abs=settings.max_abs,
                task=settings.task,
                link=settings.link,
                clock=_clock(settings, [desk.kind(name, registry) for name in boards]),
                count=settings.count,
                options=settings.option,
                host=settings.host,
                device=device_options(config) | ({"flasher": settings.flasher} if settings.flasher else {}),
            )
        # All models of a board one after the other: between them it need not be another one's turn.
        plans.sort(key=lambda plan: boards.index(plan.name))
        names = run_names(plans)
        for plan in plans:
            check_limits(plan, settings)
            check_task(plan, settings)
            check_sequential(plan, settings)
        check_baselines(plans, settings)
        check_request(plans, names, settings, online=not config.option.collectonly)
        for name, plan in zip(names, plans, strict=True):
            folder = settings.report if len(plans) == 1 else settings.report / name
            check_folder(folder)
            talk = Talk(config, "" if len(plans) == 1 else name)
            told = replace(plan, say=talk.say)
            campaign = make_campaign(
                told,
                journal=settings.journal,
                work_dir=folder / "logs",
                timeout_s=settings.timeout,
                fresh=settings.fresh,
            )
            made.append((name, told, campaign, folder, talk))
    except TinymlError as error:
        for _, _, campaign, *_ in made:
            campaign.close_journal()
        raise pytest.UsageError(str(error)) from error
    return made


def run_names(plans: Sequence[Plan]) -> list[str]:
    """Return what tells the runs of a session apart: board, model, or both; of a single run, its board.

    Raises:
        UsageError: two models have one name.
    """
    boards = {plan.name for plan in plans}
    models = {plan.model.name for plan in plans}
    both = [(plan.name, plan.model.name) for plan in plans]
    twice = next((pair for pair in both if both.count(pair) > 1), None)
    if twice is not None:
        msg = f"--tinyml-model: two models are called {twice[1]!r}; rename one, so that they can be told apart"
        raise UsageError(msg)
    if len(models) == 1:
        return [board for board, _ in both]
    return [model if len(boards) == 1 else f"{board}-{model}" for board, model in both]


def _desk(config: pytest.Config, settings: Settings, registry: Registry) -> BoardMap:
    """Read the file of boards that was named, or the project's if it has one."""
    folder = config.invocation_params.dir if config.inipath is None else config.rootpath
    path = settings.boards_file or folder / FILE
    if settings.boards_file is None and not path.is_file():
        return BoardMap()
    return read_board_map(path, registry.names())


def _clock(settings: Settings, kinds: Sequence[BoardKind]) -> str | None:
    """Return the clock that boards are held to.

    A limit of instructions asks for a clock that counts them where that is the boards' own anyway, so that a board
    whose clock is not what its kind says is refused, and the limit is not skipped.
    """
    if settings.clock is None and settings.max_instructions is not None:
        return INSTRUCTIONS if all(kind.clocks[0] == INSTRUCTIONS for kind in kinds) else None
    return settings.clock


def check_limits(plan: Plan, settings: Settings) -> None:
    """Refuse a limit in a unit that the board's clock does not have.

    Raises:
        UsageError: with the limit in the other unit, or the clock that would do.
    """
    name, counts = plan.name, plan.expected_clock
    if settings.max_latency is not None and counts == INSTRUCTIONS:
        msg = f"{LIMIT_US} is in microseconds, but board {name!r} counts instructions: use {LIMIT_COUNT} N"
        raise UsageError(msg)
    if settings.max_instructions is not None and counts != INSTRUCTIONS:
        msg = f"{LIMIT_COUNT} needs a clock that counts instructions, but that of board {name!r} is {counts}: "
        if INSTRUCTIONS in plan.kind.clocks:
            msg += f"add --tinyml-clock {INSTRUCTIONS}"
        else:
            msg += f"this board has no other (tinyml boards lists clocks); {LIMIT_US} limits the time of real parts"
        raise UsageError(msg)


def check_task(plan: Plan, settings: Settings) -> None:
    """Refuse a limit of classes for a regression, and the other way round, and a board that has nothing but classes.

    Raises:
        UsageError: with the limit that there is for it.
    """
    regression = plan.model.task == "regression"
    if regression and plan.tolerance.labels_only:
        msg = f"board {plan.kind.name!r} answers with labels, but model {plan.model.name!r} is a regression"
        raise UsageError(msg)
    wrong, right = ("--tinyml-min-top1", "--tinyml-max-rmse")[:: 1 if regression else -1]
    if (settings.min_top1 if regression else settings.max_rmse) is not None:
        msg = f"{wrong} is not for model {plan.model.name!r}, whose task is {plan.model.task}: use {right}"
        raise UsageError(msg)


def suite_arguments(config: pytest.Config) -> list[str]:
    """Return what to collect when no paths were given: the ready-made suite, beside the user's own tests."""
    folder = _suite_folder()
    return [] if folder in config.args else [folder]


def suite_file(name: str) -> str:
    """Return a file of the suite that pytest, by its name, collects only when it is asked for; e.g. ``submission``."""
    return os.path.join(_suite_folder(), f"{name}.py")  # noqa: PTH118 - an argument of pytest is text


def extra_files(settings: Settings) -> list[str]:
    """Return the files whose tests are collected because an option asks for them, in the order of their turns."""
    asked = {
        "sequential": settings.sequential is not None,
        "performance": PERFORMANCE in settings.option,
        "regression": settings.compare is not None,
        "submission": settings.submit is not None,
    }
    return [suite_file(name) for name, wanted in asked.items() if wanted]


def _suite_folder() -> str:
    from pytest_tinyml import suite  # noqa: PLC0415 - only with a board

    return os.path.dirname(suite.__file__)  # noqa: PTH120 - see above
