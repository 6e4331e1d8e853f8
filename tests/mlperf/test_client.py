"""The runner's side: answers of real devices, refusals, lost and spoilt bytes, silence; nothing wrong gets through."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.errors import BoardCrashedError, BoardError, BoardReportedError, BoardTimeoutError, WireError
from pytest_tinyml.links.base import LinkClosedError
from pytest_tinyml.links.mlperf import Client, Inference, measure, nearest_outputs, one_of_labels
from pytest_tinyml.links.mlperf.client import ATTEMPTS
from pytest_tinyml.links.mlperf.lines import Lines, read_inference
from pytest_tinyml.records import TensorSpec
from tests.mlperf.scripted import ScriptedDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = bytes(range(100))
INT8 = TensorSpec(dtype="int8", shape=(1, 2), scale=1 / 256, zero_point=-128)
INT16 = TensorSpec(dtype="int16", shape=(1, 2), scale=1 / 32768)
FLOAT = TensorSpec(dtype="float32", shape=(1, 2))


@pytest.fixture
def device() -> Iterator[ScriptedDevice]:
    """A device that can be scripted."""
    with ScriptedDevice() as made:
        yield made


SHORT_S = 0.4
"""For tests in which something is lost and waited for; elsewhere a busy computer shall not look like a loss."""


def client(device: ScriptedDevice, *, timeout_s: float = 30.0, verify: bool = False) -> Client:
    """Make a client."""
    return Client(device.link, timeout_s=timeout_s, say=lambda _: None, verify=verify)


def values(found: Inference) -> tuple[float, ...]:
    """Take any outputs."""
    return found.values


def once(*answers: tuple[str, str]) -> Callable[[str], str | None]:
    """Answer the first command that begins so in this way, and all others as usual."""
    left = dict(answers)

    def answer(command: str) -> str | None:
        found = next((key for key in left if command.startswith(key)), None)
        return None if found is None else left.pop(found)

    return answer


def always(start: str, text: str) -> Callable[[str], str | None]:
    """Answer every command that begins so in this way."""
    return lambda command: text if command.startswith(start) else None


def test_greeting(device: ScriptedDevice) -> None:
    """A device says who it is."""
    greeting = client(device).greet(5)
    assert ("acme", "ULPMark for tinyML Firmware V0.0.1", "ic01", True) == (
        greeting.vendor,
        greeting.profile,
        greeting.model,
        greeting.timed,
    )


def test_greeting_of_a_device_that_starts(device: ScriptedDevice) -> None:
    """What a device says when it starts is no answer to anything."""
    start = "m-timestamp-mode-performance\r\nm-lap-us-5\r\nm-init-done\r\nm-ready\r\n"
    device.answers = once(("name", start + device.usual("name")))
    assert "acme" == client(device).greet(5).vendor


def test_energy_mode_has_no_time(device: ScriptedDevice) -> None:
    """A device that shows time stamps on a pin has none on the line."""
    device.answers = always("timestamp", "m-ready\r\n")
    assert client(device).greet(5).timed is False


def test_nobody_there(device: ScriptedDevice) -> None:
    """Silence is a time-out that says what was asked."""
    device.answers = lambda _: ""
    started = time.monotonic()
    with pytest.raises(BoardTimeoutError, match="no answer to 'name%' within 1 s"):
        client(device).greet(1)
    assert 1 <= time.monotonic() - started < 20


def test_input_goes_as_the_runner_sends_it(device: ScriptedDevice) -> None:
    """31 bytes per command, each after the answer to the one before."""
    found, _ = client(device).infer(DATA, values)
    assert device.commands == [
        "db load 100",
        *(f"db {DATA[k : k + 31].hex()}" for k in (0, 31, 62, 93)),
        "infer 1 0",
    ]
    assert device.buffer == DATA
    assert (1000, 3, (0.194, 0.806)) == (found.microseconds, found.digits, found.values)


def test_clock_of_32_bits_wraps(device: ScriptedDevice) -> None:
    """Two time stamps on both sides of 2^32 are as far apart as any."""
    device.at((1 << 32) - 300)
    assert client(device).infer(DATA, values)[0].microseconds == 1000


@pytest.mark.parametrize("where", ["db load", "db 0001", "infer"])
@pytest.mark.parametrize("what", ["", "m-read", "\xff\xfe\r\n", "e-[Insufficent number of hex digits]\r\nm-ready\r\n"])
def test_what_is_lost_once_is_sent_again(device: ScriptedDevice, where: str, what: str) -> None:
    """A lost or damaged answer, or a command that arrived damaged, costs time and nothing else."""
    device.answers = once((where, what))
    made = client(device, timeout_s=SHORT_S)
    assert (0.194, 0.806) == made.infer(DATA, values)[0].values
    # A computer that is busy for longer than the time-out makes more of them.
    assert 1 <= made.losses < ATTEMPTS
    assert made.first_loss


def test_late_answers_are_passed_over(device: ScriptedDevice) -> None:
    """Answers to questions that were asked again do not become answers to other ones."""
    slept = False

    def late(command: str) -> None:
        nonlocal slept
        if command.startswith("infer") and not slept:
            slept = True
            time.sleep(1.5)

    device.answers = late
    made = client(device, timeout_s=0.6)
    assert (0.194, 0.806) == made.infer(DATA, values)[0].values
    assert (1.0, 0.0) == made.infer(b"\xff" * 40, values)[0].values
    assert (0.0, 1.0) == made.infer(bytes(40), values)[0].values


def test_a_host_that_stood_still_finds_the_answer(device: ScriptedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that came while this computer did nothing is taken, however late that is."""
    made, exchange, away_s, said = client(device, timeout_s=0.5), device.link.exchange, [1.0], bytearray()

    def held_up(out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        if out or not away_s or b"infer" not in said:
            sent, received = exchange(out, timeout_s)
            said.extend(out[:sent])
            return sent, received
        time.sleep(away_s.pop())
        return 0, b""

    monkeypatch.setattr(device.link, "exchange", held_up)
    assert (0.194, 0.806) == made.infer(DATA, values)[0].values
    assert (0, []) == (made.losses, away_s)


def test_a_device_that_never_stops_talking(device: ScriptedDevice) -> None:
    """Lines without end are no answer: the time-out is kept."""
    talking = threading.Event()

    def talk(command: str) -> str:
        del command
        if not talking.is_set():
            talking.set()
            threading.Thread(target=babble, daemon=True).start()
        return ""

    def babble() -> None:
        with contextlib.suppress(OSError):
            while True:
                device.say(b"m-hello\r\n" * 100)

    device.answers = talk
    started = time.monotonic()
    with pytest.raises(BoardTimeoutError):
        client(device).greet(0.5)
    assert time.monotonic() - started < 20


def test_bytes_that_are_missing_are_noticed(device: ScriptedDevice) -> None:
    """A device that lost a whole byte counts one too few, and gets everything again."""
    lost = False

    def lose(command: str) -> str | None:
        nonlocal lost
        if command.startswith("db 1f") and not lost:
            lost = True
            return device.usual(command[:-2])
        return None

    device.answers = lose
    made = client(device)
    assert (0.194, 0.806) == made.infer(DATA, values)[0].values
    assert "the device has not counted the bytes that were sent" == made.first_loss


def test_a_changed_byte_is_found_by_reading_back(device: ScriptedDevice) -> None:
    """Another digit in the place of one is only noticed where it is asked for."""

    def spoil(command: str) -> str | None:
        return device.usual("db ff" + command[5:]) if command.startswith("db 0001") else None

    device.answers = spoil
    assert (0.194, 0.806) != client(device).infer(DATA, values)[0].values
    with pytest.raises(BoardTimeoutError, match="5 times in a row: the input came back as another one"):
        client(device, verify=True).infer(DATA, values)


def test_a_changed_result_is_found_by_asking_twice(device: ScriptedDevice) -> None:
    """Likewise of the outputs."""
    device.answers = once(("infer", "m-lap-us-1\r\nm-lap-us-2\r\nm-results-[0.994,0.006]\r\nm-ready\r\n"))
    made = client(device, verify=True)
    assert (0.194, 0.806) == made.infer(DATA, values)[0].values
    assert "the results were other ones when they were asked for again" == made.first_loss


@pytest.mark.parametrize(
    "said",
    [
        "e-[Inference failed]",
        "Input db has 99 elemented, expected 100",
        "Supplied buffer size 100 exceeds maximum of 50",
    ],
)
def test_refusals_are_the_message(device: ScriptedDevice, said: str) -> None:
    """What a device refuses each time ends the matter in its words, also where reference devices leave the e- out."""
    device.answers = always("infer", f"{said}\r\n{device.results()}m-ready\r\n")
    with pytest.raises(BoardReportedError, match=said.removeprefix("e-[").rstrip("]")):
        client(device).infer(DATA, values)


def test_hang(device: ScriptedDevice) -> None:
    """An inference that never ends is a time-out within its bound."""
    hung: list[str] = []

    def hang(command: str) -> str | None:
        if command.startswith("infer"):
            hung.append(command)
        return "" if hung else None

    device.answers = hang
    started = time.monotonic()
    with pytest.raises(BoardTimeoutError, match="no answer to 'name%'"):
        client(device, timeout_s=SHORT_S).infer(DATA, values)
    # Once its own time-out and the 2 s of looking for the device; each of the attempts would be 12 s.
    assert time.monotonic() - started < 10


def test_restart(device: ScriptedDevice) -> None:
    """A device that starts anew in the middle is said to have."""
    device.answers = always("infer", "m-init-done\r\nm-ready\r\n")
    with pytest.raises(BoardCrashedError, match="the device has started anew"):
        client(device).infer(DATA, values)


def test_unplugged(device: ScriptedDevice) -> None:
    """A closed line is a closed line."""
    device.link.close()
    with pytest.raises(LinkClosedError):
        client(device).greet(1)


def test_lines_are_bounded_and_whole() -> None:
    """Lines come in any pieces, with any line ends; one that never ends is no leak."""
    lines = Lines()
    assert lines.feed(b"m-rea") == []
    assert lines.feed(b"dy\r\n\r\n\0x\n") == ["m-ready", "x"]
    for _ in range(100):
        lines.feed(b"y" * 10_000)
    assert len(lines.feed(b"\n")[0]) <= 1 << 16


@pytest.mark.parametrize(
    ("printed", "expected", "digits"),
    [
        ("0.250,0.750", (0.25, 0.75), 3),
        ("0.250,0.750,", (0.25, 0.75), 3),  # the reference device of two classes
        (" 0.25, 0.7500 ", (0.25, 0.75), 2),
        ("-1.5,2", (-1.5, 2.0), 0),
        ("1e-3,0.999", (0.001, 0.999), 0),
    ],
)
def test_results_as_devices_print_them(printed: str, expected: tuple[float, ...], digits: int) -> None:
    """Numbers with any signs, digits and spaces."""
    found = read_inference([f"m-results-[{printed}]"])
    assert (expected, digits) == (found.values, found.digits)


@pytest.mark.parametrize("printed", ["", "0.25,", "0.1,x", "0.25 0.75", "nan,nan", "inf,0", "0.-1-2,0.5", "0x1,0"])
def test_what_is_no_number_is_refused(printed: str) -> None:
    """A result that cannot be read is no result."""
    if printed == "0.25,":
        assert read_inference([f"m-results-[{printed}]"]).values == (0.25,)
        return
    with pytest.raises(WireError, match="no numbers"):
        read_inference([f"m-results-[{printed}]"])


def test_a_quantised_output_is_restored_from_three_digits() -> None:
    """Every probability in steps of 1/256 comes back from three digits, rounded or cut off."""
    steps = np.arange(-128, 128)
    real = (steps + 128) / 256
    one = TensorSpec(dtype="int8", shape=(1, len(steps)), scale=1 / 256, zero_point=-128)
    rounded = [float(f"{value:.3f}") for value in real]
    cut = [int(value * 1000) / 1000 for value in real]
    assert steps.tolist() == nearest_outputs(rounded, one, 1e-3).tolist()
    assert steps.tolist() == nearest_outputs(cut, one, 1e-3).tolist()


def test_a_number_that_no_output_is_printed_as_is_refused() -> None:
    """A device with other outputs is not rounded into one with the right ones."""
    with pytest.raises(WireError, match=r"output 1 is printed as 0\.502, .*the device runs a model with other outputs"):
        nearest_outputs((0.5, 0.502), INT8, 1e-3)
    with pytest.raises(WireError, match=r"output 0 is printed as 1\.5"):
        nearest_outputs((1.5, 0.0), INT8, 1e-3)
    with pytest.raises(WireError, match="3 outputs, but the model has 2"):
        nearest_outputs((0.5, 0.5, 0.0), INT8, 1e-3)


def test_finer_outputs_are_as_near_as_digits_tell() -> None:
    """Steps that are finer than a digit are restored to within it; floats are what was printed."""
    found = nearest_outputs((0.123, 0.877), INT16, 1e-3).astype(np.float64) / 32768
    assert np.abs(found - np.array((0.123, 0.877))).max() < 1e-4
    assert nearest_outputs((0.123, 0.877), FLOAT, 1e-3).tolist() == np.array((0.123, 0.877), dtype=np.float32).tolist()


def test_labels_alone() -> None:
    """Of labels nothing is kept but which; a single output is the probability of class 1."""
    assert [-128, 127] == one_of_labels((0.1, 0.9), INT8).tolist()
    single = TensorSpec(dtype="float32", shape=(1, 1))
    assert ([0.0], [1.0]) == (one_of_labels((0.4,), single).tolist(), one_of_labels((0.5,), single).tolist())


def in_time(device: ScriptedDevice, *, factor: float = 1.0) -> Callable[[str], str | None]:
    """Take 0.1 ms of real time per inference, and say that it was `factor` of that."""

    def answer(command: str) -> str | None:
        if not command.startswith("infer"):
            return None
        times, warmups = map(int, command.split()[1:])
        time.sleep(1e-4 * (times + warmups))
        took = int(100 * times * factor)
        return f"m-lap-us-7\r\nm-lap-us-{7 + took}\r\n{device.results()}m-ready\r\n"

    return answer


def test_performance(device: ScriptedDevice) -> None:
    """One window per input, none shorter than asked for, the median of the rates, and why it does not count."""
    device.answers = in_time(device)
    inputs = {sample: bytes([sample]) * 40 for sample in (3, 5, 7)}
    measured, outputs = measure(client(device), inputs, values, window_s=0.3, timeout_s=30)
    assert [3, 5, 7] == [window.sample for window in measured.windows]
    assert all(window.device_s >= 0.3 for window in measured.windows)
    assert measured.median_per_s == pytest.approx(10_000)
    assert outputs[7] == (0.027, 0.973)
    # Where the host was held up, a third one says it.
    assert measured.remarks[:2] == ("3 windows, the rules have 5", "windows of at least 0.3 s, the rules have 10 s")


def test_a_host_that_was_busy_once_has_not_found_another_clock(device: ScriptedDevice) -> None:
    """An answer that comes late is asked for again before it is held against the device's clock."""
    timely, held_up = in_time(device), [0.5]

    def answer(command: str) -> str | None:
        if command.startswith("infer") and held_up:
            time.sleep(held_up.pop())
        return timely(command)

    device.answers = answer
    measured, _ = measure(client(device), {0: DATA}, values, window_s=0.1, timeout_s=30)
    assert measured.median_per_s == pytest.approx(10_000)


def test_a_device_that_becomes_faster(device: ScriptedDevice) -> None:
    """Even if each window is faster than the one before, one becomes long enough."""
    microseconds = [60_000, 40_000, 30_000, 20_000, 14_000, 10_000]

    def answer(command: str) -> str | None:
        if not command.startswith("infer"):
            return None
        each = microseconds.pop(0) if len(microseconds) > 1 else microseconds[0]
        took = each * int(command.split()[1])
        return f"m-lap-us-7\r\nm-lap-us-{7 + took}\r\n{device.results()}m-ready\r\n"

    device.answers = answer
    measured, _ = measure(client(device), {0: DATA}, values, window_s=1.0, timeout_s=30)
    assert measured.windows[0].device_s >= 1.0


def test_a_clock_of_other_units_is_no_measurement(device: ScriptedDevice) -> None:
    """A device whose microseconds are milliseconds gets no score."""
    device.answers = in_time(device, factor=0.001)
    with pytest.raises(BoardError, match=r"clock says 0\.0\d* s where the host waited"):
        measure(client(device), {0: DATA}, values, window_s=0.9, timeout_s=10)


def test_a_clock_that_is_off_does_not_count(device: ScriptedDevice) -> None:
    """The score of a device whose clock is twice as fast as the host's is not valid."""
    device.answers = in_time(device, factor=2.0)
    measured, _ = measure(client(device), {0: DATA}, values, window_s=1.2, timeout_s=10)
    assert "the device's clock says" in measured.remarks[-1]


def test_no_performance_without_time_stamps(device: ScriptedDevice) -> None:
    """A device in energy mode cannot be measured on the line."""
    device.answers = always("infer", f"{device.results()}m-ready\r\n")
    with pytest.raises(BoardError, match="it is built for energy mode"):
        measure(client(device), {0: DATA}, values, window_s=0.1, timeout_s=1)
