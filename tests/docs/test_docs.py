"""The documentation is true: examples run, links lead somewhere, and no option is missing."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.cli import parser
from pytest_tinyml.shell.portoptions import PORT_OPTIONS
from tests.docs.snippets import PAGES, ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.projects import Project

_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


def examples() -> Iterator[Any]:
    """Yield every Python example with its page and number."""
    for page in PAGES:
        for number, block in enumerate(text for language, text in blocks(page) if language == "python"):
            yield pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    """Every relative link of a page names a file of the repository."""
    links = _LINK.findall(page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert [] == broken


@pytest.mark.parametrize("code", list(examples()))
def test_example(code: str, project: Project) -> None:
    """Every example runs: tests on the native board, anything else as a program whose hook is called."""
    pytester = project.pytester
    if "def test_" in code:
        path = pytester.makepyfile(code)
        done = project.run("--board", "native", "--tinyml-model", "s1-ptq", "--tinyml-limit", "500", str(path))
        assert 0 == done.ret
        assert 0 == done.parseoutcomes().get("skipped", 0)
        return
    if "def pytest_tinyml_boards" in code:
        code += (
            "\n\nfrom pytest_tinyml.boards.registry import Registry\n"
            "registry = Registry()\npytest_tinyml_boards(registry)\nassert registry.get('my-board').missing() == []\n"
        )
    if "def pytest_tinyml_results" in code:
        code += '\n\nresults = {"extra": {}}\npytest_tinyml_results(None, results)\nassert results["extra"]\n'
    assert 0 == pytester.runpython(pytester.makepyfile(example=code)).ret


def test_options_are_documented(request: pytest.FixtureRequest) -> None:
    """The table of options has every option that the plugin declares, wherever it does so, and no other."""
    page = (ROOT / "docs/reference/plugin.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- generated from the code: options .*?<!-- end of options -->", page, re.DOTALL)
    group = request.config._parser.getgroup("tinyml")
    declared = {name for option in group.options for name in option.names()}
    assert {name for name in declared if name not in PORT_OPTIONS} == set(
        re.findall(r"^\| `(--[\w-]+)", table, re.MULTILINE)
    )


def test_commands_are_documented() -> None:
    """Every command of tinyml is named in the README or in the documentation."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    actions = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert [] == [name for name in actions.choices if f"tinyml {name}" not in text]


def test_ci_runs_the_readme() -> None:
    """CI takes the test command from the README's second block."""
    blocks = re.findall(
        r"^```sh\n(.*?)\n```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert ["pytest --board native", "tox run -e tests"] == [block.rpartition("/bin/")[2] for block in blocks]
