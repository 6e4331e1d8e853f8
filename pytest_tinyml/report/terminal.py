"""The summary at the end of a session, from the results alone; what matters first, short."""

from __future__ import annotations

from typing import Any, Final

SHOWN_FLIPS: Final = 5
SHOWN_PROBLEMS: Final = 5


def summary_lines(results: dict[str, Any]) -> list[str]:
    """Return the lines of the terminal summary for `results` (docs/reference/results.md)."""
    problems = results["problems"]
    lines = [_headline(results), *problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"and {_count(len(problems) - SHOWN_PROBLEMS, 'more problem')}, see problems in results.json")
    if results["metrics"]["compared"]:
        lines += _agreement(results["metrics"], results["reference"])
        lines.append(_accuracy(results["metrics"]))
    lines += _cross_check(results["reference"])
    lines += _latency(results["latency"])
    lines += _memory(results["memory"])
    lines += _remarks(results)
    return [lines[0], *(f"  {line}" for line in lines[1:])]


def _headline(results: dict[str, Any]) -> str:
    board, model, data = results["board"], results["model"], results["dataset"]
    problems = results["problems"]
    verdict = "passed" if results["passed"] else "FAILED"
    if problems and all(problem.startswith("incomplete:") for problem in problems):
        verdict = "INCOMPLETE"
    chip = board["chip"] or "which did not say what it is"
    where = f"{board['name']} (engine {board['engine']}, {chip}, link {board['link']})"
    return f"{verdict}: {model['name']} on {where}, {results['metrics']['count']:,} of {data['count']:,} {data['name']}"


def _agreement(metrics: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    flips = metrics["flip_details"]
    shares = f"agreement {metrics['argmax_agreement']:.2%}, {_count(len(flips), 'label flip')}"
    exact = f"{metrics['bit_exact_ratio']:.2%} bit-exact, max {_size(metrics)}"
    lines = [f"against {reference['name']} {reference['version']}: {shares}, {exact}"]
    for flip in flips[:SHOWN_FLIPS]:
        label = "" if flip["label"] is None else f", label {flip['label']}"
        lines.append(f"  #{flip['id']}: host {flip['reference']}, board {flip['board']}{label}")
    return lines


def _accuracy(metrics: dict[str, Any]) -> str:
    if metrics["top1_board"] is None:
        return "top-1 not measured: the data set has no labels"
    return (
        f"top-1 {metrics['top1_board']:.2%} ({metrics['correct_board']:,} correct), "
        f"host {metrics['top1_reference']:.2%} ({metrics['correct_reference']:,})"
    )


def _cross_check(reference: dict[str, Any]) -> list[str]:
    cross = reference["cross_check"]
    if cross is None:
        return []
    if "error" in cross:
        return [f"{cross['name']} cannot run the model: {cross['error']}"]
    counts = f"{_count(cross['differing'], 'output')} (max {_size(cross)})"
    labels = _count(cross["argmax_differing"], "label")
    return [f"{reference['name']} and {cross['name']} {cross['version']} disagree on {counts} and {labels}"]


def _latency(latency: dict[str, Any]) -> list[str]:
    if latency["p50"] is None:
        return []
    clock = f"clock {latency['clock']}" + ("" if latency["gated"] else " of this computer: shown, never gated")
    values = f"p50 {latency['p50']:,.1f}, p90 {latency['p90']:,.1f}, p99 {latency['p99']:,.1f} {latency['unit']}"
    return [f"latency {values} ({clock})"]


def _memory(memory: dict[str, Any]) -> list[str]:
    if memory["arena_bytes"] is None:
        return []
    capacity = f" of {memory['arena_capacity_bytes']:,}" if memory["arena_capacity_bytes"] else ""
    parts = [f"arena {memory['arena_bytes']:,}{capacity} B"]
    if memory["flash_bytes"]:
        parts.append(f"flash {memory['flash_bytes']:,} B")
    if memory["ram_bytes"]:
        parts.append(f"static RAM {memory['ram_bytes']:,} B")
    return [", ".join(parts)]


def _remarks(results: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    throughput, faults, model = results["throughput"], results["faults"], results["model"]
    if throughput["samples_per_s"]:
        resumed = throughput["resumed_samples"]
        earlier = f", {resumed:,} samples from an earlier session" if resumed else ""
        lines.append(f"{throughput['samples_per_s']:,.0f} samples/s, {throughput['wall_s']:.1f} s{earlier}")
    if faults:
        lines.append(f"{_count(len(faults), 'fault')} on the way; first: {faults[0]['text'].splitlines()[0]}")
    if model["preprocess_assumed"]:
        lines.append(f"preprocessing {model['preprocess']!r} was assumed: no card (see --tinyml-preprocess)")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(difference: dict[str, Any]) -> str:
    return f"{difference['max_abs']:.3g}" if difference["max_lsb"] is None else f"{difference['max_lsb']} LSB"
