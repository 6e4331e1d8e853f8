"""The tables of the reference, made from the code: options, commands, keys of results.json."""

from __future__ import annotations

import argparse
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.cli import parser
from pytest_tinyml.shell.options import OPTIONS
from pytest_tinyml.verdict.gate import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_tinyml.shell.options import Option

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference"
MORE: Final = {
    "model": "[the zoo](models.md), [several](#several-models)",
    "dataset": "[data sets](datasets.md)",
    "task": "[what outputs mean](models.md#what-the-outputs-mean)",
    "reference": "[which reference](../explanation/which-reference.md)",
    "max-abs": "[why](../explanation/float-engine.md)",
    "flasher": "[NUCLEO-F446RE](../tutorial/nucleo-f446re.md)",
    "live": "[watching a run](../how-to/watch-a-run.md)",
    "host": "[boards in a network](../explanation/http-link.md)",
    "clock": "[clocks](#clocks)",
    "count": "[several boards](#several-boards)",
    "submit": "[how](../how-to/submit-to-kaggle.md)",
    "report": "[results.json](results.md)",
    "boards": "[tinyml-boards.toml](boards-toml.md)",
    "compare": "[choosing gates](../how-to/choosing-gates.md)",
    "fail-on": "[choosing gates](../how-to/choosing-gates.md)",
    "sequential": "[statistics](../explanation/statistics.md)",
    "explain": "[the culprit](../explanation/culprit.md)",
    "formats": "[reading a report](../how-to/reading-a-report.md)",
}
"""Pages behind an option, as soon as they are there."""
SESSION: Final = (
    (
        "`--board NAME[,NAME]`",
        (
            "run the tests that use a board on this one, or [on each of these](#several-boards): kinds of boards, ids "
            "or `tag:WORD` of [your own](boards-toml.md); without it they skip"
        ),
        "",
    ),
    ("`--tinyml-fresh`", "measure again what an interrupted run had measured", ""),
)
"""Options that are not values: `add_options` declares them itself."""
LINKS: Final = {
    "board.id": ("the user's file of boards", "boards-toml.md"),
    "statistics": ("How sure", "../explanation/statistics.md"),
    "sequential": ("The sequential test", "../explanation/statistics.md#early-stop"),
    "explanation": ("cause of a mismatch", "../explanation/culprit.md"),
    "reference.resolution": ("it prints numbers", "../explanation/mlperf.md"),
}
"""Words of a key's description that lead to a page; the schema itself is in the package, where there are no pages."""
MANY: Final = "any number, one a line"
_DEFAULT: Final = re.compile(r"\s*\((?:the )?default: (.*)\)$|^default: (.*)$")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def cell(text: str) -> str:
    """Return text that stands in a cell as it is: asterisks and bars are no markup there."""
    return text.replace("*", r"\*").replace("|", r"\|")


def options() -> str:
    """Return the table of the plugin's options."""
    rows = [(f"`{_spelled(option)}`", *_meaning(option)) for option in OPTIONS]
    return table(("option", "meaning", "default"), [SESSION[0], *rows, SESSION[1]])


def ini_keys() -> str:
    """Return the table of the ini keys."""
    rows = [(f"`{option.key}`", f"`{option.flag}`", MANY if option.many else "one") for option in OPTIONS]
    return table(("ini key", "is the default of", "values"), [("`tinyml_board`", "`--board`", MANY), *rows])


def _spelled(option: Option) -> str:
    if option.metavar is None:
        return option.flag
    return f"{option.flag} {option.metavar if option.bare is None else f'[{option.metavar}]'}"


def _meaning(option: Option) -> tuple[str, str]:
    """Return what an option does, with the page behind it, and its default."""
    text, default = _split(option.help)
    link = MORE.get(option.name, "")
    pages = [page for page in re.findall(r"\]\(([^)#]+)", link) if not (REFERENCE / page).exists()]
    more = f" ({link})" if link and not pages else ""
    known = option.default if not isinstance(option.default, tuple) else ", ".join(option.default)
    if isinstance(known, float):
        known = f"{known:g}"
    return cell(text) + more, default or ("" if known in {None, "", False} else f"`{known}`")


def _split(help_text: str) -> tuple[str, str]:
    """Return a help text without its default, and that."""
    found = _DEFAULT.search(help_text)
    if found is None:
        return help_text, ""
    return help_text[: found.start()], cell(found[1] or found[2])


def metrics() -> str:
    """Return the table of what gates can be set on."""
    rows = [
        (
            f"`{metric.name}`",
            cell(metric.meaning),
            metric.worse,
            ", ".join(f"`{metric.name}:1{unit}`" for unit in metric.units),
            metric.value(metric.floor) if metric.percent else "",
        )
        for metric in METRICS.values()
    ]
    return table(("metric", "what it is", "worse is", "limits", "a percentage counts above"), rows)


def commands() -> str:
    """Return a section for each command of ``tinyml``."""
    return "\n\n".join(_sections(parser(), "tinyml"))


def _sections(command: argparse.ArgumentParser, name: str) -> Iterator[str]:
    """Yield the sections of a command's own commands, in their order."""
    for action in command._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for word, chosen in action.choices.items():
            title = f"{name} {word}"
            if any(isinstance(inner, argparse._SubParsersAction) for inner in chosen._actions):
                yield from _sections(chosen, title)
            else:
                yield f"## {title}\n\n{_sentence(helps[word])}\n\n{_arguments(chosen)}".rstrip()


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _arguments(command: argparse.ArgumentParser) -> str:
    """Return the table of a command's arguments, the required ones first; empty if it has none."""
    actions = [action for action in command._actions if not isinstance(action, argparse._HelpAction)]
    ordered = sorted(actions, key=lambda action: not (action.required or not action.option_strings))
    rows = []
    for action in ordered:
        text, default = _split(action.help or "")
        if action.choices is not None and not action.option_strings:
            text += f": {_one_of(action)}"
        if action.required and action.option_strings:
            default = "required"
        rows.append((f"`{_argument(action)}`", cell(text), default or _known(action.default)))
    return table(("argument", "meaning", "default"), rows) if rows else ""


def _argument(action: argparse.Action) -> str:
    """Return an argument as it is written on the command line."""
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    value = cell(value if isinstance(value, str) else " ".join(value))
    if not action.option_strings:
        many = "..." if action.nargs in {"*", "+"} else ""
        return f"[{value}]{many}" if action.nargs in {"?", "*"} else f"{value}{many}"
    flags = ", ".join(action.option_strings)
    if action.nargs == 0:
        return flags
    return f"{flags} [{value}]" if action.nargs == "?" else f"{flags} {value}"


def _one_of(action: argparse.Action) -> str:
    return ", ".join(f"`{choice}`" for choice in action.choices or ())


def _known(default: object) -> str:
    """Return a default that the help text does not say."""
    return "" if default in (None, False, argparse.SUPPRESS) or default == [] else f"`{default}`"


def results() -> str:
    """Return the table of the keys of results.json: one row per key, in the schema's order."""
    text = (files("pytest_tinyml") / "report" / "results.schema.json").read_text("utf-8")
    rows: dict[str, tuple[str, str]] = {}
    for key, value in _keys(json.loads(text)):
        words, page = LINKS.get(key, ("", ""))
        assert "description" in value, f"{key} has no description in results.schema.json"
        said = cell(value["description"])
        assert "](" not in said, f"{key}: a link belongs into LINKS"
        assert words in said, f"{key}: LINKS has other words than results.schema.json"
        rows.setdefault(key, (_types(value), said.replace(words, f"[{words}]({page})") if words else said))
    return table(("key", "type", "meaning"), [(f"`{key}`", *row) for key, row in rows.items()])


def _keys(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all keys of a schema, dotted; ``[]`` stands for the members of a list."""
    for key, value in schema.get("properties", {}).items():
        yield f"{prefix}{key}", value
        yield from _keys(value, f"{prefix}{key}.")
        yield from _keys(value.get("items", {}), f"{prefix}{key}[].")
        for choice in value.get("oneOf", ()):
            yield from _keys(choice, f"{prefix}{key}.")


def _types(value: dict[str, Any]) -> str:
    """Return the JSON types of a key in words."""
    if "const" in value and "type" not in value:
        return "string"
    listed = value.get("type", [choice.get("type", "object") for choice in value.get("oneOf", ())])
    names = [listed] if isinstance(listed, str) else listed
    return " or ".join(sorted(dict.fromkeys(names), key=lambda name: name == "null"))
