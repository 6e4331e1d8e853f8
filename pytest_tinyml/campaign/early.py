"""The early stop of a campaign: samples in a random order, until a sequential test is certain.

The boards answer roughly in the order in which they are asked, not exactly. What decides is the order that was drawn:
the test is given a sample when it and all before it are known, so that neither a slow board nor a crash can choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pytest_tinyml.verdict.compare import predictions
from pytest_tinyml.verdict.sequential import SequentialTest, random_order

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    import numpy.typing as npt

    from pytest_tinyml.campaign.reference import ReferenceRun
    from pytest_tinyml.records import TensorSpec
    from pytest_tinyml.stores.runs import RunJournal
    from pytest_tinyml.verdict.sequentialspec import SequentialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """Whom the board is compared with.

    Attributes:
        kind: the host's reference, or a baseline.
        name: of either.
        classes: of a baseline: the predicted class of each sample, int64 [N]. The reference's are still to come.
    """

    kind: Literal["host", "baseline"]
    name: str
    classes: npt.NDArray[np.int64] | None = None


class EarlyStop:
    """See the module; used by the thread that waits for the campaign.

    A sample that the board could not answer counts as one that it has wrong.

    Args:
        spec: what is to be decided.
        partner: whom the board is compared with.
        samples: N, how many of the data set's, from the first.
        labels: int64 [at least N]; without any the partner's predictions stand in for them.
        output: the model's output tensor.

    Attributes:
        spec: see there.
        partner: see there.
        order: int64 [N], sample ids in the order that was drawn.
    """

    def __init__(
        self,
        spec: SequentialSpec,
        partner: Partner,
        *,
        samples: int,
        labels: npt.NDArray[np.int64] | None,
        output: TensorSpec,
    ) -> None:
        """Draw the order."""
        self.spec, self.partner = spec, partner
        self.order = random_order(samples, spec.seed)
        self._labels, self._output = labels, output
        self._test = SequentialTest(spec, samples)
        self._differences = np.zeros(samples, dtype=np.int8)

    @property
    def certain(self) -> bool:
        """Whether the test has its verdict."""
        return self._test.verdict() is not None

    @property
    def regression(self) -> bool:
        """Whether the verdict is that the board is worse."""
        return self._test.verdict() == "regression"

    @property
    def samples(self) -> int:
        """How many samples the verdict rests on, or that the test was given so far."""
        return int(self._test.samples[0]) if self.certain else self._test.seen

    def advance(self, run: RunJournal, reference: ReferenceRun, doubted: AbstractSet[int] = frozenset()) -> bool:
        """Go on with the samples that are known by now; returns whether the verdict is certain.

        Of 28,000 samples it costs 0.2 ms, and 0.7 ms more per thousand that are new.

        Args:
            run: what the boards have answered.
            reference: what the host has.
            doubted: samples that could not be answered, which may yet be asked of another board: they are not known.
        """
        if self.certain or self._test.seen == len(self.order):
            return self.certain
        ahead = self.order[self._test.seen :]
        known = run.done[ahead]
        failed = np.fromiter((k for k in tuple(run.failed) if k not in doubted), dtype=np.int64)
        known |= np.isin(ahead, failed)
        if self.partner.classes is None:
            known &= reference.done[ahead]
        new = ahead if known.all() else ahead[: int(known.argmin())]
        if len(new):
            board = predictions(run.scores[new].view(self._output.dtype), self._output)
            if self.partner.classes is None:
                partner = predictions(reference.scores[new], self._output)
            else:
                partner = self.partner.classes[new]
            truth = partner if self._labels is None else self._labels[new]
            right = (board == truth) & ~np.isin(new, failed)
            difference = (partner == truth).astype(np.int8) - right.astype(np.int8)
            self._differences[self._test.seen : self._test.seen + len(new)] = difference
            self._test.extend(difference[None])
        return self.certain

    @property
    def counts(self) -> tuple[int, int]:
        """Of the samples that the verdict rests on: those that only the partner has right, and only the board."""
        used = self._differences[: self.samples]
        return int((used > 0).sum()), int((used < 0).sum())

    def facts(self, *, stopped: bool) -> dict[str, Any]:
        """Return ``sequential`` of results.json (docs/reference/results.md).

        Args:
            stopped: the campaign ended before its last sample.
        """
        worse, better = self.counts
        not_worse, by_delta = self._test.p()
        return {
            "alpha": self.spec.alpha,
            "beta": self.spec.beta,
            "delta": self.spec.delta,
            "seed": self.spec.seed,
            "partner": {"kind": self.partner.kind, "name": self.partner.name},
            "verdict": self._test.verdict(),
            "samples": self.samples,
            "total": len(self.order),
            "stopped": stopped,
            "worse": worse,
            "better": better,
            "loss": (worse - better) / self.samples if self.samples else None,
            "p_not_worse": not_worse,
            "p_worse_by_delta": by_delta,
            "text": self.text,
        }

    @property
    def text(self) -> str:
        """What was decided, in one line."""
        worse, better = self.counts
        who = f"baseline {self.partner.name}" if self.partner.kind == "baseline" else self.partner.name
        so_far = (
            f"after {self.samples:,} of {len(self.order):,} samples in random order: {worse:,} only {who} has right, "
            f"{better:,} only the board"
        )
        delta = f"{100 * self.spec.delta:g} pp"
        match self._test.verdict():
            case "regression":
                return f"regression against {who} {so_far} (a false alarm in at most {self.spec.alpha:.2g} of runs)"
            case "no regression":
                return (
                    f"no regression of {delta} against {who} {so_far} (missed in at most {self.spec.beta:.2g} of runs)"
                )
            case None:
                return f"undecided whether there is a regression of {delta} against {who} {so_far}"
