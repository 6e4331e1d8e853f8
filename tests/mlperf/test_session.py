"""``pytest --board mlperf --port ...``: a device that speaks MLPerf Tiny's protocol, measured like any other board."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mlperf.device import NativeDevice
from tests.projects import output, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.projects import Project

SAMPLES = 300


@pytest.fixture
def measure(project: Project) -> Callable[..., pytest.RunResult]:
    """Returns a function that runs pytest on a device."""

    def run(device: NativeDevice, *arguments: str, model: str = "s1-ptq", limit: int = SAMPLES) -> pytest.RunResult:
        asked = ("--tinyml-model", model, f"--tinyml-limit={limit}", "-rs", "-p", "no:cacheprovider")
        # With =, so that pytest does not take the port for a path to collect from.
        return project.run("--board", "mlperf", f"--port={device.port}", *asked, *arguments)

    return run


def test_a_device_is_compared_bit_by_bit(project: Project, measure: Callable[..., pytest.RunResult]) -> None:
    """Three printed decimals tell int8 probabilities apart: every sample is bit-exact, and the verdict says why."""
    with NativeDevice() as device:
        result = measure(device)
    assert 0 == result.ret, output(result)
    results = project.results()
    assert results["passed"] is True
    assert (SAMPLES, 1.0, 0) == tuple(results["metrics"][key] for key in ("compared", "bit_exact_ratio", "max_lsb"))
    reference = results["reference"]
    assert ("scores", 0.001, 0) == tuple(reference[key] for key in ("compared", "resolution", "max_lsb_tolerated"))
    assert (False, "mlperf", "wall_us") == tuple(results["board"][key] for key in ("verified", "link", "clock"))
    assert results["canary"] == {"mlperf": [0, 43, 85, 128, 171, 214, 256, 299]}
    assert results["latency"]["p50"] > 0
    assert results["latency"]["gated"] is False  # a program is at the other end
    assert results["performance"] is None
    text = output(result)
    assert "not verified: the board cannot be asked what it runs; identity was not checked" in text
    assert "known to 0.001, less than half a step of 0.00390625: compared exactly" in text


def test_floats_are_compared_within_what_is_printed(
    project: Project, measure: Callable[..., pytest.RunResult]
) -> None:  # fmt: skip
    """Of float outputs decimals tell only so much, and that is the tolerance."""
    with NativeDevice("s1-float", digits=4) as device:
        options = ("--tinyml-option", "input=tensor", "--tinyml-option", "digits=4")
        result = measure(device, *options, model="s1-float", limit=50)
    assert 0 == result.ret, output(result)
    results = project.results()
    assert 0 < results["metrics"]["max_abs"] < results["reference"]["max_abs_tolerated"] < 1.01e-4
    assert "outputs are printed numbers, known to 0.0001: compared within 0.0001" in output(result)


def test_labels_only(project: Project, measure: Callable[..., pytest.RunResult]) -> None:
    """With too few decimals, labels are left to compare."""
    with NativeDevice(digits=1) as device:
        result = measure(device, "--tinyml-option", "answers=labels", limit=20)
    results = project.results()
    assert ("labels", None, 0.0) == (
        results["reference"]["compared"],
        results["metrics"]["bit_exact_ratio"],
        results["reference"]["resolution"],
    )
    assert (0, []) == (result.ret, results["metrics"]["flips"]), output(result)


def test_performance_mode(project: Project, measure: Callable[..., pytest.RunResult]) -> None:
    """Five windows, their median, the same outputs as in the run; short windows are said not to count."""
    with NativeDevice() as device:
        result = measure(device, "--tinyml-option", "performance=0.2", limit=20)
    assert 0 == result.ret, output(result)
    (measured,) = project.results()["performance"]
    assert ("mlperf", False, 0.2, True) == tuple(
        measured[key] for key in ("board", "valid", "window_s", "same_outputs")
    )
    # Where the computer was busy meanwhile, another one says that the two clocks differ.
    assert "windows of at least 0.2 s, the rules have 10 s" == measured["remarks"][0]
    rates = sorted(window["per_s"] for window in measured["windows"])
    assert ([0, 5, 10, 14, 19], rates[2]) == (
        [window["sample"] for window in measured["windows"]],
        measured["median_per_s"],
    )
    assert all(window["device_s"] >= 0.2 for window in measured["windows"])
    assert "not valid by MLPerf Tiny's rules: windows of at least 0.2 s" in output(result)
    names = [line for line in result.outlines if line.strip().endswith("%]")]
    assert [part in line for part, line in zip(("test_board", "performance"), names, strict=True)] == [True, True]


def test_another_model_is_named_by_the_canaries(measure: Callable[..., pytest.RunResult]) -> None:
    """A device with other weights is found before the run, and what cannot be told apart is said."""
    with NativeDevice("s1-qat") as device:
        result = measure(device)
    assert 1 == result.ret
    said = "model, preprocessing or engine differ (the board cannot say what it fed to its engine): "
    assert f"CanaryError: board 'mlperf': {said}" in output(result)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("state", "it carries state from one inference to the next"),
        ("weights", "of 8 samples differ from tflm (max 1 LSB"),
    ],
)
def test_a_wrong_device_is_found(measure: Callable[..., pytest.RunResult], fault: str, message: str) -> None:
    """State, and one score that is wrong by one step, are seen through the printed numbers."""
    with NativeDevice("s1-ptq", "--fault", fault) as device:
        result = measure(device)
    assert 1 == result.ret
    assert message in output(result)


def test_a_device_that_dies(
    project: Project, measure: Callable[..., pytest.RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failure says that the device is gone and what was answered last; nothing waits for ever."""
    monkeypatch.setattr("pytest_tinyml.boards.mlperf._BACK_S", 0.3)
    with NativeDevice("s1-ptq", "--fault", "crash@100") as device:
        result = measure(device, "--tinyml-timeout=30")
    assert 1 == result.ret
    assert 83 == project.results()["metrics"]["count"]  # 16 canaries were before them
    text = output(result)
    assert "the device does not come back: there is no serial port" in text
    assert "last sample answered: 82" in text
    assert "INTERNALERROR" not in text


def test_bad_requests(project: Project) -> None:
    """A port that is not there, and an option that is none, are refused or fail with what is wrong."""
    result = project.run("--board", "mlperf", "--port=/dev/nonsense", "--tinyml-model=s1-ptq", "--tinyml-limit=5")
    assert 1 == result.ret
    assert "UsageError: there is no serial port /dev/nonsense" in output(result)
    assert "no option of board 'mlperf' named 'digit'; did you mean 'digits'?" in refusal(
        project.run("--board", "mlperf", "--port=x", "--tinyml-model=s1-ptq", "--tinyml-option=digit=2")
    )
    assert "no option of board 'native' named 'performance'" in refusal(
        project.run("--board", "native", "--tinyml-model=s1-ptq", "--tinyml-option=performance=1")
    )
