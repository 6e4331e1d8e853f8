"""Puts the report together: results and samples in, one page out."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.report.baseline import figures
from pytest_tinyml.report.html import numbers
from pytest_tinyml.report.html.digest import Digest, Durations, output_of
from pytest_tinyml.report.html.matrices import matrices, paired_matrix, written_out
from pytest_tinyml.report.html.pictures import data_uri, matrix_uri
from pytest_tinyml.report.html.plots import latency_plot, pace_plot, scatter_plots, trend_plots
from pytest_tinyml.report.html.summary import (
    WORDS,
    class_name,
    class_rows,
    gate_rows,
    problems,
    sentence,
    state_of,
    tiles,
    unfinished,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2

    from pytest_tinyml.report.base import Report
    from pytest_tinyml.report.html.digest import Shown
    from pytest_tinyml.report.html.plots import Plot

_TEMPLATES: Final = Path(__file__).parent / "templates"
_BARS: Final = 10
"""Score bars of a sample: of more classes, those with the highest."""
_MARKED_FAULTS: Final = 12
_CONTROL: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One output of a sample: its name, both values in words, and both bars in percent."""

    name: str
    host: str
    board: str
    host_width: float
    board_width: float
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A sample in the gallery; `picture` is an address with the image in it, or None."""

    id: int
    picture: str | None
    label: str | None
    host: str | None
    board: str | None
    difference: str
    bars: list[Bar]
    left_out: int


@cache
def environment() -> jinja2.Environment:
    """Return the templates; whatever is put into them is escaped."""
    import jinja2  # noqa: PLC0415 - takes a tenth of a second

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("count", "percent", "points", "figure", "size", "duration", "moment", "short", "probability"):
        made.filters[name] = getattr(numbers, name)
    made.filters["json"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    made.globals["matrix_uri"] = matrix_uri
    made.globals["css"] = _TEMPLATES.joinpath("style.css").read_text(encoding="utf-8")
    return made


def write_html(report: Report, path: Path) -> None:
    """Write the report; raises OSError."""
    write_page(html(report), path)


def write_page(page: str, path: Path) -> None:
    """Write a page; what is no character, e.g. in a broken file name, becomes a question mark."""
    path.write_text(page, encoding="utf-8", errors="replace")


def _printable(value: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    """Take control characters out of what a board or a file may have said."""
    return value.translate(_CONTROL) if type(value) is str else value


def html(report: Report) -> str:
    """Return the page."""
    results, archive, run = report.results, report.archive, report.run
    pictures = archive.pictures(run)
    classes = results["model"]["task"] != "regression"
    digest = Digest(
        output_of(results),
        samples=results["metrics"]["count"],
        classes=classes,
        wanted=pictures,
        news=(results.get("baseline") or {}).get("flips_new") or (),
    )
    durations = Durations(results)
    for chunk in archive.chunks(run):
        durations.add(chunk.ticks)
        if (both := chunk.compared).any():
            truth = None if chunk.truth is None else chunk.truth[both]
            digest.add(chunk.board[both], chunk.reference[both], truth, chunk.ids[both])
    state, histogram = state_of(results), durations.histogram()
    context = {
        "results": results,
        "run": run,
        "state": state,
        "word": WORDS[state],
        "sentence": sentence(results),
        "unfinished": unfinished(results),
        "problems": problems(results),
        "tiles": tiles(results),
        "matrices": confusion(results, digest, ("host", "board")),
        "scatter": scatter_plots(digest, targets=results["metrics"]["regression"] is not None),
        **_galleries(results, digest, pictures),
        "ranges": ranges(digest),
        "gates": gate_rows(results),
        "latency_plot": None if histogram is None else latency_plot(histogram, results["latency"]),
        "latency_slower": 0 if histogram is None else histogram.slower,
        "class_rows": class_rows(results),
        "memories": _memories(results["memory"]),
        "pace": _pace(results, archive.progress(run), run.started),
        "trend": trend_plots((results.get("baseline") or {}).get("history") or (), figures(results)),
        "faults": Counter((one["board"], one["kind"]) for one in results["faults"]).most_common(),
    }
    return environment().get_template("report.html.j2").render(context)


def _galleries(results: dict[str, Any], digest: Digest, pictures: dict[int, Any]) -> dict[str, list[Card]]:
    """Return the galleries by name; a sample is shown once, in the first that it belongs to."""
    found: dict[str, list[Card]] = {}
    seen: set[int] = set()
    for name in ("news", "flips", "changed", "wrong"):
        rest = [one for one in getattr(digest, name) if one.id not in seen]
        found[name] = cards(results, rest, pictures)
        seen |= {one.id for one in rest}
    return found


def cards(results: dict[str, Any], samples: Sequence[Shown], pictures: dict[int, Any]) -> list[Card]:
    """Return samples as they are shown, with the pictures that there are."""
    quantised = results["model"]["output"]["dtype"] != "float32"
    return [
        Card(
            id=one.id,
            picture=data_uri(pictures[one.id]) if one.id in pictures else None,
            label=None if one.label is None else class_name(results, one.label),
            host=None if one.host is None else class_name(results, one.host),
            board=None if one.board is None else class_name(results, one.board),
            difference=f"{one.difference:,.0f} LSB" if quantised else numbers.figure(one.difference, 3),
            bars=_bars(results, one),
            left_out=max(0, len(one.host_scores) - _BARS),
        )
        for one in samples
    ]


def _bars(results: dict[str, Any], one: Shown) -> list[Bar]:
    pairs = list(zip(one.host_scores.tolist(), one.board_scores.tolist(), strict=True))
    finite = [value for pair in pairs for value in pair if math.isfinite(value)]
    # Probabilities are shown from 0 to 1, other values from the lowest to the highest.
    low, high = min([0.0, *finite]), max([*finite, 1e-9])
    shares = low == 0.0 and high <= 1.0
    high = 1.0 if shares else high
    chosen = sorted(range(len(pairs)), key=lambda k: -max((v for v in pairs[k] if math.isfinite(v)), default=low))[
        :_BARS
    ]
    classes = results["model"]["task"] != "regression"

    def text(value: float) -> str:
        return f"{value:.3f}" if shares and math.isfinite(value) else numbers.figure(value, 3)

    def width(value: float) -> float:
        return 100.0 * (value - low) / (high - low) if math.isfinite(value) else 0.0

    return [
        Bar(
            name=class_name(results, k) if classes and len(pairs) > 1 else f"output {k}",
            host=text(pairs[k][0]),
            board=text(pairs[k][1]),
            host_width=width(pairs[k][0]),
            board_width=width(pairs[k][1]),
            changed=pairs[k][0] != pairs[k][1],
        )
        for k in sorted(chosen)
    ]


def confusion(results: dict[str, Any], digest: Digest, names: tuple[str, str]) -> dict[str, Any] | None:
    """Return what the template takes for confusion matrices; None if there are no classes, or too many.

    Args:
        results: its ``metrics``, and ``dataset`` for the names of classes.
        digest: of the same samples.
        names: of what is called reference in `results`, and of the other.
    """
    metrics = results["metrics"]
    if metrics["confusion_board"] is not None:
        found = matrices(metrics["confusion_reference"], metrics["confusion_board"], names)
    elif digest.host_to_board is not None:
        found = [paired_matrix(digest.host_to_board, names)]
    else:
        return None
    classes = len(found[0].rows)
    classes_named = [class_name(results, number) for number in range(classes)]
    return {"all": found, "names": classes_named, "numbers": written_out(classes)}


def ranges(digest: Digest) -> list[tuple[str, int, float]]:
    """Return by how much samples differ: words, count, and the length of a bar by the logarithm of the count."""
    found = digest.ranges()
    most = math.log10(max(number for _, number in found) + 1) or 1.0
    return [(name, number, 100.0 * math.log10(number + 1) / most) for name, number in found]


def _pace(results: dict[str, Any], progress: Sequence[tuple[float, int]], started: float) -> Plot | None:
    # Exact only for a run of one session: later ones begin after a pause that the time of streaming leaves out.
    if results["throughput"]["resumed_samples"]:
        return pace_plot(progress)
    faults = [(one["at"] - started, one["kind"]) for one in results["faults"][:_MARKED_FAULTS]]
    return pace_plot(progress, faults)


def _memories(memory: dict[str, Any]) -> list[tuple[str, int, int, float]]:
    """Return what is taken of each memory: name, bytes used, bytes there are (0: not known), percent."""
    rows = []
    if memory["arena_bytes"]:
        rows.append(("Working memory of the engine", memory["arena_bytes"], memory["arena_capacity_bytes"] or 0))
    rows += [(one["name"], one["used"], one["size"]) for one in memory["memories"] if one["size"]]
    if memory["stack_bytes"] and memory["stack_unused_bytes"] is not None:
        rows.append(("Stack", memory["stack_bytes"] - memory["stack_unused_bytes"], memory["stack_bytes"]))
    if not memory["memories"]:
        sums = (("Flash", memory["flash_bytes"]), ("Static RAM", memory["ram_bytes"]))
        rows += [(name, value, 0) for name, value in sums if value]
    return [(name, used, all_, min(100.0, 100.0 * used / all_) if all_ else 0.0) for name, used, all_ in rows]
