"""What became of a submission, in lines for a person."""

from __future__ import annotations

from typing import Any


def submission_lines(results: dict[str, Any]) -> list[str]:
    """Return the lines about ``submission`` of `results` (docs/reference/results.md); none if there is none."""
    facts = results["submission"]
    if facts is None:
        return []
    name = facts["competition"]
    if facts["state"] in {"none", "refused"}:
        return [f"{name}: not submitted: {facts['error']}"]
    if facts["state"] in {"intent", "doubt"}:
        return [f"{name}: {facts['error']}"]
    ref = "" if facts["ref"] is None else f" as {facts['ref']}"
    lines = [f"{name}: submitted{ref}, {_score(facts)}; {_expected(facts, results['model'])}"]
    if facts["state"] == "sent":
        lines.append(f"ask for the score with tinyml submit {name}")
    if results["dataset"]["labelled"]:
        lines.append(other_data(results["dataset"]["name"], name))
    return lines


def other_data(dataset: str, competition: str) -> str:
    """Say that a data set with labels is not what a competition judges."""
    return f"{dataset} has labels, so it is not {competition}'s test.csv: predictions of other samples score by chance"


def _score(facts: dict[str, Any]) -> str:
    if facts["public_score"] is not None:
        return f"public score {facts['public_score']:.5f}"
    return f"could not be scored: {facts['error']}" if facts["state"] == "failed" else str(facts["error"])


def _expected(facts: dict[str, Any], model: dict[str, Any]) -> str:
    difference = facts["difference"]
    off = "" if difference is None else f" ({difference * 100:+.2f} points)"
    if facts["expected_by"] == "labels":
        return f"expected {facts['expected_ratio']:.5f}{off}"
    card = "" if model["card_top1"] is None else f"; the model's card has {model['card_top1']:.2%}"
    return f"no labels: the host's predictions in their place give {facts['expected_ratio']:.5f}{card}"
