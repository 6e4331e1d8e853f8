"""Gates: how much worse than a baseline a figure may be. ``METRIC:LIMIT`` in, a verdict and a line for people out.

A gate fails if a figure got worse by more than its limit: ``top1:0.2pp`` by 0.2 percentage points, ``latency_p50:5%``
by 5 % of the baseline's, ``flips:10`` by ten. A percentage only counts above an absolute floor (`Metric.floor`), since
1 % of a small number is nothing to stop a pull request for. A figure that was not measured, now or in the baseline,
skips its gates. A figure that got better never fails.

Nothing but the standard library is imported: options are parsed with it.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Final, Literal

Status = Literal["passed", "failed", "skipped"]
_GATE: Final = re.compile(r"\s*([A-Za-z0-9_]+)\s*:\s*([0-9.eE+-]+)\s*([A-Za-z%]*)\s*")
_LARGE: Final = 100.0
"""From here on one decimal is enough."""
_EXAMPLES: Final = "is not METRIC:LIMIT, e.g. top1:0.5pp or latency_p50:5%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure that gates can be set on.

    Attributes:
        name: before the colon.
        key: of the figure in a baseline's file.
        title: in text.
        meaning: for the documentation.
        worse: in which direction it gets worse.
        unit: of its absolute values: ``pp`` for a ratio, ``B``, ``us``, ``LSB``, or empty.
        percent: whether a limit may be in percent of the baseline's figure.
        floor: the absolute change, in `unit`, up to which a percentage does not count.
    """

    name: str
    key: str
    title: str
    meaning: str
    worse: Literal["higher", "lower"] = "higher"
    unit: str = ""
    percent: bool = True
    floor: float = 0.0

    @property
    def units(self) -> tuple[str, ...]:
        """What may follow the number."""
        absolute = ("pp",) if self.unit == "pp" else tuple(dict.fromkeys(("", self.unit)))
        return (*(("%",) if self.percent else ()), *absolute)

    def value(self, figure: float) -> str:
        """Write one of its figures."""
        if self.unit == "pp":
            return f"{figure:.2%}"
        digits = ",.1f" if self.unit == "us" or abs(figure) >= _LARGE else ".6g"
        if figure == int(figure) and self.unit != "us":
            digits = ",.0f"
        return f"{figure:{digits}}{' ' if self.unit else ''}{self.unit}"


def _ratio(name: str, title: str, meaning: str) -> Metric:
    return Metric(name=name, key=name, title=title, meaning=meaning, worse="lower", unit="pp", percent=False)


def _bytes(name: str, title: str, meaning: str, floor: float) -> Metric:
    return Metric(name=name, key=f"{name}_bytes", title=title, meaning=meaning, unit="B", floor=floor)


def _time(name: str, title: str) -> Metric:
    meaning = f"{title} of an inference by the part's own clock; never that of a computer or an emulator"
    return Metric(name=name, key=name, title=title, meaning=meaning, unit="us", floor=10.0)


METRICS: Final = {
    metric.name: metric
    for metric in (
        _ratio("top1", "top-1", "share of samples that the board classifies as labelled"),
        _ratio("agreement", "agreement", "share of samples with the host's predicted class"),
        _ratio("bit_exact", "bit-exact share", "share of samples with the host's very bytes"),
        Metric(name="flips", key="flips", title="label flips", percent=False,
               meaning="samples with another predicted class than in the baseline, for better or worse"),
        Metric(name="max_lsb", key="max_lsb", title="largest difference from the host", unit="LSB", percent=False,
               meaning="largest difference of an output from the host's, in quantisation steps"),
        Metric(name="rmse", key="rmse", title="RMSE", floor=1e-6,
               meaning="root mean square error of a regression against its targets"),
        Metric(name="mae", key="mae", title="MAE", floor=1e-6,
               meaning="mean absolute error of a regression against its targets"),
        _time("latency_p50", "median latency"),
        _time("latency_p90", "90th percentile of latency"),
        _time("latency_p99", "99th percentile of latency"),
        Metric(name="instructions", key="instructions", title="instructions per inference", floor=100.0,
               meaning="median of an inference, where the clock counts them (`--tinyml-clock instructions`)"),
        _bytes("arena", "arena", "working memory that the engine used", 64.0),
        _bytes("flash", "flash", "loaded segments of the firmware", 256.0),
        _bytes("ram", "static RAM", "writable segments of the firmware", 64.0),
        _bytes("stack", "stack", "stack that was used up to the end of the run", 64.0),
        _bytes("model", "model file", "size of the model's file", 256.0),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A metric and how much worse it may get; `text` as it was given."""

    metric: Metric
    limit: float
    unit: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a gate; ``gates`` of results.json.

    Attributes:
        metric: its name.
        limit: as it was given, without the metric.
        baseline: the baseline's figure, in its own unit (a ratio from 0 to 1 for ``pp``); None if it was not measured.
        now: the same of this run; None if it is no number, too.
        change: from the baseline's to this run's, in `unit`: positive is higher, not worse. None if not comparable.
        unit: of change: ``pp``, ``%``, ``B``, ``us``, ``LSB`` or empty.
        worse_is: ``higher`` or ``lower``.
        status: ``passed``, ``failed`` or ``skipped``.
        text: a line for people.
    """

    metric: str
    limit: str
    baseline: float | None
    now: float | None
    change: float | None
    unit: str
    worse_is: str
    status: Status
    text: str


def parse_gate(text: str) -> Gate:
    """Parse ``METRIC:LIMIT``.

    Raises:
        ValueError: it is not of this form, or there is no such metric or unit; the message lists the known.
    """
    name, colon, limit_text = text.partition(":")
    match = _GATE.fullmatch(text)
    if not colon or (name.strip() in METRICS and match is None):
        raise ValueError(_EXAMPLES)
    metric = METRICS.get(name.strip())
    if metric is None:
        close = difflib.get_close_matches(name.strip(), METRICS, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        msg = f"is not a gate: no metric named {name.strip()!r}{hint} Known: {', '.join(METRICS)}"
        raise ValueError(msg)
    number, unit = (match[2], match[3]) if match is not None else ("", "")
    try:
        limit = float(number)
    except ValueError:
        raise ValueError(_EXAMPLES) from None
    if unit not in metric.units:
        said = f"unit {unit!r}" if unit else "number without a unit"
        known = " or ".join(f"{metric.name}:1{unit}" for unit in metric.units)
        msg = f"is not a gate: {metric.name} has no {said}; known: {known}"
        raise ValueError(msg)
    if not 0.0 <= limit < math.inf:
        msg = "is not a gate: the limit must not be negative"
        raise ValueError(msg)
    return Gate(metric=metric, limit=limit, unit=unit or metric.unit, text=limit_text.strip())


def judge(gate: Gate, baseline: float | None, now: float | None, *, why: str = "", sure: str = "") -> Outcome:
    """Say whether a figure got worse by more than a gate allows.

    Args:
        gate: metric and limit.
        baseline: the figure then; None if it was not measured.
        now: the figure now; NaN or infinite is worse than any number.
        why: what to say where one of them is None.
        sure: what to add about how sure the change is; empty for nothing.
    """
    metric = gate.metric

    def outcome(status: Status, change: float | None, text: str) -> Outcome:
        return Outcome(
            metric=metric.name, limit=gate.text, baseline=baseline, now=now, change=change, unit=gate.unit,
            worse_is=metric.worse, status=status, text=text,
        )  # fmt: skip

    if baseline is not None and not math.isfinite(baseline):
        baseline = None
    if now is None or baseline is None:
        reason = why or ("it was not measured" if now is None else "the baseline has no such figure")
        return outcome("skipped", None, f"{metric.title} was not checked against {gate.text}: {reason}")
    if not math.isfinite(now):
        # A float model whose outputs are NaN, or beyond all bounds.
        text = f"{metric.title} is no number any more ({metric.value(baseline)} in the baseline)"
        now = None
        return outcome("failed", None, text)
    difference = now - baseline
    # Of a ratio, the last place of a float is no change: 0.9 - 0.7 is not 0.2.
    points = round(difference * 100.0, 9) if metric.unit == "pp" else difference
    if gate.unit == "%":
        change = difference / abs(baseline) * 100.0 if baseline else (math.copysign(math.inf, difference) or 0.0)
        change = 0.0 if not difference else round(change, 9)
    else:
        change = points
    worse = change if metric.worse == "higher" else -change
    text = _described(gate, baseline, now, change)
    too_much = worse > gate.limit
    small = gate.unit == "%" and abs(difference) <= metric.floor
    if too_much and small:
        text += f", but {metric.value(metric.floor)} or less do not count"
    elif too_much:
        text += f", more than {gate.text}"
    elif worse > 0:
        text += f", within {gate.text}"
    finite = change if math.isfinite(change) else None
    return outcome("failed" if too_much and not small else "passed", finite, f"{text}{f'; {sure}' if sure else ''}")


def _described(gate: Gate, baseline: float, now: float, change: float) -> str:
    metric = gate.metric
    if metric.name == "flips":
        flips = metric.title.removesuffix("s") if now == 1 else metric.title
        return f"{metric.value(now)} {flips} against the baseline"
    if now == baseline:
        return f"{metric.title} is {metric.value(now)} as before"
    way = "grew" if now > baseline else "fell"
    values = f"{metric.value(baseline)} to {metric.value(now)}"
    return f"{metric.title} {way} by {_amount(change, gate.unit, metric)} ({values})"


def _amount(change: float, unit: str, metric: Metric) -> str:
    size = abs(change)
    if unit == "%":
        return "more than any percentage" if math.isinf(size) else f"{size:.3g} %"
    return f"{size:.3g} pp" if unit == "pp" else metric.value(size)
