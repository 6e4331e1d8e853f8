"""What people see while they wait."""

from __future__ import annotations

from dataclasses import replace

from pytest_tinyml.campaign.progress import Progress

EARLY = Progress(done=0, total=28_000, rate_per_s=0.0, eta_s=None, top1=None, agreement=None, compared=0)
MIDDLE = Progress(done=7_000, total=28_000, rate_per_s=350.4, eta_s=60.0, top1=0.99, agreement=1.0, compared=6_000)


def test_nothing_is_claimed_before_it_is_known() -> None:
    """No rate, no time to go and no accuracy before the first sample."""
    assert "0/28,000 (0%)" == str(EARLY)


def test_in_the_middle() -> None:
    """Counts, rate, time to go, accuracy, and how many samples the agreement speaks of."""
    expected = "7,000/28,000 (25%), 350/s, ETA 1:00, top-1 99.00%, agreement 100.00% of 6,000"
    assert expected == str(MIDDLE)


def test_the_reference_may_be_last() -> None:
    """When the boards are done, the line says what is awaited."""
    line = str(replace(MIDDLE, done=28_000, eta_s=0.0))
    assert "ETA" not in line
    assert line.endswith("waiting for the reference")
