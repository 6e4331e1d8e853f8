"""The summary at the end of a session, from the results alone; what matters first, short."""

from __future__ import annotations

from typing import Any, Final

from pytest_tinyml.report.colour import Line, Tone
from pytest_tinyml.report.explanation import explanation_lines
from pytest_tinyml.report.gates import gate_lines
from pytest_tinyml.report.operators import operator_lines
from pytest_tinyml.report.performance import performance_lines
from pytest_tinyml.report.statistics import statistics_lines
from pytest_tinyml.report.submission import submission_lines

SHOWN_FLIPS: Final = 5
SHOWN_PROBLEMS: Final = 5


_FAILED_GATE: Final = "gate failed: "
_SKIPPED_GATE: Final = "gate skipped: "
_TONES: Final = {"passed": Tone.GOOD, "FAILED": Tone.BAD, "INCOMPLETE": Tone.NOTE}


def summary(results: dict[str, Any]) -> list[Line]:
    """Return the lines of the terminal summary for `results` (docs/reference/results.md)."""
    lines = wrong(results)
    if results["metrics"]["compared"]:
        lines += _plain(_agreement(results["metrics"], results["reference"]))
        regression = results["model"]["task"] == "regression"
        lines.append(Line(_fit(results["metrics"]) if regression else _accuracy(results["metrics"])))
    lines += _plain(statistics_lines(results))
    lines += held_gates(results)
    lines += _plain(cross_check_lines(results["reference"]))
    lines += _plain(_latency(results["latency"]))
    lines += _plain(performance_lines(results))
    lines += _plain(_memory(results["memory"]))
    lines += _plain(_build(results["build"]))
    lines += _plain(_throughput(results["throughput"]))
    lines += _plain(share_lines(results["boards"]))
    lines += [Line(line, Tone.NOTE) for line in remarks(results)]
    lines += _plain(submission_lines(results))
    return [Line(_headline(results), _TONES[verdict(results)]), *(Line(f"  {line.text}", line.tone) for line in lines)]


def wrong(results: dict[str, Any]) -> list[Line]:
    """Return what is wrong, the failing gates first, and the cause if it was looked for."""
    gates = [line for line in _gates(results) if line.startswith(_FAILED_GATE)]
    problems = other_problems(results)
    lines = [*gates, *problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"and {_count(len(problems) - SHOWN_PROBLEMS, 'more problem')}, see problems in results.json")
    where = [*explanation_lines(results), *operator_lines(results)]
    return [Line(line, Tone.BAD) for line in lines] + _plain(where)


def other_problems(results: dict[str, Any]) -> list[str]:
    """Return what is wrong besides failing gates, each once: a gate also fails its test, in the same words."""
    told = {gate["text"] for gate in results.get("gates") or () if gate["status"] == "failed"}
    return _told_once([
        problem for problem in results["problems"] if problem not in told and problem.partition(": ")[2] not in told
    ])  # fmt: skip


def held_gates(results: dict[str, Any]) -> list[Line]:
    """Return what became of the other gates, and what the run was compared with."""
    lines = [line for line in _gates(results) if not line.startswith(_FAILED_GATE)]
    return [Line(line, Tone.NOTE if line.startswith(_SKIPPED_GATE) else Tone.PLAIN) for line in lines]


def _gates(results: dict[str, Any]) -> list[str]:
    # A journal of an earlier version has none.
    return [] if results.get("gates") is None else gate_lines(results)


def _plain(lines: list[str]) -> list[Line]:
    return [Line(line) for line in lines]


def _told_once(problems: list[str]) -> list[str]:
    """Join what several tests (``name: message``) say in the same words."""
    names: dict[str, list[str]] = {}
    for problem in problems:
        name, colon, message = problem.partition(": ")
        if name.startswith("test_") and colon:
            names.setdefault(message, []).append(name)
        else:
            names.setdefault(problem, [])
    return [f"{', '.join(tests)}: {message}" if tests else message for message, tests in names.items()]


def verdict(results: dict[str, Any]) -> str:
    """Return one word."""
    problems = results["problems"]
    if problems and all(problem.startswith("incomplete:") for problem in problems):
        return "INCOMPLETE"
    return "passed" if results["passed"] else "FAILED"


def _headline(results: dict[str, Any]) -> str:
    board, model, data = results["board"], results["model"], results["dataset"]
    chip = board["chip"] or "which did not say what it is"
    name = board["name"] if board["id"] is None else f"{board['id']}, {board['name']}"
    where = f"{name} (engine {board['engine']}, {chip}, link {board['link']})"
    samples = f"{results['metrics']['count']:,} of {data['count']:,} {data['name']}"
    return f"{verdict(results)}: {model['name']} on {where}, {samples}"


def _agreement(metrics: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    said = []
    if metrics["argmax_agreement"] is not None:
        said.append(f"agreement {metrics['argmax_agreement']:.2%}")
        said.append(_count(len(metrics["flip_details"]), "label flip"))
    if reference["compared"] == "scores":
        said.append(f"{metrics['bit_exact_ratio']:.2%} bit-exact, max {_size(metrics)}")
    else:
        said.append("scores not compared: the board answers with labels")
    first = f"against {reference['name']} {reference['version']}: {', '.join(said)}"
    return [first, *(f"  {line}" for line in flip_lines(metrics))]


def flip_lines(metrics: dict[str, Any]) -> list[str]:
    """Return a line for each of the first label flips."""
    lines = []
    for flip in metrics["flip_details"][:SHOWN_FLIPS]:
        label = "" if flip["label"] is None else f", label {flip['label']}"
        lines.append(f"#{flip['id']}: host {flip['reference']}, board {flip['board']}{label}")
    return lines


def _accuracy(metrics: dict[str, Any]) -> str:
    if metrics["top1_board"] is None:
        same = metrics["compared"] - len(metrics["flips"])
        return (
            f"top-1 not measured: the data set has no labels; with the host's predictions in their place "
            f"{metrics['argmax_agreement']:.2%} ({same:,} of {metrics['compared']:,})"
        )
    return (
        f"top-1 {metrics['top1_board']:.2%} ({metrics['correct_board']:,} correct), "
        f"host {metrics['top1_reference']:.2%} ({metrics['correct_reference']:,})"
    )


def _fit(metrics: dict[str, Any]) -> str:
    if metrics["regression"] is None:
        return "error not measured: the data set has no targets"
    board, host = metrics["regression"]["board"], metrics["regression"]["reference"]
    names = {"RMSE": "rmse", "MAE": "mae", "max": "max_error", "R2": "r2"}
    figures = (
        f"{name} {_figure(board[key])}, host {_figure(host[key])}"
        for name, key in names.items()
        if board[key] is not None
    )
    return f"error against the targets: {'; '.join(figures)}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def cross_check_lines(reference: dict[str, Any]) -> list[str]:
    """Say how two runtimes on the host differ, if that is known."""
    cross = reference["cross_check"]
    if cross is None:
        return []
    if "error" in cross:
        return [f"{cross['name']} cannot run the model: {cross['error']}"]
    counts = f"{_count(cross['differing'], 'output')} (max {_size(cross)})"
    classes = cross["argmax_differing"]
    labels = "" if classes is None else f" and {_count(classes, 'label')}"
    return [f"{reference['name']} and {cross['name']} {cross['version']} disagree on {counts}{labels}"]


def _latency(latency: dict[str, Any]) -> list[str]:
    if latency["p50"] is None:
        return []
    clock = f"clock {latency['clock']}" + ("" if latency["gated"] else " of this computer: shown, never gated")
    digits = 0 if latency["unit"] == "instructions" else 1
    values = ", ".join(f"{key} {latency[key]:,.{digits}f}" for key in ("p50", "p90", "p99"))
    return [f"latency {values} {latency['unit']} ({clock})"]


def _memory(memory: dict[str, Any]) -> list[str]:
    if not memory["arena_bytes"]:
        return []
    capacity = f" of {memory['arena_capacity_bytes']:,}" if memory["arena_capacity_bytes"] else ""
    parts = [f"arena {memory['arena_bytes']:,}{capacity} B"]
    # Of a part the linker knows each memory; of a process there are two sums.
    parts += [f"{one['name']} {one['used']:,} of {one['size']:,} B" for one in memory["memories"] if one["used"]]
    if memory["flash_bytes"] and not memory["memories"]:
        parts.append(f"flash {memory['flash_bytes']:,} B")
    if memory["ram_bytes"] and not memory["memories"]:
        parts.append(f"static RAM {memory['ram_bytes']:,} B")
    if memory["stack_bytes"] and memory["stack_unused_bytes"] is not None:
        parts.append(f"stack {memory['stack_bytes'] - memory['stack_unused_bytes']:,} of {memory['stack_bytes']:,} B")
    return [", ".join(parts)]


def _build(build: dict[str, Any] | None) -> list[str]:
    if build is None:
        return []
    computed = [use for use in build["kernels_used"] if use["function"]]
    vendor = sum(use["vendor"] for use in computed)
    share = "" if build["kernels"] == "portable" else f" ({vendor} of {len(computed)} operators)"
    return [f"kernels {build['kernels']}{share}, compiled by {build['compiler']}"]


def _throughput(throughput: dict[str, Any]) -> list[str]:
    if not throughput["samples_per_s"]:
        return []
    resumed = throughput["resumed_samples"]
    earlier = f", {resumed:,} samples from an earlier session" if resumed else ""
    return [f"{throughput['samples_per_s']:,.0f} samples/s, {throughput['wall_s']:.1f} s{earlier}"]


def share_lines(boards: list[dict[str, Any]]) -> list[str]:
    """Say how several boards of one kind shared the work."""
    if len(boards) == 1:
        return []
    shares = (f"{board['name']} {board['samples']:,}{' (given up)' if board['lost'] else ''}" for board in boards)
    return [f"samples by board: {', '.join(shares)}"]


def remarks(results: dict[str, Any]) -> list[str]:
    """Say what a reader of the figures has to know."""
    lines: list[str] = []
    faults, model = results["faults"], results["model"]
    if results["board"]["chip"] is not None and not results["board"]["verified"]:
        unchecked = "identity was" if results["canary"] else "identity and canaries were"
        lines.append(f"not verified: the board cannot be asked what it runs; {unchecked} not checked")
    lines += _resolution(results)
    if faults:
        lines.append(f"{_count(len(faults), 'fault')} on the way; first: {faults[0]['text'].splitlines()[0]}")
        # A noisy line has more losses than are described one by one.
        lines.extend(f"{fault['board']}: {fault['text']}" for fault in faults if fault["kind"] == "losses")
    if model["preprocess_assumed"]:
        lines.append(f"preprocessing {model['preprocess']!r} was assumed: no card (see --tinyml-preprocess)")
    return lines


def _resolution(results: dict[str, Any]) -> list[str]:
    """Say what the comparison of printed outputs is worth."""
    resolution, output = results["reference"]["resolution"], results["model"]["output"]
    if not resolution:
        return []
    known = f"outputs are printed numbers, known to {resolution:g}"
    if output["dtype"] == "float32":
        return [f"{known}: compared within {results['reference']['max_abs_tolerated']:g}"]
    lsb = results["reference"]["max_lsb_tolerated"]
    if not lsb:
        return [f"{known}, less than half a step of {output['scale']:g}: compared exactly"]
    return [f"{known}, a step is {output['scale']:g}: compared within {lsb} LSB"]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(difference: dict[str, Any]) -> str:
    return f"{difference['max_abs']:.3g}" if difference["max_lsb"] is None else f"{difference['max_lsb']} LSB"
