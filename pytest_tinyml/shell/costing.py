"""What each operator costs where instructions are counted: for a baseline that is saved, or when their gate failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.campaign.operators import COUNTED, operator_costs
from pytest_tinyml.campaign.probe import Probe, TimeLimit
from pytest_tinyml.errors import TinymlError
from pytest_tinyml.report.operators import operator_facts
from pytest_tinyml.shell.explaining import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.shell.options import Settings
    from pytest_tinyml.shell.regression import Regression

METRIC: Final = "instructions"


class Costing:
    """The costs of one run's operators.

    Args:
        plan: of the run.
        settings: of the session.
        regression: knows the baseline.
        folder: of the run's reports.
        say: tells the user.

    Attributes:
        found: ``operators`` of results.json; None while there is nothing.
        wanted: False once the user wants the session to end.
    """

    def __init__(
        self, plan: Plan, settings: Settings, regression: Regression, folder: Path, say: Callable[[str], object]
    ) -> None:
        """Measure nothing yet."""
        self.found: list[dict[str, Any]] | None = None
        self.wanted = settings.explain != NEVER
        self._plan, self._settings, self._regression = plan, settings, regression
        self._folder, self._say = folder, say

    def measure(self, results: dict[str, Any]) -> bool:
        """Measure once, when the boards are switched off, if the results so far call for it; returns whether it did."""
        if not self.wanted or not self._called_for(results):
            return False
        self.wanted = False
        limit_s = self._settings.explain_timeout
        self._say(f"counting the instructions of each operator, for at most {limit_s:g} s (--tinyml-explain never)")
        probe = Probe(self._plan, self._folder / "explain", timeout_s=self._settings.timeout)
        try:
            ids = range(min(self._plan.samples, COUNTED))
            costs = operator_costs(probe, ids, TimeLimit(limit_s), lambda _: None)
        except (TinymlError, KeyboardInterrupt) as error:
            # The run's results are worth more than what its operators cost.
            self._say(f"the operators could not be counted: {str(error) or 'interrupted'}")
        else:
            self.found = operator_facts(costs, self._regression.baseline)
        finally:
            probe.close()
        return self.found is not None

    def _called_for(self, results: dict[str, Any]) -> bool:
        if results["latency"]["unit"] != METRIC or results["latency"]["p50"] is None:
            return False
        if self._plan.model.format != "tflite" or self._plan.kind.hardware:
            return False
        slower = any(gate["metric"] == METRIC and gate["status"] == "failed" for gate in results["gates"] or ())
        saved = self._settings.save is not None or self._settings.autosave
        return slower or (saved and bool(results["passed"]))
