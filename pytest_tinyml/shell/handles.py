"""What the fixtures hand out: the few things that a test wants to ask, without the machinery behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.campaign.samples import truth_of
from pytest_tinyml.verdict.compare import Comparison, Tolerance, compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pytest_tinyml.campaign.handshake import CanaryReport
    from pytest_tinyml.links.performance import Performance
    from pytest_tinyml.records import Identity
    from pytest_tinyml.shell.harness import Harness


class BoardHandle:
    """A board, opened; of several of one kind, the first.

    Attributes:
        name: of the kind of board.
        identity: what the board says it is.
        verifiable: whether it can be asked; otherwise its identity is assumed.
        canaried: whether it answers canaries.
    """

    def __init__(self, harness: Harness) -> None:
        """Look at the open board."""
        self._harness = harness
        self.name = harness.plan.kind.name
        self.identity: Identity = harness.campaign.bench.identity
        self.verifiable = harness.plan.verifiable
        self.canaried = harness.plan.canaried

    def canaries(self) -> dict[str, CanaryReport]:
        """Send the canary samples to every board and return what they gave.

        Raises:
            CanaryError: preprocessing differs, the board carries state, or the engine differs.
        """
        self._harness.check_canaries()
        return dict(self._harness.campaign.bench.canaries)

    def infer(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Run images of your own, after the run over the data set if there is one.

        Args:
            images: uint8 [N, H, W] or [N, H, W, C], as the data set's.

        Returns:
            The output's dtype, [N, C].
        """
        return self._harness.infer(images)

    @property
    def console_tail(self) -> tuple[str, ...]:
        """The last lines that the board said."""
        return self._harness.campaign.bench.boards[0].console_tail


class ReferenceHandle:
    """The host's answers.

    Attributes:
        name: ``tflm`` or ``litert``.
        exact: whether a board is expected to give the same bytes.
    """

    def __init__(self, harness: Harness) -> None:
        """Begin to compute them."""
        self._run = harness.campaign.reference
        self.name = self._run.name
        self.exact = self._run.reference.exact
        self._run.start()

    def scores(self, ids: Sequence[int]) -> npt.NDArray[Any]:
        """Return the outputs of some samples, waiting for them: the output's dtype, [len(ids), C]."""
        wanted = np.asarray(ids, dtype=np.int64)
        self._run.wait_for(wanted, None)
        return np.asarray(self._run.scores[wanted])


class RunHandle:
    """The run over the data set, on its way."""

    def __init__(self, harness: Harness) -> None:
        """Begin it."""
        self._harness = harness
        self._campaign = harness.campaign

    def compare(self, ids: Sequence[int]) -> Comparison:
        """Wait for samples and compare them with the reference.

        Args:
            ids: sample ids, at least one.

        Raises:
            BoardError: the board failed for good before they were done.
            pytest.fail.Exception: some of them failed on the board.
            pytest.skip.Exception: the run ended before they were measured (``--tinyml-sequential``).
        """
        wanted = self.measured(ids)
        self._skip_if_fewer(len(wanted), len(ids))
        model = self._campaign.model
        truth = truth_of(model, self._campaign.dataset)
        return compare(
            self.scores(ids),
            self._campaign.reference.scores[wanted],
            None if truth is None else truth[wanted],
            wanted,
            model.output,
            model.task,
        )

    def measured(self, ids: Sequence[int]) -> npt.NDArray[np.int64]:
        """Wait for samples, and return those that can be compared, int64 [n].

        That is all of them, unless the run ended before its last sample (``--tinyml-sequential``).

        Raises:
            BoardError: the board failed for good before they were done.
            pytest.fail.Exception: some of them failed on the board.
        """
        self._harness.wait_for(ids)
        wanted = np.asarray(ids, dtype=np.int64)
        run = self._campaign.run
        failed = {int(sample): run.failed[sample] for sample in wanted if sample in run.failed} if run.failed else {}
        if failed:
            sample, reason = next(iter(failed.items()))
            msg = f"{len(failed)} of {len(wanted)} samples failed on the board; first: #{sample}: {reason}"
            pytest.fail(msg, pytrace=False)
        return wanted[run.done[wanted] & self._campaign.reference.done[wanted]] if self.ended_early else wanted

    @property
    def ended_early(self) -> str:
        """Why the run ended before its last sample; empty if it goes on to the end, or got there."""
        early, run = self._campaign.early, self._campaign.run
        ended = early is not None and early.certain and int(run.done.sum()) + len(run.failed) < len(run.done)
        return early.text if early is not None and ended else ""

    def _skip_if_fewer(self, measured: int, wanted: int) -> None:
        if measured < wanted:
            pytest.skip(f"{measured:,} of {wanted:,} samples were measured: {self.ended_early}")

    def scores(self, ids: Sequence[int]) -> npt.NDArray[Any]:
        """Return the board's outputs, waiting for them: the output's dtype, [len(ids), C].

        Raises:
            pytest.skip.Exception: the run ended before they were measured (``--tinyml-sequential``).
        """
        self._harness.wait_for(ids)
        wanted = np.asarray(ids, dtype=np.int64)
        self._skip_if_fewer(
            int(self._campaign.run.done[wanted].sum()) if self.ended_early else len(wanted), len(wanted)
        )
        rows = self._campaign.run.scores[wanted]
        return np.asarray(rows.view(self._campaign.model.output.dtype))

    def everything(self) -> Comparison:
        """Wait for all samples, or until the run ends before its last one, and compare what was measured."""
        return self.compare(self.measured(range(self._campaign.settings.samples)).tolist())

    def results(self) -> dict[str, Any]:
        """Wait for all samples and return what ``results.json`` will hold (docs/reference/results.md)."""
        self._harness.wait_for(range(self._campaign.settings.samples))
        return self._harness.results_now()

    def finish(self) -> None:
        """Wait for all samples, then send the canaries once more.

        Raises:
            CanaryError: a board does not answer them as it did before the run.
        """
        self._harness.finish()

    def performance(self) -> dict[str, Performance]:
        """Wait for all samples, then let the boards run in performance mode; by name of the board.

        Raises:
            BoardError: a board fails, or has no performance mode.
        """
        self._harness.measure_performance()
        return dict(self._campaign.bench.performance)

    @property
    def tolerance(self) -> Tolerance:
        """How far the board may be from the reference."""
        return self._campaign.settings.tolerance

    @property
    def reference_name(self) -> str:
        """Name of the reference."""
        return self._campaign.reference.name

    @property
    def conflicts(self) -> list[int]:
        """Samples that a board answered in more than one way."""
        return self._campaign.run.conflicts()
