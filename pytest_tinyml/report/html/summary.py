"""What stands on top of the report: the verdict in a word and a sentence, and the figures that matter most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pytest_tinyml.report.html.numbers import ABSENT, count, duration, figure, percent, points, probability, size
from pytest_tinyml.verdict.stats import CONFIDENCE, wilson

State = Literal["passed", "failed", "unfinished"]
WORDS: Final[dict[State, str]] = {"passed": "Passed", "failed": "Failed", "unfinished": "Unfinished"}
_INCOMPLETE: Final = "incomplete:"
_PROBLEMS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A figure with its name and a remark; `good` is None where neither good nor bad is meant."""

    name: str
    value: str
    note: str = ""
    good: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """A class of the data set: places of the interval are percent of the width between the table's bounds."""

    name: str
    count: int
    board: str
    host: str
    change: str
    interval: str
    left: float
    width: float
    board_at: float
    host_at: float
    finding: str
    worse: bool


def state_of(results: dict[str, Any]) -> State:
    """Return the verdict; what failed beside being unfinished has failed."""
    problems = results["problems"]
    if problems and all(problem.startswith(_INCOMPLETE) for problem in problems):
        return "unfinished"
    return "passed" if results["passed"] else "failed"


def problems(results: dict[str, Any]) -> tuple[list[str], list[str], str]:
    """Return what is wrong: what the data show first, then the rest, and what to call the rest."""
    wrong = [problem for problem in results["problems"] if problem != unfinished(results)]
    tests = [problem for problem in wrong if problem.startswith("test_")]
    data = [problem for problem in wrong if not problem.startswith("test_")]
    if not data:
        return tests[:_PROBLEMS], tests[_PROBLEMS:], f"{len(tests) - _PROBLEMS:,} more"
    if len(data) > _PROBLEMS:
        return data[:_PROBLEMS], data[_PROBLEMS:] + tests, f"{len(wrong) - _PROBLEMS:,} more"
    return data, tests, f"{len(tests):,} test{'' if len(tests) == 1 else 's'} failed"


def unfinished(results: dict[str, Any]) -> str:
    """Return how far a run came that did not come to its end, or nothing."""
    return next((problem for problem in results["problems"] if problem.startswith(_INCOMPLETE)), "")


def sentence(results: dict[str, Any]) -> str:
    """Return what the verdict is about."""
    board, model, data, metrics = results["board"], results["model"], results["dataset"], results["metrics"]
    chip = f" ({board['chip']})" if board["chip"] else ""
    samples = f"{count(metrics['count'])} of {count(data['count'])} samples of {data['name']}"
    reference = results["reference"]
    return (
        f"{model['name']} on {board['id'] or board['name']}{chip}, {samples}, "
        f"beside {reference['name']} {reference['version']} on the host."
    )


def tiles(results: dict[str, Any]) -> list[Tile]:
    """Return the figures of the first screen, the most important first."""
    metrics = results["metrics"]
    found = _quality(metrics, results["dataset"]) if metrics["compared"] else []
    found += _speed(results["latency"], results["throughput"])
    memory = results["memory"]
    if memory["arena_bytes"]:
        flash = f"flash {size(memory['flash_bytes'])}" if memory["flash_bytes"] else ""
        found.append(Tile(name="Working memory", value=size(memory["arena_bytes"]), note=flash))
    return found


def _quality(metrics: dict[str, Any], data: dict[str, Any]) -> list[Tile]:
    found = []
    fits = metrics["regression"]
    if metrics["top1_board"] is not None:
        interval = wilson(metrics["correct_board"], metrics["compared"])
        found.append(
            Tile(
                name="Top-1 on the board",
                value=percent(metrics["top1_board"]),
                note=f"{percent(interval.low)} to {percent(interval.high)}, at {CONFIDENCE * 100:.0f} % confidence",
            )
        )
        found.append(Tile(name="Top-1 on the host", value=percent(metrics["top1_reference"]), note=_beside(metrics)))
    if fits is not None:
        for name, key in (("RMSE", "rmse"), ("Largest error", "max_error"), ("R²", "r2")):
            note = f"host {figure(fits['reference'][key])}"
            found.append(Tile(name=f"{name} on the board", value=figure(fits["board"][key]), note=note))
    if metrics["argmax_agreement"] is not None:
        flips = len(metrics["flips"])
        note = f"{count(flips)} label flip{'' if flips == 1 else 's'} in {count(metrics['compared'])}"
        note += "" if data["labelled"] else "; there are no labels"
        value = percent(metrics["argmax_agreement"])
        found.append(Tile(name="Same class as the host", value=value, note=note, good=not flips))
    if metrics["bit_exact_ratio"] is not None:
        most = (
            f"max {metrics['max_lsb']} LSB" if metrics["max_lsb"] is not None else f"max {figure(metrics['max_abs'])}"
        )
        exact = metrics["bit_exact_ratio"]
        found.append(Tile(name="Same bytes as the host", value=percent(exact), note=most))
    return found


def _beside(metrics: dict[str, Any]) -> str:
    """Say how many more or less the board has right than the host."""
    more = metrics["correct_board"] - metrics["correct_reference"]
    if not more:
        return f"{count(metrics['correct_board'])} right on both"
    change = points(metrics["top1_board"] - metrics["top1_reference"])
    return f"the board has {abs(more):,} {'more' if more > 0 else 'fewer'} right, {change}"


def _speed(latency: dict[str, Any], throughput: dict[str, Any]) -> list[Tile]:
    found = []
    if latency["p50"] is not None:
        instructions = latency["unit"] == "instructions"
        value = count(latency["p50"]) if instructions else f"{figure(latency['p50'])} µs"
        note = f"p99 {count(latency['p99']) if instructions else figure(latency['p99'])}"
        note += "" if latency["gated"] else "; this computer's clock, never gated"
        name = "Instructions, median" if instructions else "Latency, median"
        found.append(Tile(name=name, value=value, note=note))
    if throughput["samples_per_s"]:
        value = f"{figure(throughput['samples_per_s'])} /s"
        found.append(Tile(name="Samples per second", value=value, note=f"{duration(throughput['wall_s'])} in all"))
    return found


def class_rows(results: dict[str, Any]) -> tuple[list[ClassRow], float]:
    """Return a row per class with its interval, and the share at the left end of the intervals' axis (its end is 1)."""
    board, host = results["metrics"]["confusion_board"], results["metrics"]["confusion_reference"]
    if board is None or host is None:
        return [], 0.0
    tests = {one["class"]: one for one in (results.get("statistics") or {}).get("per_class") or ()}
    known = [number for number, row in enumerate(board) if sum(row)]
    intervals = {number: wilson(board[number][number], sum(board[number])) for number in known}
    shares = {number: host[number][number] / sum(host[number]) for number in known if sum(host[number])}
    lowest = min([*(one.low for one in intervals.values()), *shares.values()], default=0.0)
    low = max(0.0, lowest - 0.05 * (1.0 - lowest) - 1e-3)
    scale = 100.0 / (1.0 - low)
    rows = []
    for number in known:
        one, share = intervals[number], shares[number]
        test = tests.get(number)
        significant = bool(test and test["significant"])
        rows.append(
            ClassRow(
                name=class_name(results, number),
                count=sum(board[number]),
                board=percent(one.value),
                host=percent(share),
                change=points(one.value - share),
                interval=f"{percent(one.low)} to {percent(one.high)}",
                left=(one.low - low) * scale,
                width=(one.high - one.low) * scale,
                board_at=(one.value - low) * scale,
                host_at=(share - low) * scale,
                finding=_finding(test),
                worse=significant and one.value < share,
            )
        )
    return rows, low


def _finding(test: dict[str, Any] | None) -> str:
    """Say on how many samples of a class board and host differ in being right, and whether that can be chance."""
    if test is None:
        return ABSENT
    if not test["better"] and not test["worse"]:
        return "none"
    sure = f", {probability(test['p_adjusted'])}" if test["significant"] else ": noise"
    return f"{test['worse']:,} worse, {test['better']:,} better{sure}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """A gate in words."""

    status: str
    metric: str
    limit: str
    baseline: str
    now: str
    change: str
    text: str


def gate_rows(results: dict[str, Any]) -> list[GateRow]:
    """Return the gates, those that failed first."""
    order = ("failed", "skipped", "passed")
    rows = []
    for gate in sorted(results.get("gates") or (), key=lambda one: order.index(one["status"])):
        ratio = gate["unit"] == "pp"
        values = [
            ABSENT if value is None else percent(value, 3) if ratio else figure(value, 6)
            for value in (gate["baseline"], gate["now"])
        ]
        change = gate["change"]
        sign = "+" if change and change > 0 else ""
        words = ABSENT if change is None else f"{sign}{figure(change, 3)} {gate['unit']}".strip()
        rows.append(
            GateRow(
                status=gate["status"], metric=gate["metric"], limit=gate["limit"], baseline=values[0], now=values[1],
                change=words, text=gate["text"],
            )
        )  # fmt: skip
    return rows


def class_name(results: dict[str, Any], number: int | None) -> str:
    """Return what people call a class."""
    names = results["dataset"].get("class_names") or ()
    if number is None:
        return ABSENT
    return str(names[number]) if number < len(names) else str(number)
