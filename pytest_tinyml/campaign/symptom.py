"""What a run has shown of a mismatch: the few samples that are worth experiments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.campaign.causes import Difference
from pytest_tinyml.campaign.handshake import canary_ids
from pytest_tinyml.verdict.compare import predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.records import Model

SAMPLES: Final = 8
"""How many samples are looked at, at most: those with the largest differences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """What a run has shown.

    Attributes:
        ids: samples: those whose label differs first, then those with the largest differences.
        seen: what the board gave for them, of the output's dtype, [n, C]; None if it was not asked.
        flips: labels that differ in the whole run.
    """

    ids: tuple[int, ...]
    seen: npt.NDArray[Any] | None = None
    flips: int = 0


def symptom(board: npt.NDArray[Any], host: npt.NDArray[Any], ids: Sequence[int], model: Model) -> Symptom | None:
    """Choose the samples that show a difference most; None if there is none.

    Args:
        board: of the output's dtype, [n, C].
        host: likewise.
        ids: of the samples.
        model: whose outputs they are.
    """
    sizes = Difference(board=board, reference=host, tensor=model.output).sizes.max(axis=1)
    flips = np.zeros(len(sizes), dtype=np.bool_)
    if model.task == "classification":
        flips = predictions(board, model.output) != predictions(host, model.output)
    order = np.lexsort((-sizes, ~flips))
    rows = [int(row) for row in order[:SAMPLES] if sizes[row] > 0]
    if not rows:
        return None
    return Symptom(ids=tuple(int(ids[row]) for row in rows), seen=board[rows], flips=int(flips.sum()))


def symptom_of(campaign: Campaign) -> Symptom:
    """Return what a campaign has shown, however far it came: without a difference, the canary samples."""
    if campaign.started_at is not None:
        run, reference = campaign.run, campaign.reference
        ids = np.flatnonzero(run.done & reference.done)
        if len(ids):
            board = run.scores[ids].view(campaign.model.output.dtype)
            found = symptom(board, reference.scores[ids], ids.tolist(), campaign.model)
            if found is not None:
                return found
    return Symptom(ids=tuple(canary_ids(campaign.settings.samples)))
