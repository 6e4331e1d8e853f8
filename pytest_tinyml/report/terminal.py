"""The summary at the end of a session, from the results alone; what matters first, short."""

from __future__ import annotations

from typing import Any


def summary_lines(results: dict[str, Any]) -> list[str]:
    """Return the lines of the terminal summary for `results` (docs/reference/results.md)."""
    board, model, data, metrics = results["board"], results["model"], results["dataset"], results["metrics"]
    reference, latency, memory = results["reference"], results["latency"], results["memory"]
    lines = [
        f"{'passed' if results['passed'] else 'FAILED'}: {model['name']} on {board['name']} "
        f"(engine {board['engine']}, {board['chip']}, link {board['link']}), {data['name']}: "
        f"{metrics['count']:,} of {data['count']:,} samples"
    ]
    lines.extend(f"  {problem}" for problem in results["problems"])
    if metrics["count"]:
        exact = f"{metrics['bit_exact_ratio']:.2%} bit-exact"
        size = f", max {metrics['max_lsb']} LSB" if metrics["max_lsb"] is not None else f", max {metrics['max_abs']:.3g}"
        flips = len(metrics["flips"])
        lines.append(
            f"  against {reference['name']} {reference['version']}: agreement {metrics['argmax_agreement']:.2%}, "
            f"{flips} label flip{'' if flips == 1 else 's'}, {exact}{size}"
        )
        lines.extend(
            f"    #{flip['id']}: host {flip['reference']}, board {flip['board']}"
            + ("" if flip["label"] is None else f", label {flip['label']}")
            for flip in metrics["flip_details"][:5]
        )
        if metrics["top1_board"] is not None:
            lines.append(
                f"  top-1 {metrics['top1_board']:.2%} ({metrics['correct_board']:,} correct), "
                f"host {metrics['top1_reference']:.2%} ({metrics['correct_reference']:,})"
            )
        else:
            lines.append("  top-1 not measured: the data set has no labels")
    cross = reference["cross_check"]
    if cross is not None and "error" in cross:
        lines.append(f"  {cross['name']} cannot run the model: {cross['error']}")
    elif cross is not None:
        lines.append(
            f"  {reference['name']} and {cross['name']} {cross['version']} disagree in {cross['differing']:,} outputs "
            f"(max {cross['max_lsb'] if cross['max_lsb'] is not None else cross['max_abs']}"
            f"{' LSB' if cross['max_lsb'] is not None else ''}), {cross['argmax_differing']} labels"
        )
    if latency["p50"] is not None:
        label = "" if latency["gated"] else ", of this computer: shown, never gated"
        lines.append(
            f"  latency p50 {latency['p50']:,.1f} {latency['unit']}, p90 {latency['p90']:,.1f}, p99 {latency['p99']:,.1f} "
            f"(clock {latency['clock']}{label})"
        )
    arena = f"arena {memory['arena_bytes']:,} B" + (
        f" of {memory['arena_capacity_bytes']:,}" if memory["arena_capacity_bytes"] else ""
    )
    flash = f", flash {memory['flash_bytes']:,} B" if memory["flash_bytes"] else ""
    ram = f", static RAM {memory['ram_bytes']:,} B" if memory["ram_bytes"] else ""
    lines.append(f"  {arena}{flash}{ram}")
    throughput = results["throughput"]
    resumed = f", {throughput['resumed_samples']:,} from an earlier session" if throughput["resumed_samples"] else ""
    if throughput["samples_per_s"]:
        lines.append(f"  {throughput['samples_per_s']:,.0f} samples/s, {throughput['wall_s']:.1f} s{resumed}")
    survived = results["faults"]
    if survived:
        lines.append(f"  {len(survived)} fault{'s' if len(survived) > 1 else ''} on the way; first: {survived[0]['text'].splitlines()[0]}")
    if model["preprocess_assumed"]:
        lines.append(f"  preprocessing {model['preprocess']!r} was assumed: the model has no card (see --tinyml-preprocess)")
    return lines
