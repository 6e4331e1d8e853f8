"""Every command in the documentation can be typed, and is, on a small project, unless it needs what CI has not."""

from __future__ import annotations

import argparse
import re
import shutil
from contextlib import chdir, redirect_stderr
from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from pytest_tinyml.boards.registry import Registry, registered
from pytest_tinyml.cli import main, parser
from pytest_tinyml.errors import UnknownNameError
from pytest_tinyml.shell.options import OPTIONS
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.models import load_model
from tests.docs.snippets import PAGES, ROOT, Command, commands, in_block
from tests.presence import lacking

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.projects import Project

SAMPLES: Final = 40
_README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
EMBEDDED: Final = frozenset(
    f"--{name}"
    for name in (
        *("app-path", "build-dir", "skip-autoflash", "erase-all", "erase-nvs", "esp-flash-force", "esptool-baud"),
        *("part-tool", "port", "port-location", "port-mac", "port-serial-number", "baud"),
    )
)
"""Options of pytest-embedded, which is no part of this environment (tox run -e twin has it)."""
CONSOLE: Final = frozenset(
    word
    for path in [*ROOT.glob("firmware/apps/**/*.c"), *ROOT.glob("firmware/console/*.c")]
    for word in re.findall(r'^    \{"(\w+)", \d', path.read_text("utf-8"), re.MULTILINE)
)
"""What boards understand on their own console, behind the same word."""
ELSEWHERE: Final = {
    r"--espdl\b|\bs3\b|\bs3-|\.espdl\b": "needs pytest-tinyml[espdl]: tests/espdl, tests/systems",
    r"--tflite\b|^tinyml models train": "needs pytest-tinyml[train]: tests/training",
    r"^tinyml data fetch": "asks a package registry: tests/training",
    r"^tinyml submit|--tinyml-submit\b": "asks Kaggle: tests/kaggle",
    r"^tinyml stedgeai": "needs ST's tool: tests/stedgeai",
    r"^tinyml capacity": "links a dozen of firmwares: tests/boards/test_capacity.py",
    r"^tinyml doctor": "tries every board: tests/unit/test_doctor.py",
    r"^tinyml fit (?!.*--board)": "links a firmware for every board: tests/boards/test_capacity.py",
    r"^pytest --board native$": "is a job of its own: tox run -e demo",
    r"--port\b|--board tag:": "a board at a desk: tests/hil",
    r"^pytest (?!.*--board)": "runs no board: a test of this repository, by its own job",
}
"""Commands that are not run here, and what runs the like."""
SYSTEMS: Final = frozenset(
    str(command) for command in in_block("README.md", _README.partition("## Five systems")[2].partition("\n## ")[0])
)
LOOK_BACK: Final = frozenset({"report", "baselines"})
"""Commands of tinyml that want runs to look back on."""
ALL: Final = commands()


def unique(wanted: Sequence[Command]) -> list[Any]:
    """Return each command once, named by it and its first page."""
    first = {str(command): command for command in reversed(wanted)}
    return [pytest.param(command, id=f"{command.page}: {text}") for text, command in reversed(first.items())]


def obstacle(command: Command) -> str | None:
    """Return why a command is not run here; None if it is."""
    found = next((reason for words, reason in ELSEWHERE.items() if re.search(words, str(command))), None)
    if found is not None:
        return found
    if str(command) in SYSTEMS:
        return "one of the five systems: tests/systems"
    registry = registered(Registry())
    for name in boards(command):
        try:
            kind = registry.get(name)
        except UnknownNameError:
            return f"board {name!r} is named in the page's own tinyml-boards.toml"
        if kind.hardware or not getattr(kind, "verifiable", True) or name.startswith("esp32"):
            return f"board {name!r} is at a desk"
    return None


def boards(command: Command) -> list[str]:
    """Return the boards that a command names."""
    found = re.findall(r"--board[= ](\S+)", str(command))
    return [name for text in found for name in text.split(",")]


def complete(command: Command) -> bool:
    """Return whether a command can be typed as it stands; in a sentence some are only mentioned."""
    if not command.whole or command.alone:
        return command.whole
    if command.words[0] == "pytest":
        return True
    try:
        with redirect_stderr(StringIO()):
            parser().parse_args(command.words[1:])
    except SystemExit:
        return False
    return True


def together() -> list[Any]:
    """Return what can be run here: the commands of one block in their order, each such list once."""
    listed: dict[tuple[str, int], list[Command]] = {}
    for command in ALL:
        if complete(command) and obstacle(command) is None:
            listed.setdefault((command.page, command.place), []).append(command)
    first = {tuple(map(str, run)): run for run in reversed(listed.values())}
    return [pytest.param(run, id=f"{run[0].page}: {run[0]}") for run in reversed(first.values())]


@pytest.mark.parametrize("command", unique(ALL))
def test_command_exists(command: Command, request: pytest.FixtureRequest) -> None:
    """Every command, also one in a sentence, has a name and options that exist, and values that are taken."""
    if command.words[0] == "pytest":
        _check_pytest(command, request.config)
    elif command.words[1] not in CONSOLE:
        _check_tinyml(command)


def _check_pytest(command: Command, config: pytest.Config) -> None:
    words = [word.strip("[]") for word in command.words[1:]]
    flags = {name for option in config._parser._anonymous.options for name in option.names()}
    flags |= {name for group in config._parser._groups for option in group.options for name in option.names()}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert set() == given - flags - EMBEDDED
    if not (command.whole and command.alone):
        return
    values = {option.flag: option for option in OPTIONS}
    for flag, value in _pairs(words):
        if flag in values:
            values[flag].parse(value)


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return options with their values, however they are written."""
    joined = [tuple(word.split("=", 1)) for word in words if word.startswith("--") and "=" in word]
    return [(a, b) for a, b in [*joined, *pairwise(words)] if not b.startswith("--")]


def _check_tinyml(command: Command) -> None:
    words = [word.strip("[]") for word in command.words[1:]]
    if command.whole and command.alone:
        parser().parse_args(words)
        return
    chosen = parser()
    while (below := _commands_of(chosen)) and words:
        assert words[0] in below
        chosen = below[words.pop(0)]
    flags = {flag for action in chosen._actions for flag in action.option_strings}
    assert set() == {word.partition("=")[0] for word in words if word.startswith("--")} - flags


def _commands_of(chosen: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = [action for action in chosen._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_exist(page: Path) -> None:
    """Every ``--tinyml-...`` and ``tinyml_...`` key on a page is an option."""
    text = page.read_text(encoding="utf-8")
    known = {"--tinyml-fresh", *(option.flag for option in OPTIONS)}
    assert set() == set(re.findall(r"--tinyml-[a-z0-9-]*[a-z0-9]", text)) - known - {"--tinyml-name"}
    keys = {"tinyml_board", *(option.key for option in OPTIONS)}
    assert set() == set(re.findall(r"^(tinyml_\w+) *=", text, re.MULTILINE)) - keys


@pytest.mark.parametrize("block", together())
def test_commands_run(block: list[Command], project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """Commands end as their page says, and what `tinyml convert` prints is what stands under it."""
    for command in block:
        _run(command, project, capfd)


def _run(command: Command, project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    for name in boards(command):
        missing = registered(Registry()).get(name).missing()
        if missing:
            lacking(f"board {name}: {missing[0]}")
    _files(command, project.path)
    if command.words[0] == "pytest":
        expected = pytest.ExitCode.TESTS_FAILED if "fault=" in str(command) else pytest.ExitCode.OK
        done = project.run(*command.words[1:], f"--tinyml-limit={SAMPLES}")
        assert expected == done.ret, f"{done.stdout}\n{done.stderr}"
        return
    if command.words[1] in LOOK_BACK:
        for model in ("s1-ptq", "s1-qat"):
            project.run("--board=native", f"--tinyml-model={model}", f"--tinyml-limit={SAMPLES}", "--tinyml-save=main")
    with chdir(project.path):
        assert 0 == main(list(command.words[1:]))
    printed = capfd.readouterr().out
    if command.words[1] == "convert" and command.printed:
        assert [line for line in command.printed if line] == printed.splitlines()


def _files(command: Command, folder: Path) -> None:
    """Write what a command reads: digits and a network for them, or photographs of two kinds."""
    data = load_dataset("mnist-28k")
    assert data.labels is not None
    for before, word in pairwise(command.words):
        if before == "--out":
            continue
        if word.endswith(".tflite"):
            shutil.copy(load_model("s0-ptq").path, folder / word)
        elif word.endswith(".npz"):
            np.savez(folder / word, images=data.images[:SAMPLES], labels=data.labels[:SAMPLES])
        elif word.partition("#")[0] == "photos":
            from PIL import Image

            for number, image in enumerate(data.images[:12]):
                path = folder / "photos" / ("female", "male")[number % 2] / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)


def test_somebody_runs_the_others() -> None:
    """What is given as the reason why a command is not run here names tests that exist."""
    named = [path for reason in ELSEWHERE.values() for path in re.findall(r"tests/[\w/.]+", reason)]
    assert [] == [path for path in named if not (ROOT / path).exists()]
