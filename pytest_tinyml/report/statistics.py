"""How sure the figures of a run are: ``statistics`` of results.json, from its ``metrics`` alone, and lines to read."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.verdict.stats import ALPHA, CONFIDENCE, holm, mcnemar, wilson

if TYPE_CHECKING:
    from pytest_tinyml.campaign.run import Campaign

METHODS: Final = {"interval": "Wilson", "paired": "exact McNemar", "classes": "exact McNemar, Holm's correction"}


def statistics(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """Return ``statistics`` of results.json (docs/reference/results.md).

    A sample that only one of board and host has right has another predicted class, so the label flips hold every one.

    Args:
        metrics: of results.json.

    Returns:
        None if nothing was compared, and of a regression, which has no shares.
    """
    if metrics["argmax_agreement"] is None:
        return None
    count, flips = metrics["compared"], metrics["flip_details"]
    labelled = metrics["top1_board"] is not None
    return {
        "confidence": CONFIDENCE,
        "methods": dict(METHODS),
        "agreement": asdict(wilson(count - len(flips), count)),
        "top1_board": asdict(wilson(metrics["correct_board"], count)) if labelled else None,
        "top1_reference": asdict(wilson(metrics["correct_reference"], count)) if labelled else None,
        "mcnemar_reference": asdict(mcnemar(*_better_and_worse(flips))) if labelled else None,
        "per_class": _per_class(metrics, flips) if labelled else [],
    }


def sequential_facts(campaign: Campaign, known: int) -> dict[str, Any] | None:
    """Return ``sequential`` of results.json; None if no sequential test was asked for.

    Args:
        campaign: however far it came.
        known: samples that were answered or failed.
    """
    early = campaign.early
    return None if early is None else early.facts(stopped=early.certain and known < campaign.settings.samples)


def _better_and_worse(flips: list[dict[str, Any]]) -> tuple[int, int]:
    """Count the flips that only the board, and only the reference, has right."""
    return (
        sum(flip["board"] == flip["label"] for flip in flips),
        sum(flip["reference"] == flip["label"] for flip in flips),
    )


def _per_class(metrics: dict[str, Any], flips: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare board and reference on the samples of each label that there is, and correct for their number."""
    rows: list[dict[str, Any]] = []
    for label, (board, reference) in enumerate(
        zip(metrics["confusion_board"], metrics["confusion_reference"], strict=True)
    ):
        count = sum(board)
        if not count:
            continue
        tested = mcnemar(*_better_and_worse([flip for flip in flips if flip["label"] == label]))
        rows.append({
            "class": label,
            "count": count,
            "board": asdict(wilson(board[label], count)),
            "reference": asdict(wilson(reference[label], count)),
            "better": tested.better,
            "worse": tested.worse,
            "p": tested.p,
        })  # fmt: skip
    adjusted = holm([row["p"] for row in rows])
    return [row | {"p_adjusted": p, "significant": p <= ALPHA} for row, p in zip(rows, adjusted, strict=True)]


def sequential_lines(results: dict[str, Any]) -> list[str]:
    """Return what the sequential test says; nothing if there was none."""
    # A journal of an earlier version has none.
    sequential = results.get("sequential")
    return [] if sequential is None else [f"sequential test: {sequential['text']}"]


def statistics_lines(results: dict[str, Any]) -> list[str]:
    """Return the lines of the terminal summary about the early stop, and about how sure the figures are."""
    lines, found = sequential_lines(results), results.get("statistics")
    if found is None:
        return lines
    shares = (("top-1", found["top1_board"]), ("agreement", found["agreement"]))
    intervals = [f"{name} {_range(share)}" for name, share in shares if share is not None]
    lines.append(f"{found['confidence']:.0%} intervals: {', '.join(intervals)}")
    paired = found["mcnemar_reference"]
    if paired is not None and paired["better"] + paired["worse"]:
        told = {"noise": "noise", "regression": "a regression", "improvement": "an improvement"}[paired["verdict"]]
        lines.append(
            f"{paired['worse']:,} samples worse and {paired['better']:,} better than {results['reference']['name']}: "
            f"{told} at an error rate of {paired['alpha']:.2g} (exact McNemar p = {paired['p']:.2g})"
        )
        lines += [_class_line(row) for row in found["per_class"] if row["significant"]]
    return lines


def _range(share: dict[str, float]) -> str:
    return f"{100 * share['low']:.2f} to {100 * share['high']:.2f} %"


def _class_line(row: dict[str, Any]) -> str:
    counts = f"{row['worse']:,} worse, {row['better']:,} better, p = {row['p_adjusted']:.2g} after correction"
    return f"class {row['class']}: {row['board']['value']:.2%}, host {row['reference']['value']:.2%} ({counts})"
