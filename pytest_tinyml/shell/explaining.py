"""When a session looks for the cause of a mismatch: ``--tinyml-explain``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.boards.base import LinkedKind
from pytest_tinyml.campaign.explain import Explainer, Explanation
from pytest_tinyml.campaign.symptom import symptom_of
from pytest_tinyml.errors import CanaryError, IdentityError
from pytest_tinyml.verdict.compare import compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.errors import TinymlError
    from pytest_tinyml.shell.options import Settings

ALWAYS: Final = "always"
NEVER: Final = "never"


class Explaining:
    """The explanation of one run.

    Args:
        plan: of the run.
        settings: of the session.
        campaign: that was run.
        folder: of its reports.
        say: tells the user.

    Attributes:
        found: ``explanation`` of results.json; None while there is none.
        wanted: False once the user wants the session to end.
    """

    def __init__(
        self, plan: Plan, settings: Settings, campaign: Campaign, folder: Path, say: Callable[[str], object]
    ) -> None:
        """Look for nothing yet."""
        self.found: dict[str, Any] | None = None
        self.wanted = settings.explain != NEVER
        self._plan, self._settings, self._campaign = plan, settings, campaign
        self._folder, self._say = folder, say

    def explain(self, broken: TinymlError | None) -> None:
        """Find the cause, once, when the boards are switched off; nothing if there is nothing to explain.

        Args:
            broken: why the board was given up, if it was.
        """
        if not self.wanted:
            return
        self.wanted = False
        if isinstance(broken, IdentityError):
            lines = broken.message.splitlines()
            self.found = self._record(Explanation(cause="firmware", text=lines[0], steps=tuple(lines)))
        elif isinstance(broken, CanaryError) or (broken is None and self._mismatch()):
            limit_s = self._settings.explain_timeout
            self._say(f"looking for the cause of the mismatch, for at most {limit_s:g} s (--tinyml-explain never)")
            explainer = Explainer(
                self._plan,
                self._folder / "explain",
                limit_s=limit_s,
                timeout_s=self._settings.timeout,
                reflash=self._may_flash,
            )
            try:
                found = explainer.explain(symptom_of(self._campaign))
            except KeyboardInterrupt:
                found = Explanation(cause=None, text="the search for the cause was interrupted", complete=False)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not cost the results of the run
                text = f"no cause was found, because of an error of pytest-tinyml: {error!r}"
                found = Explanation(cause=None, text=text, complete=False)
            self.found = self._record(found)

    def _record(self, explanation: Explanation) -> dict[str, Any]:
        # JSON has lists.
        record: dict[str, Any] = json.loads(json.dumps(asdict(explanation)))
        return record

    @property
    def _may_flash(self) -> bool:
        """Whether a part that takes no models over its link may be given other firmware.

        Unasked, that is done where it takes seconds: the firmware is linked here, and somebody may write it.
        """
        plan = self._plan
        quick = isinstance(plan.kind, LinkedKind) and plan.device.get("flasher") != "none"
        return self._settings.explain == ALWAYS or quick or not plan.kind.hardware

    def _mismatch(self) -> bool:
        """Whether the run shows more than is tolerated, or with ``always`` anything."""
        campaign = self._campaign
        if campaign.started_at is None:
            return False
        if campaign.run.conflicts():
            return True
        ids = np.flatnonzero(campaign.run.done & campaign.reference.done)
        if not len(ids):
            return False
        model = campaign.model
        board = campaign.run.scores[ids].view(model.output.dtype)
        comparison = compare(board, campaign.reference.scores[ids], None, ids, model.output, model.task)
        if self._settings.explain == ALWAYS:
            return bool(comparison.differing)
        return not campaign.settings.tolerance.allows(comparison)
