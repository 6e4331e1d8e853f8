"""What a run leaves in the journal besides the boards' answers, so that its report needs nothing but the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.campaign.samples import truth_of
from pytest_tinyml.verdict.compare import predictions
from pytest_tinyml.verdict.metrics import apart, dequantize

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from pytest_tinyml.campaign.reference import ReferenceRun
    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.stores.runs import RunJournal

PICTURES: Final = 64
"""Samples that are kept as they look, at most."""
_FLIPS: Final = 32
_CHANGED: Final = 48
_COLOURS: Final = 3


def keep_host(run: RunJournal, reference: ReferenceRun, truth: npt.NDArray[Any] | None) -> None:
    """Keep labels or targets now, and the reference's answers as they come."""
    if truth is not None:
        # Labels are small numbers.
        small = truth.astype(np.min_scalar_type(int(truth.max(initial=0)))) if truth.dtype.kind == "i" else truth
        run.keep_host("truth", 0, small[: len(run.done)])
    reference.tell(lambda first, scores: run.keep_host("scores", first, scores))


def keep_pictures(campaign: Campaign, also: Iterable[int] = ()) -> None:
    """Keep the samples that a reader wants to see: other label, most changed, wrong, as far as there is room.

    Args:
        campaign: whose run was started.
        also: ids that come first, e.g. those that are new since a baseline.
    """
    images = campaign.dataset.images
    if images.dtype != np.uint8 or images.ndim not in {3, 4} or (images.ndim == 4 and images.shape[3] != _COLOURS):  # noqa: PLR2004
        return
    campaign.run.keep_pictures({sample: images[sample] for sample in remarkable(campaign, also)})


def remarkable(campaign: Campaign, also: Iterable[int] = ()) -> list[int]:
    """Return ids of samples that a reader wants to see, the most remarkable first, at most `PICTURES`."""
    run, reference, output = campaign.run, campaign.reference, campaign.model.output
    ids = np.flatnonzero(run.done & reference.done)
    chosen = dict.fromkeys(sample for sample in also if run.done[sample])
    if len(ids):
        board, host = run.scores[ids].view(output.dtype), reference.scores[ids]
        distance = apart(dequantize(board, output), dequantize(host, output)).max(axis=1)
        # A NaN is as far away as can be.
        farthest = np.argsort(-np.nan_to_num(distance, nan=np.inf), kind="stable")
        if campaign.model.task != "regression":
            predicted = predictions(board, output)
            flips = np.flatnonzero(predicted != predictions(host, output))
            chosen |= dict.fromkeys(ids[flips[:_FLIPS]].tolist())
        changed = farthest[:_CHANGED]
        chosen |= dict.fromkeys(ids[changed[distance[changed] != 0]].tolist())
        truth = truth_of(campaign.model, campaign.dataset)
        if truth is not None and campaign.model.task != "regression":
            chosen |= dict.fromkeys(ids[predicted != truth[ids]][:PICTURES].tolist())
    return [int(sample) for sample in chosen][:PICTURES]
