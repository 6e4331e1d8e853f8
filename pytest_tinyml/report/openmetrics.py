"""Figures of a run as OpenMetrics text, which GitLab shows beside those of the target branch.

The format is https://prometheus.io/docs/specs/om/open_metrics_spec/. GitLab compares, as text, lines with the same
name and labels, and takes ``#`` for the beginning of a comment also within a label. Hence no digest, commit or date is
a label, and what is another number each time (the time of this computer) is left out: a merge request that changes
nothing shows no change.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MEDIA_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_QUANTILES: Final = {"0.5": "p50", "0.9": "p90", "0.99": "p99"}
_US_PER_S: Final = 1e6
_SIDES: Final = {"board": "board", "host": "reference"}


class _Page:
    """Families of metrics, in the order of their first value."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._families: dict[str, tuple[list[str], list[str]]] = {}

    def gauge(self, name: str, unit: str, text: str, value: float | None, /, **labels: str) -> None:
        """Add a value; None is one that was not measured or is not finite, so there is no line."""
        if value is None or not math.isfinite(value):
            return
        full = f"tinyml_{name}_{unit}" if unit else f"tinyml_{name}"
        head = [f"# TYPE {full} gauge", *([f"# UNIT {full} {unit}"] if unit else []), f"# HELP {full} {text}"]
        _, lines = self._families.setdefault(full, (head, []))
        pairs = ",".join(f'{key}="{_label(text)}"' for key, text in {**self._labels, **labels}.items())
        lines.append(f"{full}{{{pairs}}} {_number(value)}")

    def text(self) -> str:
        """Return the page, which ends as it must."""
        lines = [line for head, values in self._families.values() for line in (*head, *values)]
        return "\n".join([*lines, "# EOF\n"])


def openmetrics(results: dict[str, Any]) -> str:
    """Return the OpenMetrics text of `results` (docs/reference/results.md)."""
    page = _Page(dict(_identity(results)))
    metrics, memory = results["metrics"], results["memory"]
    page.gauge("passed", "", "1 if the run has passed.", int(results["passed"]))
    page.gauge("problems", "", "What is wrong, counted.", len(results["problems"]))
    page.gauge("samples", "", "Samples that the board answered.", metrics["count"])
    page.gauge("samples_failed", "", "Samples that the board could not answer.", len(metrics["failed"]))
    for side, key in _SIDES.items():
        page.gauge("top1", "ratio", "Share of samples classified as labelled.", metrics[f"top1_{key}"], side=side)
    page.gauge("agreement", "ratio", "Share of samples with the host's class.", metrics["argmax_agreement"])
    page.gauge("bit_exact", "ratio", "Share of samples with the host's outputs.", metrics["bit_exact_ratio"])
    if metrics["argmax_agreement"] is not None:
        page.gauge("flips", "", "Samples with another class than on the host.", len(metrics["flips"]))
    page.gauge("max_lsb", "", "Largest difference of an output in steps.", metrics["max_lsb"])
    fits = metrics["regression"]
    if fits is not None:
        for side, key in _SIDES.items():
            page.gauge("rmse", "", "Root mean square error against the targets.", fits[key]["rmse"], side=side)
    _latency(page, results["latency"])
    for one in results["performance"] or ():
        text = "Inferences per second in performance mode."
        page.gauge("inferences_per_second", "", text, one["median_per_s"], unit=one["board"])
    page.gauge("arena", "bytes", "Working memory that the engine used.", memory["arena_bytes"] or None)
    page.gauge("flash", "bytes", "Size of the firmware's loaded segments.", memory["flash_bytes"] or None)
    page.gauge("ram", "bytes", "Size of the firmware's writable segments.", memory["ram_bytes"] or None)
    for one in memory["memories"]:
        page.gauge("memory", "bytes", "What the firmware takes of a memory.", one["used"], memory=one["name"])
    for gate in results.get("gates") or ():
        if gate["status"] != "skipped":
            passed = int(gate["status"] == "passed")
            page.gauge("gate_passed", "", "1 if a gate has passed.", passed, gate=f"{gate['metric']}:{gate['limit']}")
    return page.text()


def _identity(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    board = results["board"]
    yield "board", board["id"] or board["name"]
    yield "engine", board["engine"]
    yield "model", results["model"]["name"]
    yield "dataset", results["dataset"]["name"]


def _latency(page: _Page, latency: dict[str, Any]) -> None:
    if not latency["gated"]:
        return
    for quantile, key in _QUANTILES.items():
        if latency["unit"] == "instructions":
            page.gauge("instructions", "", "Instructions of an inference.", latency[key], quantile=quantile)
        elif latency[key] is not None:
            text = "Time of an inference by the part's clock."
            page.gauge("latency", "seconds", text, latency[key] / _US_PER_S, quantile=quantile)


def _label(text: str) -> str:
    """Escape a label's value; ``#`` is for GitLab a comment."""
    plain = text.replace("#", "-").encode(errors="replace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
