"""The comparison of two runs as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.report.comparison import pairs, sentence
from pytest_tinyml.report.html.digest import Digest
from pytest_tinyml.report.html.numbers import count, figure, percent, points
from pytest_tinyml.report.html.page import cards, confusion, environment, ranges, write_page
from pytest_tinyml.report.html.plots import scatter_plots
from pytest_tinyml.report.html.summary import Tile, class_rows, state_of

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.report.comparison import Finding, RunComparison

_WORDS: Final[dict[Finding, tuple[str, str]]] = {
    "regression": ("failed", "Regression"),
    "improvement": ("passed", "Improvement"),
    "noise": ("even", "No change in accuracy shown"),
    "same": ("passed", "The same outputs"),
    "different": ("even", "Different outputs"),
}


def write_comparison(found: RunComparison, path: Path) -> None:
    """Write the page; raises OSError."""
    write_page(comparison_html(found), path)


def comparison_html(found: RunComparison) -> str:
    """Return the page."""
    first, second, numbers = found.first, found.second, found.metrics
    pictures = first.archive.pictures(first.run) | second.archive.pictures(second.run)
    classes = first.results["model"]["task"] != "regression"
    digest = Digest(found.tensor, samples=numbers["compared"], classes=classes, wanted=pictures)
    for pair in pairs(first, second, found.tensor):
        digest.add(pair.second, pair.first, pair.truth, pair.ids)
    # As a report has it, with the first run in the host's place.
    results = second.results | {"metrics": numbers, "statistics": found.statistics}
    results["model"] = results["model"] | {"output": {"dtype": found.tensor.dtype}}
    names = (f"run {first.run.id}", f"run {second.run.id}")
    matrices = confusion(results, digest, names)
    if matrices is not None and len(matrices["all"]) > 1:
        # In the order of time.
        matrices["all"][:2] = matrices["all"][1::-1]
    state, word = _WORDS[found.finding]
    context = {
        "found": found,
        "results": results,
        "names": names,
        "state": state,
        "word": word,
        "sentence": sentence(found),
        "unfinished": [one.run.id for one in (first, second) if state_of(one.results) == "unfinished"],
        "tiles": _tiles(numbers),
        "matrices": matrices,
        "scatter": scatter_plots(digest, targets=numbers["regression"] is not None),
        "flips": cards(results, digest.flips, pictures),
        "changed": cards(results, digest.changed, pictures),
        "ranges": ranges(digest),
        "class_rows": class_rows(results),
    }
    return environment().get_template("compare.html.j2").render(context)


def _tiles(numbers: dict[str, Any]) -> list[Tile]:
    tiles = []
    if numbers["top1_board"] is not None:
        change = points(numbers["top1_board"] - numbers["top1_reference"])
        now, before = percent(numbers["top1_board"]), percent(numbers["top1_reference"])
        tiles.append(Tile(name="Top-1", value=now, note=f"before {before}: {change}"))
    if numbers["regression"] is not None:
        sides = numbers["regression"]
        note = f"before {figure(sides['reference']['rmse'])}"
        tiles.append(Tile(name="RMSE", value=figure(sides["board"]["rmse"]), note=note))
    if numbers["argmax_agreement"] is not None:
        note = f"{count(len(numbers['flips']))} of {count(numbers['compared'])} differ"
        tiles.append(Tile(name="Same class", value=percent(numbers["argmax_agreement"]), note=note))
    exact, most = numbers["bit_exact_ratio"], numbers["max_lsb"]
    note = f"max {most} LSB" if most is not None else f"max {figure(numbers['max_abs'])}"
    return [*tiles, Tile(name="Same outputs", value=percent(exact), note=note)]
