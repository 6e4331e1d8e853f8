"""How many inferences a second: several long windows, each between two time stamps of the device, and their median.

The rules are those of the public runners (README of eembc/energyrunner, "Selecting Performance Mode";
``benchmark/runner`` of mlcommons/tiny): five windows, each with an input of its own, of at least ten seconds and ten
inferences, after a warm-up; the score is the median of inferences per second. A window amortises what a single
inference between two printed time stamps has on top: the printing.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Final, TypeVar

from pytest_tinyml.errors import BoardError
from pytest_tinyml.links.performance import WINDOW_S, WINDOWS, Performance, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_tinyml.links.mlperf.client import Client
    from pytest_tinyml.links.mlperf.lines import Inference

LEAST: Final = 10
WARMUPS: Final = 10
_TRIAL_S: Final = 0.25
_MARGINS: Final = (1.1, 1.5, 2.5)
"""Of the tries for a window: what is measured while another program slows the device down is too slow a guess."""
_MOST: Final = 100_000_000
_CLOCK_RATIO: Final = 0.1
_CLOCK_S: Final = 0.25

T = TypeVar("T")


def measure(
    client: Client, inputs: Mapping[int, bytes], read: Callable[[Inference], T], *, window_s: float, timeout_s: float
) -> tuple[Performance, dict[int, T]]:
    """Measure one window per input.

    Args:
        client: the device, which must print time stamps.
        inputs: by the ids of their samples.
        read: makes something of the outputs behind a window, see `Client.infer`.
        window_s: least length of a window, by the device's clock.
        timeout_s: longest silence of the device beyond what a window should take.

    Returns:
        The measurement, and what `read` made of the last outputs of each window, by sample.

    Raises:
        BoardError: it fails, prints no time stamps, or no window becomes long enough.
    """
    first = next(iter(inputs.values()))
    per_s = _rate(client, first, read, timeout_s)
    windows: list[Window] = []
    outputs: dict[int, T] = {}
    for sample, data in inputs.items():
        window, outputs[sample] = _window(client, sample, data, read, per_s, window_s, timeout_s)
        windows.append(window)
    measured = Performance(
        windows=tuple(windows),
        window_s=window_s,
        median_per_s=statistics.median(window.per_s for window in windows),
        remarks=tuple(_remarks(windows, window_s)),
    )
    return measured, outputs


def _rate(client: Client, data: bytes, read: Callable[[Inference], T], timeout_s: float) -> float:
    """Find out roughly how fast the device is, with as many inferences as its clock can see."""
    times, doubted = 1, False
    while True:
        found, _ = client.infer(data, read, times=times, timeout_s=timeout_s)
        took_s = _device_s(found)
        if took_s >= _TRIAL_S or times >= _MOST:
            return times / max(took_s, 1e-6)
        # Towards the aim, not beyond it in one step: the first inferences may be slow, and clocks coarse.
        odd = found.waited_s > _TRIAL_S + 0.1 and took_s < found.waited_s * _CLOCK_RATIO
        if odd and doubted:
            msg = f"the device's clock says {took_s:g} s where the host waited {found.waited_s:.1f} s"
            raise BoardError(msg)
        if doubted := odd:
            continue  # once may have been the host, which was busy
        times = min(_MOST, times * max(2, min(16, math.ceil(_TRIAL_S / max(took_s, 1e-3)))))


def _window(
    client: Client,
    sample: int,
    data: bytes,
    read: Callable[[Inference], T],
    per_s: float,
    window_s: float,
    timeout_s: float,
) -> tuple[Window, T]:
    for margin in _MARGINS:
        times = min(_MOST, max(LEAST, math.ceil(per_s * window_s * margin)))
        # Twice what it should take: the rate was a guess.
        patience_s = timeout_s + 2 * (times + WARMUPS) / per_s
        found, outputs = client.infer(data, read, times=times, warmups=WARMUPS, timeout_s=patience_s)
        device_s = _device_s(found)
        if device_s >= window_s:
            window = Window(
                sample=sample, inferences=times, device_s=device_s, host_s=found.waited_s, per_s=times / device_s
            )
            return window, outputs
        per_s = times / max(device_s, 1e-6)
    tries = len(_MARGINS)
    msg = f"no window of {window_s:g} s in {tries} tries: the last one of {times:,} inferences took {device_s:g} s"
    raise BoardError(msg)


def _remarks(windows: Sequence[Window], window_s: float) -> list[str]:
    found: list[str] = []
    if len(windows) != WINDOWS:
        found.append(f"{len(windows)} windows, the rules have {WINDOWS}")
    if window_s < WINDOW_S:
        found.append(f"windows of at least {window_s:g} s, the rules have {WINDOW_S:g} s")
    for window in windows:
        # The host has waited for the warm-up, too, and for the answer.
        expected_s = window.device_s * (1 + WARMUPS / window.inferences)
        if abs(window.host_s - expected_s) > _CLOCK_S + _CLOCK_RATIO * expected_s:
            found.append(
                f"the device's clock says {window.device_s:.3f} s of a window for which the host waited "
                f"{window.host_s:.3f} s"
            )
            break
    return found


def _device_s(found: Inference) -> float:
    if found.microseconds is None:
        msg = "the device prints no time stamps (m-lap-us-): it is built for energy mode"
        raise BoardError(msg)
    return found.microseconds / 1e6
