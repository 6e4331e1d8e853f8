"""The summary of a session with several boards or models: a column per run, then what each has to say for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.report.colour import Line, Tone
from pytest_tinyml.report.statistics import sequential_lines
from pytest_tinyml.report.terminal import (
    cross_check_lines,
    flip_lines,
    held_gates,
    remarks,
    share_lines,
    verdict,
    wrong,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ABSENT: Final = "-"


def _bytes(key: str) -> Callable[[dict[str, Any]], str]:
    def cell(results: dict[str, Any]) -> str:
        value = results["memory"][key]
        # 0 is what a board says that does not know.
        return f"{value:,} B" if value else _ABSENT

    return cell


def _ratio(key: str) -> Callable[[dict[str, Any]], str]:
    def cell(results: dict[str, Any]) -> str:
        value = results["metrics"][key]
        return _ABSENT if value is None else f"{value:.2%}"

    return cell


def _rmse(side: str) -> Callable[[dict[str, Any]], str]:
    def cell(results: dict[str, Any]) -> str:
        fits = results["metrics"]["regression"]
        return _ABSENT if fits is None else f"{fits[side]['rmse']:.6g}"

    return cell


def _flips(results: dict[str, Any]) -> str:
    metrics = results["metrics"]
    return _ABSENT if metrics["argmax_agreement"] is None else f"{len(metrics['flips']):,}"


def _latency(results: dict[str, Any]) -> str:
    latency = results["latency"]
    if latency["p50"] is None:
        return _ABSENT
    if latency["unit"] == "instructions":
        return f"{latency['p50']:,.0f} instr."
    return f"{latency['p50']:,.1f} us{'' if latency['gated'] else '*'}"


def _rate(results: dict[str, Any]) -> str:
    rate = results["throughput"]["samples_per_s"]
    return _ABSENT if rate is None else f"{rate:,.0f}"


_OF_REGRESSIONS: Final = frozenset({"RMSE", "RMSE, host"})
_ROWS: Final[tuple[tuple[str, Callable[[dict[str, Any]], str]], ...]] = (
    ("verdict", verdict),
    ("engine", lambda results: str(results["board"]["engine"])),
    ("link", lambda results: str(results["board"]["link"])),
    ("samples", lambda results: f"{results['metrics']['count']:,}"),
    ("top-1", _ratio("top1_board")),
    ("top-1, host", _ratio("top1_reference")),
    ("agreement", _ratio("argmax_agreement")),
    ("label flips", _flips),
    ("RMSE", _rmse("board")),
    ("RMSE, host", _rmse("reference")),
    ("bit-exact", _ratio("bit_exact_ratio")),
    ("latency p50", _latency),
    ("clock", lambda results: results["latency"]["clock"] or _ABSENT),
    ("arena", _bytes("arena_bytes")),
    ("flash", _bytes("flash_bytes")),
    ("static RAM", _bytes("ram_bytes")),
    ("samples/s", _rate),
)


def comparison(found: Sequence[dict[str, Any]]) -> list[Line]:
    """Return the terminal summary for the results of several runs (docs/reference/results.md)."""
    first = found[0]
    reference = first["reference"]
    models = list(dict.fromkeys(results["model"]["name"] for results in found))
    names = _names(found)
    head = f"{', '.join(models)}, {first['dataset']['count']:,} of {first['dataset']['name']}"
    lines = [Line(f"{head}, against {reference['name']} {reference['version']}")]
    lines += _of_each(names, found, wrong)
    rows = [("", names)] + [
        (label, [cell(results) for results in found]) for label, cell in _ROWS
        if label not in _OF_REGRESSIONS or any(results["metrics"]["regression"] for results in found)
    ]  # fmt: skip
    lines += [Line(text) for text in _table(rows)]
    if first["model"]["task"] == "classification" and not first["dataset"]["labelled"]:
        lines.append(
            Line(f"  {first['dataset']['name']} has no labels: the host's predictions stand in for them", Tone.NOTE)
        )
    if any(_latency(results).endswith("*") for results in found):
        lines.append(Line("  * wall clock of this computer: shown, never gated"))
    lines += _of_each(names, found, lambda results: _remarks(results, several_models=len(models) > 1))
    if len(models) > 1:
        return lines
    # The host's runtimes and the preprocessing are the same for all; who was done last knows the most.
    return lines + [Line(f"  {line}") for line in cross_check_lines(found[-1]["reference"])]


def _of_each(
    names: Sequence[str], found: Sequence[dict[str, Any]], say: Callable[[dict[str, Any]], list[Line]]
) -> Iterator[Line]:
    for name, results in zip(names, found, strict=True):
        for line in say(results):
            yield Line(f"  {name}: {line.text.strip()}", line.tone)


def _remarks(results: dict[str, Any], *, several_models: bool) -> list[Line]:
    said = flip_lines(results["metrics"]) if results["metrics"]["compared"] else []
    said += sequential_lines(results)
    said += share_lines(results["boards"])
    resumed = results["throughput"]["resumed_samples"]
    if resumed:
        said.append(f"{resumed:,} samples are from an earlier session")
    lines = [*held_gates(results), *(Line(line) for line in said)]
    lines += [Line(line, Tone.NOTE) for line in remarks(results)]
    return lines + ([Line(line) for line in cross_check_lines(results["reference"])] if several_models else [])


def _names(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return what tells the runs apart: board, model, or both."""
    both = [(results["board"]["id"] or results["board"]["name"], results["model"]["name"]) for results in found]
    if len({model for _, model in both}) == 1:
        return [board for board, _ in both]
    return [model if len({board for board, _ in both}) == 1 else f"{board}-{model}" for board, model in both]


def _table(rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Align rows of a label and cells: labels to the left, cells to the left of their columns."""
    labels = max(len(label) for label, _ in rows)
    widths = [max(len(cells[k]) for _, cells in rows) for k in range(len(rows[0][1]))]
    lines = []
    for label, cells in rows:
        text = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(f"  {label.ljust(labels)}  {text}".rstrip())
    return lines
