"""Figures as OpenMetrics text, read by Prometheus' own client and as GitLab reads it."""

from __future__ import annotations

import copy
import shlex
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pytest_tinyml.report.openmetrics import openmetrics
from tests.report.made import EVIL

GATES = [
    {"metric": "top1", "limit": "0.2pp", "status": "failed", "text": "worse"},
    {"metric": "arena", "limit": "1%", "status": "passed", "text": "the same"},
    {"metric": "flips", "limit": "10", "status": "skipped", "text": "not measured"},
]


def values(text: str) -> dict[str, float]:
    """Return every value by its name and the labels that not all have."""
    found = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call] # it has no annotations
        for sample in family.samples:
            labels = {key: label for key, label in sample.labels.items() if key not in _SHARED}
            found[":".join((sample.name, *labels.values()))] = sample.value
    return found


_SHARED = {"board", "engine", "model", "dataset"}


def test_figures(results: dict[str, Any]) -> None:
    """The client of Prometheus reads every figure that was measured."""
    expected = {
        "tinyml_passed": 1, "tinyml_problems": 0, "tinyml_samples": 8, "tinyml_samples_failed": 0,
        "tinyml_top1_ratio:board": 1.0, "tinyml_top1_ratio:host": 0.875, "tinyml_agreement_ratio": 0.875,
        "tinyml_bit_exact_ratio": 0.875, "tinyml_flips": 1, "tinyml_max_lsb": 8,
        "tinyml_latency_seconds:0.5": 0.0012505, "tinyml_latency_seconds:0.9": 0.0013,
        "tinyml_latency_seconds:0.99": 0.00140025, "tinyml_arena_bytes": 922, "tinyml_flash_bytes": 70000,
        "tinyml_ram_bytes": 9000, "tinyml_memory_bytes:FLASH": 70000, "tinyml_gate_passed:top1:0.2pp": 0,
        "tinyml_gate_passed:arena:1%": 1,
    }  # fmt: skip
    assert expected == pytest.approx(values(openmetrics(results | {"gates": GATES})))


def test_nothing_measured(results: dict[str, Any]) -> None:
    """A run that never began has a verdict and no figures."""
    empty: dict[str, Any] = dict.fromkeys(results["metrics"]) | {"count": 0, "failed": [], "flips": []}
    latency = results["latency"] | {"gated": False}
    memory = dict.fromkeys(results["memory"]) | {"memories": []}
    text = openmetrics(results | {"metrics": empty, "latency": latency, "memory": memory, "passed": False})
    expected = {"tinyml_passed": 0, "tinyml_problems": 0, "tinyml_samples": 0, "tinyml_samples_failed": 0}
    assert expected == values(text)


def test_regression_and_instructions(results: dict[str, Any]) -> None:
    """A regression has errors, an emulated board instructions, and performance mode a rate per board."""
    fits = {"board": {"rmse": 0.25}, "reference": {"rmse": None}}
    changed = copy.deepcopy(results)
    changed["metrics"] |= {"regression": fits, "argmax_agreement": None, "top1_board": None, "top1_reference": None}
    changed["latency"] |= {"unit": "instructions", "p50": 1000, "p90": 1000, "p99": 1001}
    changed["performance"] = [{"board": "desk-1", "median_per_s": 71.5}]
    found = values(openmetrics(changed))
    assert (0.25, 1000, 1001, 71.5) == (
        found["tinyml_rmse:board"],
        found["tinyml_instructions:0.5"],
        found["tinyml_instructions:0.99"],
        found["tinyml_inferences_per_second:desk-1"],
    )
    assert {"tinyml_rmse:host", "tinyml_flips", "tinyml_latency_seconds:0.5", "tinyml_top1_ratio:board"}.isdisjoint(
        found
    )


def test_gitlab(results: dict[str, Any]) -> None:
    """GitLab cuts a line at ``#`` and splits it as a shell does: every name is its own, whatever things are called."""
    results["board"] |= {"id": 'desk #1 "left"', "chip": EVIL}
    results["model"] |= {"name": EVIL}
    lines = [line.partition("#")[0] for line in openmetrics(results).splitlines()]
    read = [shlex.split(line) for line in lines if line.strip()]
    assert {2} == {len(parts) for parts in read}
    assert len(values(openmetrics(results))) == len({name for name, _ in read})
    assert '"desk -1 \\"left\\""' in openmetrics(results)


def test_the_same_again(results: dict[str, Any]) -> None:
    """What differs from run to run though nothing was changed is not there: GitLab would show a change each time."""
    again = copy.deepcopy(results)
    again["created"] = "2027-01-01T00:00:00Z"
    again["throughput"] = {"samples_per_s": 1.0, "wall_s": 9.0, "resumed_samples": 3}
    again["git"] = {"commit": "9" * 40, "dirty": True, "branch": "other"}
    again["model"]["sha256"] = again["board"]["firmware_sha256"] = "8" * 64
    assert openmetrics(results) == openmetrics(again)
    for one, p50 in ((results, 7.0), (again, 8.0)):
        one["latency"] |= {"gated": False, "p50": p50}
    assert openmetrics(results) == openmetrics(again)
