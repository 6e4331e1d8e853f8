"""The part of results.json that compares the board's outputs with the reference's, and both with what is right."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.verdict.compare import Comparison

_SCORES: Final = ("differing", "differing_elements", "bit_exact_ratio", "within_1_lsb_ratio", "max_lsb", "max_abs")
_DISTANCE: Final = ("rmse", "mae", "l2r", "nse", "cos")
_CLASSES: Final = (
    *("argmax_agreement", "top1_board", "top1_reference", "correct_board", "correct_reference"),
    *("confusion_board", "confusion_reference", "acc"),
)


def metrics(
    comparison: Comparison | None, answered: int, failed: Mapping[int, str], *, labels_only: bool
) -> dict[str, Any]:
    """Return ``metrics`` of results.json (docs/reference/results.md).

    Args:
        comparison: of the answers with the reference's; None if nothing was compared.
        answered: samples that the board answered.
        failed: reasons by the id of each sample that it could not answer.
        labels_only: the scores only say which label, so that figures of scores would be none.
    """
    shared = {
        "count": answered,
        "failed": [{"id": sample, "reason": reason} for sample, reason in sorted(failed.items())],
    }
    if comparison is None:
        nothing = dict.fromkeys((*_SCORES, *_DISTANCE, *_CLASSES, "regression"))
        return shared | {"compared": 0} | nothing | {"flips": [], "flip_details": [], "moved": []}
    values = asdict(comparison)
    values.pop("count")
    distance = values.pop("distance")
    flips = values.pop("flips")
    fits = values.pop("fit_board"), values.pop("fit_reference")
    for key in ("confusion_board", "confusion_reference"):
        values[key] = None if values[key] is None else values[key].tolist()
    if labels_only:
        values |= dict.fromkeys(_SCORES)
        distance = dict.fromkeys(_DISTANCE)
    acc = comparison.top1_board if comparison.top1_board is not None else comparison.argmax_agreement
    return shared | {"compared": comparison.count} | values | {
        "acc": acc,
        **distance,
        "regression": None if fits[0] is None else {"board": fits[0], "reference": fits[1]},
        "flips": [flip["id"] for flip in flips],
        "flip_details": flips,
    }  # fmt: skip
