"""How a campaign is run: what was decided before it began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tinyml.stores.runs import RunKey
from pytest_tinyml.verdict.compare import Tolerance

if TYPE_CHECKING:
    from pytest_tinyml.records import Dataset, Identity, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSettings:
    """How a campaign is run.

    Attributes:
        kind: name of the kind of board.
        engine: the engine that this kind has.
        link: name of the link, part of the run's identity.
        clock: name of the clock that was asked for; a board with another one is refused. None takes any.
        samples: how many of the data set's samples, from the first.
        fresh: measure everything again, even if an unfinished run could be resumed.
        restarts: how often a board is started again without an answer in between, not counting a sample that kills it.
        lease_s: seconds after which an unanswered sample is offered to another board.
        tolerance: how far the boards may be from the reference.
        id: of the board in the user's file of boards, part of the run's identity; empty for any of its kind.
        verifiable: the boards can be asked what they run; otherwise their identity is not checked.
        canaried: they answer canaries.
        resolution: how far the outputs that a board gives may be from those that it computed, in their unit; 0 if it
            gives them as they are.
    """

    kind: str
    engine: str
    link: str
    samples: int
    clock: str | None = None
    fresh: bool = False
    restarts: int = 2
    lease_s: float = 120.0
    tolerance: Tolerance = Tolerance()  # noqa: RUF009 - frozen
    id: str = ""
    verifiable: bool = True
    canaried: bool = True
    resolution: float = 0.0

    def run_key(self, model: Model, dataset: Dataset, identity: Identity, firmware_sha256: str) -> RunKey:
        """Return the run's identity, given what the boards said and the digest of the firmware that was built."""
        return RunKey(
            model_sha256=model.sha256,
            dataset_sha256=dataset.sha256,
            samples=self.samples,
            preprocess=repr(model.preprocess),
            board=f"{self.kind} {self.id}".rstrip(),
            engine=identity.engine,
            link=self.link + (" (labels)" if self.tolerance.labels_only else ""),
            clock=identity.clock.name.lower(),
            firmware_sha256=firmware_sha256,
        )
