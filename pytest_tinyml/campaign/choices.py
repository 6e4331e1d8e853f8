"""From names on a command line to records: a model with its preprocessing, a kind of board that can be used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_tinyml.boards.base import missing_for
from pytest_tinyml.errors import UnknownNameError, UsageError
from pytest_tinyml.records import TASKS, PreprocessSpec
from pytest_tinyml.stores.models import load_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.boards.base import BoardKind
    from pytest_tinyml.boards.registry import Registry
    from pytest_tinyml.records import Model, Task


def parse_preprocess(text: str) -> PreprocessSpec:
    """Parse ``scale:DIVISOR`` (pixel / DIVISOR), ``l2axis1`` or ``none``.

    Raises:
        UsageError: neither.
    """
    kind, _, argument = text.partition(":")
    try:
        if kind == "scale":
            divisor = float(argument or 255)
            # Also false for NaN.
            if 0.0 < abs(divisor) < float("inf"):
                return PreprocessSpec(kind="scale", scale=1.0 / divisor)
        if kind in {"l2axis1", "none"} and not argument:
            return PreprocessSpec(kind="l2axis1" if kind == "l2axis1" else "none")
    except ValueError:
        pass
    msg = f"--tinyml-preprocess: {text!r} is not scale:DIVISOR (e.g. scale:255), l2axis1 or none"
    raise UsageError(msg)


def usable_kind(registry: Registry, name: str, device: Mapping[str, str] | None = None) -> BoardKind:
    """Return a kind of board that this computer can use; `device` as in `BoardRequest`.

    Raises:
        UnknownNameError: there is none of that name.
        UsageError: something that it needs is missing.
    """
    kind = registry.get(name)
    require(kind, device or {})
    return kind


def require(kind: BoardKind, device: Mapping[str, str]) -> None:
    """Refuse a kind of board that this computer cannot use; `device` as in `BoardRequest`.

    Raises:
        UsageError: something that it needs is missing.
    """
    missing = missing_for(kind, device)
    if missing:
        lines = "\n".join(f"  {item.what}: {item.install}" for item in missing)
        msg = f"board {kind.name!r} cannot be used on this computer; it needs\n{lines}"
        raise UsageError(msg)


def parse_task(text: str) -> Task:
    """Parse what a model's outputs mean.

    Raises:
        UnknownNameError: no such task.
    """
    for task in TASKS:
        if text == task:
            return task
    raise UnknownNameError("task", text, TASKS)


def choose_model(name: str, preprocess: str | None, task: str | None = None) -> Model:
    """Load a model, with the preprocessing and the task that were asked for or else its card's."""
    model = load_model(name)
    if task is not None:
        model = replace(model, task=parse_task(task))
    return model if preprocess is None else replace(model, preprocess=parse_preprocess(preprocess))


def check_choices(kind: BoardKind, *, link: str | None, clock: str | None, options: Mapping[str, str]) -> None:
    """Refuse what this kind of board does not have.

    Raises:
        UnknownNameError: with the board's name, and what it has.
    """
    wanted = [("link", link, kind.links), ("clock", clock, kind.clocks)]
    for what, name, known in (*wanted, *(("option", name, tuple(kind.options)) for name in options)):
        if name is not None and name not in known:
            noun = f"{what} of board {kind.name!r}"
            raise UnknownNameError(noun, name, known)
