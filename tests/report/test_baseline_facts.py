"""Which figures of a run gates can be set on, and why one is not compared."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_tinyml.report.baseline import content_of, figures, judge_gates
from pytest_tinyml.stores.baseline import BaselineKey, save_baseline
from pytest_tinyml.verdict.gate import METRICS, parse_gate
from pytest_tinyml.verdict.paired import Paired

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.stores.baseline import Baseline

KEY: Final = BaselineKey(board="b", chip="c", engine="e", model="m", dataset_sha256="0" * 64)
RESULTS: Final[dict[str, Any]] = {
    "created": "2026-01-02T03:04:05Z",
    "pytest_tinyml": "1",
    "passed": True,
    "git": {"commit": "ab" * 20, "dirty": True, "branch": None},
    "board": {"id": None, "clock": "cycles", "link": "serial", "firmware_sha256": "", "firmware_version": "1"},
    "model": {"sha256": "1" * 64, "task": "classification", "bytes": 61_120},
    "dataset": {"name": "own", "count": 100},
    "reference": {"name": "tflm", "version": "1", "compared": "scores"},
    "metrics": {
        "compared": 100, "top1_board": 0.9, "argmax_agreement": 1.0, "bit_exact_ratio": 0.5, "max_lsb": 1,
        "regression": None, "confusion_board": [[40, 10, 0], [0, 50, 0], [0, 0, 0]],
    },
    "latency": {"clock": "cycles", "unit": "us", "gated": True, "p50": 900.0, "p90": 910.0, "p99": 990.0},
    "memory": {"arena_bytes": 900, "flash_bytes": 0, "ram_bytes": None, "stack_bytes": 4096, "stack_unused_bytes": 96},
}  # fmt: skip
FIT: Final = {"regression": {"board": {"rmse": 0.5, "mae": 0.25}}, "top1_board": None, "argmax_agreement": None}


def results(**changed: dict[str, Any]) -> dict[str, Any]:
    """Return the results with some values of their tables changed."""
    made = copy.deepcopy(RESULTS)
    for table, values in changed.items():
        made[table] |= values
    return made


def kept(tmp_path: Path, **changed: dict[str, Any]) -> Baseline:
    """Return these results as a baseline."""
    return save_baseline(tmp_path, KEY, "main", content_of(results(**changed)), None)


def test_every_metric_has_a_figure() -> None:
    """What gates can be set on is measured, but for flips, which only a baseline gives."""
    assert [metric.key for metric in METRICS.values() if metric.key != "flips"] == sorted(
        figures(RESULTS), key=[metric.key for metric in METRICS.values()].index
    )


def test_figures() -> None:
    """Figures are those of the results; what is unknown, and time that is not the part's, is none."""
    expected: dict[str, Any] = {
        "top1": 0.9, "agreement": 1.0, "bit_exact": 0.5, "max_lsb": 1, "rmse": None, "mae": None,
        "latency_p50": 900.0, "latency_p90": 910.0, "latency_p99": 990.0, "instructions": None,
        "arena_bytes": 900, "flash_bytes": None, "ram_bytes": None, "stack_bytes": 4000, "model_bytes": 61_120,
    }  # fmt: skip
    times = dict.fromkeys(("latency_p50", "latency_p90", "latency_p99"))
    assert expected == figures(RESULTS)
    assert expected | times == figures(results(latency={"gated": False}))
    counted = results(latency={"clock": "instructions", "unit": "instructions"})
    assert expected | times | {"instructions": 900.0} == figures(counted)
    assert {"rmse": 0.5, "mae": 0.25}.items() <= figures(results(metrics=FIT)).items()


def test_content(tmp_path: Path) -> None:
    """A baseline's file says when, from what, and of each class how many were right."""
    content = kept(tmp_path).content
    assert ("ab" * 20, True, True) == (content["commit"], content["dirty"], content["passed"])
    assert {"0": "40 of 50", "1": "50 of 50"} == content["classes"]
    no_number = FIT | {"regression": {"board": {"rmse": float("nan"), "mae": 0.25}}}
    figures = kept(tmp_path, metrics=no_number).figures
    assert (None, 0.25) == (figures["rmse"], figures["mae"])


LABELS: Final = {"reference": {"compared": "labels"}, "metrics": {"bit_exact_ratio": None, "max_lsb": None}}
WALL: Final = {"latency": {"clock": "wall_us", "gated": False}}
COUNTED: Final = {"latency": {"clock": "instructions", "unit": "instructions"}}
UNTIMED: Final = {"latency": {"clock": None, "gated": False, "p50": None, "p90": None, "p99": None}}
# Gate, what differs now, what is said.
SKIPPED: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("latency_p50:5%", WALL, "clock wall_us is that of this computer, not the part's"),
    ("latency_p99:5%", COUNTED, "clock instructions of this board counts instructions: use instructions:LIMIT"),
    ("latency_p90:5%", UNTIMED, "the board does not say how long inferences take"),
    (
        "instructions:1%",
        {},
        ("clock cycles counts no instructions (emulated boards do with --tinyml-clock instructions)"),
    ),
    ("flash:1%", {}, "the board does not say it"),
    ("top1:1pp", {"metrics": {"top1_board": None}}, "the data set has no labels"),
    ("top1:1pp", {"metrics": {"compared": 0, "top1_board": None}}, "no sample was compared"),
    ("rmse:1%", {}, "the run is no regression, or its data set has no targets"),
    ("top1:1pp", {"model": {"task": "regression"}, "metrics": FIT}, "a regression predicts no classes"),
    ("flips:0", {"model": {"task": "regression"}, "metrics": FIT}, "a regression predicts no classes"),
    ("bit_exact:1pp", LABELS, "the board answers with labels only"),
    ("agreement:1pp", {"reference": {"name": "litert"}}, "the baseline was compared with tflm, this run with litert"),
    ("max_lsb:0", {"metrics": {"compared": 40}}, "only 40 of 100 samples were compared"),
]


@pytest.mark.parametrize(("gate", "changed", "reason"), SKIPPED)
def test_skipped(tmp_path: Path, gate: str, changed: dict[str, Any], reason: str) -> None:
    """What cannot be compared is skipped, with the reason."""
    (outcome,) = judge_gates([parse_gate(gate)], results(**changed), kept(tmp_path), None)
    assert outcome.status == "skipped"
    assert outcome.text.endswith(f" was not checked against {gate.partition(':')[2]}: {reason}")


def test_new_figure(tmp_path: Path) -> None:
    """A figure that the baseline does not have is skipped, and says that it is the baseline's fault."""
    now = results(memory={"flash_bytes": 70_000})
    (outcome,) = judge_gates([parse_gate("flash:1%")], now, kept(tmp_path), None)
    assert (None, 70_000) == (outcome.baseline, outcome.now)
    assert outcome.text == "flash was not checked against 1%: the baseline has no such figure"


def test_first_run() -> None:
    """Without a baseline every gate is skipped."""
    outcomes = judge_gates([parse_gate("top1:1pp"), parse_gate("arena:1%")], RESULTS, None, None)
    assert [("skipped", None)] * 2 == [(outcome.status, outcome.now) for outcome in outcomes]


def test_regression_is_gated(tmp_path: Path) -> None:
    """The error of a regression fails its gate like any other figure."""
    then, now = {"metrics": FIT}, {"metrics": FIT | {"regression": {"board": {"rmse": 0.6, "mae": 0.25}}}}
    outcomes = judge_gates([parse_gate("rmse:1%"), parse_gate("mae:1%")], results(**now), kept(tmp_path, **then), None)
    assert ["failed", "passed"] == [outcome.status for outcome in outcomes]
    assert "RMSE grew by 20 % (0.5 to 0.6), more than 1%" == outcomes[0].text


def test_paired(tmp_path: Path) -> None:
    """Top-1 and flips are of the samples that were answered, and the text says how sure the difference is."""
    paired = Paired(count=40, flips=(3, 5, 9), before=40, now=37, better=0, worse=3)
    gates = [parse_gate("top1:1pp"), parse_gate("flips:2")]
    top1, flips = judge_gates(gates, results(metrics={"compared": 40}), kept(tmp_path), paired)
    assert (1.0, 0.925, "failed") == (top1.baseline, top1.now, top1.status)
    assert top1.text.endswith("; noise at an error rate of 0.05 (3 worse, 0 better, exact McNemar p = 0.25)")
    assert (3.0, "failed") == (flips.now, flips.status)
