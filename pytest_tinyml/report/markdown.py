"""A run as Markdown, e.g. for the page of a GitHub job: short, and never more than fits there.

What comes from elsewhere (names, messages, a crashing board's last words) stands in code spans, where nothing of it is
markup, a link, a mention or the number of an issue.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.report.explanation import explanation_lines
from pytest_tinyml.report.operators import operator_lines
from pytest_tinyml.report.terminal import other_problems, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LIMIT: Final = 1 << 20
"""Bytes that GitHub shows of a step's summary; of a longer one, nothing."""
_PROBLEMS: Final = 10
_FLIPS: Final = 10
_GATES: Final = 50
_LONGEST: Final = 600
"""Characters of one message."""
_MARKS: Final = {"passed": "✅", "FAILED": "❌", "INCOMPLETE": "⚠️", "failed": "❌", "skipped": "⚠️"}


def markdown(results: dict[str, Any], limit: int = LIMIT) -> str:
    """Return the report for `results` (docs/reference/results.md).

    Args:
        results: of a run.
        limit: bytes of UTF-8 that it may have; the last sections are left out if it has more, and that is said.

    Returns:
        A text that ends with a newline; empty if not even the verdict fits.
    """
    left_out = "\n_The rest did not fit here: see the report's files._\n"
    room = limit - len(left_out.encode())
    text = ""
    for section in _sections(results):
        if len((text + section).encode(errors="replace")) > room:
            return text + left_out if text else ""
        text += section
    return text.encode(errors="replace").decode()


def code(text: str) -> str:
    """Return a code span that shows `text` on one line, whatever is in it."""
    plain = " ".join(text.split()) or "-"
    if len(plain) > _LONGEST:
        plain = plain[:_LONGEST] + " ..."
    # Longer than any run of backticks within, https://spec.commonmark.org/0.31.2/#code-spans.
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    space = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{space}{plain}{space}{fence}"


def _sections(results: dict[str, Any]) -> Iterator[str]:
    """Yield the parts, what matters most first."""
    yield _head(results)
    yield from _table_of("Gates", ("gate", "", "what was found"), _gates(results))
    problems = other_problems(results)
    if problems:
        listed = [code(problem) for problem in problems[:_PROBLEMS]]
        listed += [f"and {len(problems) - _PROBLEMS:,} more"] if len(problems) > _PROBLEMS else []
        yield "\n#### Problems\n\n" + "".join(f"- {line}\n" for line in listed)
    explanation = results.get("explanation")
    if explanation:
        said = [code(line.removeprefix("cause: ")) for line in explanation_lines(results)]
        yield f"\n#### Cause: {code(explanation['cause'])}\n\n" + "".join(f"- {line}\n" for line in said)
    if slower := operator_lines(results):
        yield "\n#### Slower operators\n\n" + "".join(f"- {code(line)}\n" for line in slower)
    yield from _table_of("Figures", ("", "board", "host"), _figures(results))
    yield from _table_of("Label flips", ("sample", "host", "board", "label"), _flips(results))
    yield from _table_of("The board", ("", ""), _board(results))


def _head(results: dict[str, Any]) -> str:
    board, model, data = results["board"], results["model"], results["dataset"]
    word = verdict(results)
    where = f"{code(model['name'])} on {code(board['id'] or board['name'])}"
    answered = f"{results['metrics']['count']:,} of {data['count']:,} samples of {code(data['name'])}"
    against = f"against {code(' '.join((results['reference']['name'], results['reference']['version'])))}"
    return f"\n### {_MARKS[word]} {word}: {where}\n\n{answered}, {against}.\n"


def _table_of(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table with a title; nothing if it has no rows."""
    bar = "\\|"
    # A bar ends the cell in a code span, too: https://github.github.com/gfm/#example-200.
    lines = [f"| {' | '.join(cell.replace('|', bar) for cell in row)} |\n" for row in rows]
    if lines:
        yield f"\n#### {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n{''.join(lines)}"


def _gates(results: dict[str, Any]) -> Iterator[Sequence[str]]:
    gates = results.get("gates") or []
    # The failed ones first; otherwise as they were given.
    ordered = sorted(gates, key=lambda gate: gate["status"] != "failed")
    for gate in ordered[:_GATES]:
        name = code(f"{gate['metric']}:{gate['limit']}")
        yield name, f"{_MARKS[gate['status']]} {gate['status']}", code(gate["text"])
    if len(gates) > _GATES:
        yield f"and {len(gates) - _GATES:,} more", "", ""


def _figures(results: dict[str, Any]) -> Iterator[Sequence[str]]:
    metrics, statistics = results["metrics"], results.get("statistics") or {}
    if metrics["top1_board"] is not None:
        host = _ratio(metrics["top1_reference"], statistics.get("top1_reference"))
        yield "top-1", _ratio(metrics["top1_board"], statistics.get("top1_board")), host
    if metrics["regression"] is not None:
        fits = metrics["regression"]
        yield "RMSE", _figure(fits["board"]["rmse"]), _figure(fits["reference"]["rmse"])
    if metrics["argmax_agreement"] is not None:
        yield "agreement", _ratio(metrics["argmax_agreement"], statistics.get("agreement")), ""
        yield "label flips", f"{len(metrics['flips']):,}", ""
    if metrics["bit_exact_ratio"] is not None:
        yield "bit-exact", f"{metrics['bit_exact_ratio']:.2%}", ""
        size = f"{_figure(metrics['max_abs'])}" if metrics["max_lsb"] is None else f"{metrics['max_lsb']} LSB"
        yield "largest difference", size, ""
    latency, memory = results["latency"], results["memory"]
    if latency["p50"] is not None:
        digits = 0 if latency["unit"] == "instructions" else 1
        whose = "" if latency["gated"] else ", clock of this computer"
        yield "latency, median", f"{latency['p50']:,.{digits}f} {latency['unit']}{whose}", ""
    for name, key in (("arena", "arena_bytes"), ("flash", "flash_bytes"), ("static RAM", "ram_bytes")):
        if memory[key]:
            yield name, f"{memory[key]:,} B", ""
    rate = results["throughput"]["samples_per_s"]
    if rate:
        yield "throughput", f"{rate:,.0f} samples/s", ""


def _flips(results: dict[str, Any]) -> Iterator[Sequence[str]]:
    flips = results["metrics"]["flip_details"]
    for flip in flips[:_FLIPS]:
        label = "" if flip["label"] is None else str(flip["label"])
        yield code(f"#{flip['id']}"), str(flip["reference"]), str(flip["board"]), label
    if len(flips) > _FLIPS:
        yield f"and {len(flips) - _FLIPS:,} more", "", "", ""


def _board(results: dict[str, Any]) -> Iterator[Sequence[str]]:
    board, git = results["board"], results.get("git")
    for name, value in (("chip", board["chip"]), ("engine", board["engine"]), ("link", board["link"])):
        if value:
            yield name, code(value)
    if git is not None:
        where = f" on {code(git['branch'])}" if git["branch"] else ""
        yield "commit", f"{code(git['commit'][:12])}{where}{', with changes' if git['dirty'] else ''}"
    yield "model", code(f"sha256 {results['model']['sha256'][:12]}")
    if results["faults"]:
        yield "faults survived", f"{len(results['faults']):,}"
    yield "pytest-tinyml", code(results["pytest_tinyml"])


def _ratio(value: float | None, interval: dict[str, float] | None) -> str:
    if value is None:
        return "-"
    if not interval:
        return f"{value:.2%}"
    return f"{value:.2%} ({interval['low']:.2%} to {interval['high']:.2%})"


def _figure(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.6g}"
