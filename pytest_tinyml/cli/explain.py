"""``tinyml explain``: why a board gives other outputs than the host, and what each operator costs on it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.cli.planning import add_options, make_plan, read_desk, scratch
from pytest_tinyml.cli.screen import tell, wrapped
from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from pytest_tinyml.campaign.explain import Explanation
    from pytest_tinyml.campaign.operators import Costs
    from pytest_tinyml.campaign.plan import Plan

_INSTRUCTIONS: Final = "instructions"
_TIMED = 64
"""Samples that operators are measured with: where instructions are counted, and where time is taken."""


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser(
        "explain", help="find the first operator whose output differs from the host's, or what each operator costs"
    )
    command.add_argument("model", help="name of the zoo (tinyml models list) or a model file")
    command.add_argument(
        "--limit", type=int, default=200, metavar="N", help="look at the first N samples (default: 200)"
    )
    command.add_argument(
        "--clock", metavar="NAME", help="with --operators (default: instructions where the board can count them)"
    )
    command.add_argument("--operators", action="store_true", help="measure each operator, and look for no difference")
    command.add_argument(
        "--timeout", type=float, default=600.0, metavar="S", help="begin nothing more after S seconds (default: 600)"
    )
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    add_options(command)
    command.set_defaults(action=run)


def run(options: argparse.Namespace) -> int:
    """Explain or measure; returns 1 if something differs, or could not be measured."""
    from pytest_tinyml.boards.registry import Registry, registered  # noqa: PLC0415 - not needed for a help text

    if options.limit < 1 or not 0.0 < options.timeout < float("inf"):
        raise UsageError("--limit and --timeout must be positive")
    registry = registered(Registry())
    desk = read_desk(options, registry)
    clock = options.clock
    if clock is None and options.operators and _INSTRUCTIONS in desk.kind(options.board, registry).clocks:
        clock = _INSTRUCTIONS
    plan = make_plan(options, registry, desk, limit=options.limit, clock=clock)
    if not plan.canaried:
        msg = f"board {plan.name!r} takes no single samples, so no experiment can be made with it"
        raise UsageError(msg)
    with scratch() as folder:
        action = _operators if options.operators else _cause
        return action(replace(plan, say=tell), folder, options)


def _quiet(text: str) -> None:
    del text


def _cause(plan: Plan, folder: Path, options: argparse.Namespace) -> int:
    """Run the samples, and explain what differs."""
    from pytest_tinyml.campaign.culprit import host_scores  # noqa: PLC0415 - not needed for a help text
    from pytest_tinyml.campaign.explain import Explainer, Explanation  # noqa: PLC0415
    from pytest_tinyml.campaign.probe import Probe  # noqa: PLC0415
    from pytest_tinyml.campaign.symptom import Symptom, symptom  # noqa: PLC0415
    from pytest_tinyml.errors import IdentityError  # noqa: PLC0415

    ids = range(plan.samples)
    probe = Probe(plan, folder)
    try:
        board = probe.answers(plan.model, ids)
        found = symptom(board.scores, host_scores(probe, plan.model, ids), ids, plan.model)
    except IdentityError as error:
        print(f"cause: firmware: {error}")
        return 1
    finally:
        probe.close()
    explanation: Explanation
    if found is None and board.inputs_right.all():
        explanation = Explanation(cause=None, text=f"nothing differs from {plan.reference.name} in {len(ids)} samples")
    else:
        wrong = tuple(k for k, right in zip(ids, board.inputs_right, strict=True) if not right)
        explainer = Explainer(plan, folder, limit_s=options.timeout, say=_quiet if options.json else tell)
        explanation = explainer.explain(found or Symptom(ids=wrong))
    if options.json:
        print(json.dumps(asdict(explanation), indent=2))
    else:
        print("\n".join(wrapped(explanation.text, indent="")))
        print("\n".join(_details(explanation)), end="")
    return int(explanation.cause is not None or not explanation.complete)


def _details(explanation: Explanation) -> list[str]:
    operator = explanation.operator
    if operator is None:
        return []
    scale = f", scale {operator.scale:.6g}, zero point {operator.zero_point}" if operator.scale else ""
    where = "" if explanation.where is None else f"{list(explanation.where)} of sample {explanation.sample}"
    return [
        f"  tensor  {operator.tensor}",
        f"          {operator.dtype} {list(operator.shape)}{scale}",
        f"  most at {where}",
        "",
    ]


def _operators(plan: Plan, folder: Path, options: argparse.Namespace) -> int:
    """Measure each operator, and print a table."""
    from pytest_tinyml.campaign.operators import COUNTED, operator_costs  # noqa: PLC0415 - not needed for a help text
    from pytest_tinyml.campaign.probe import Probe, TimeLimit  # noqa: PLC0415

    if plan.model.format != "tflite":
        msg = f"{plan.model.name}: only .tflite files are cut into their operators"
        raise UsageError(msg)
    samples = COUNTED if plan.expected_clock == _INSTRUCTIONS else _TIMED
    probe = Probe(plan, folder)
    try:
        costs = operator_costs(
            probe, range(min(plan.samples, samples)), TimeLimit(options.timeout), _quiet if options.json else tell
        )
    finally:
        probe.close()
    unit = _INSTRUCTIONS if costs.identity.clock.name.lower() == _INSTRUCTIONS else "ticks"
    if options.json:
        record = {"board": plan.name, "model": plan.model.name, "unit": unit, **asdict(costs)}
        del record["identity"]
        print(json.dumps(record, indent=2))
    else:
        print("\n".join(_table(plan, costs, unit)))
        if unit == "ticks":
            print(f"ticks are of clock {costs.identity.clock.name.lower()} at {costs.identity.tick_hz:,} Hz", end="")
            print("" if plan.kind.hardware else ": this computer's, which say nothing about a part")
    sys.stdout.flush()
    return int(not costs.complete)


def _table(plan: Plan, costs: Costs, unit: str) -> list[str]:
    """Return a line per operator; what was not measured by itself says where it is."""
    rows = [("operator", "", unit, "share", "computed by")]
    for cost in costs.operators:
        ticks = "in the next" if cost.ticks is None else f"{cost.ticks:,.0f}"
        share = "" if cost.share is None else f"{cost.share:.1%}"
        rows.append((str(cost.index), cost.type, ticks, share, cost.kernel))
    rows.append(("", "whole model", f"{costs.total:,.0f}", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [f"{plan.model.name} on {plan.name}: {unit} per inference"]
    for index, kind, ticks, share, kernel in rows:
        left = f"{index:>{widths[0]}}  {kind:<{widths[1]}}  {ticks:>{widths[2]}}  {share:>{widths[3]}}  {kernel}"
        lines.append(left.rstrip())
    return lines
