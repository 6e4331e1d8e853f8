"""Where a campaign stands, for people who wait for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tinyml.verdict.compare import differing_samples, predictions

if TYPE_CHECKING:
    from pytest_tinyml.campaign.run import Campaign


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A moment of a campaign; ratios are 0..1 and None where nothing can be said yet.

    Attributes:
        done: samples answered or recorded as failed.
        total: samples asked for.
        rate_per_s: samples per second of this process, since the campaign was started or resumed.
        eta_s: seconds to go at that rate.
        top1: accuracy so far; None without labels, and of a regression.
        agreement: share of samples with the same class as the reference, among those that both have answered; of a
            regression, with the same output.
        compared: the number of those.
    """

    done: int
    total: int
    rate_per_s: float
    eta_s: float | None
    top1: float | None
    agreement: float | None
    compared: int

    def __str__(self) -> str:
        """Return one line, fit for a log."""
        parts = [f"{self.done:,}/{self.total:,} ({self.done / self.total:.0%})"]
        if self.rate_per_s:
            parts.append(f"{self.rate_per_s:,.0f}/s")
        if self.eta_s is not None and self.done < self.total:
            minutes, seconds = divmod(round(self.eta_s), 60)
            parts.append(f"ETA {minutes}:{seconds:02d}")
        if self.top1 is not None:
            parts.append(f"top-1 {self.top1:.2%}")
        if self.agreement is not None:
            parts.append(f"agreement {self.agreement:.2%} of {self.compared:,}")
        if self.done == self.total and self.compared < self.total:
            parts.append("waiting for the reference")
        return ", ".join(parts)


def progress(campaign: Campaign) -> Progress:
    """Look at a running campaign; costs about a millisecond per 28,000 samples."""
    run, reference, output = campaign.run, campaign.reference, campaign.model.output
    answered = run.done.copy()
    done = int(answered.sum()) + len(run.failed)
    elapsed = time.monotonic() - campaign.started_at if campaign.started_at is not None else 0.0
    if done == campaign.settings.samples and campaign.wall_s:
        # The boards are done and the reference is awaited: their rate no longer changes.
        elapsed = campaign.wall_s
    rate = (done - run.resumed) / elapsed if elapsed > 0 else 0.0
    regression = campaign.model.task == "regression"
    scores = run.scores.view(output.dtype)
    labels = None if regression else campaign.dataset.labels
    both = answered & reference.done
    compared = int(both.sum())
    if regression:
        equal = ~differing_samples(scores, reference.scores)
    else:
        classes = predictions(scores, output)
        equal = classes == predictions(reference.scores, output)
    return Progress(
        done=done,
        total=campaign.settings.samples,
        rate_per_s=rate,
        eta_s=(campaign.settings.samples - done) / rate if rate else None,
        top1=float((classes == labels[: len(classes)])[answered].mean())
        if labels is not None and answered.any()
        else None,
        agreement=float(equal[both].mean()) if compared else None,
        compared=compared,
    )
