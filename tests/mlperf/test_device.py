"""The device's side of MLPerf Tiny's protocol, word by word, as native speaks it."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.stores.datasets import load_dataset
from tests.firmware.tools import CORE, FIRMWARE, INCLUDE, fuzz
from tests.mlperf.device import NativeDevice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_S = 60.0
SEEDS = (
    b"\x03name%profile%timestamp%help%results%db print%bogus%",
    b"\x07db load 40%db " + b"0123456789abcdefABCDEF00" * 3 + b"%db " + b"00" * 35 + b"%db print%infer 3 2%results%",
    b"\x00db load 4294967296%db load 41%db 0%db gg%infer 0%infer 1 x%" + b"y" * 100 + b"%",
)


class Terminal:
    """Types commands, and reads up to the next m-ready."""

    def __init__(self, port: str) -> None:
        """Open the port and wait for what a device says when it starts."""
        self._fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.first = self.read()

    def read(self) -> list[str]:
        """Return the lines of one answer, m-ready included."""
        text, deadline = "", time.monotonic() + TIMEOUT_S
        while not text.endswith("m-ready\r\n"):
            assert select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))[0], text
            text += os.read(self._fd, 4096).decode("ascii")
        assert text.count("\n") == text.count("\r\n")
        return text.splitlines()

    def ask(self, command: str) -> list[str]:
        """Return the answer without its last line."""
        os.write(self._fd, f"{command}%".encode("ascii"))
        *answer, last = self.read()
        assert last == "m-ready"
        return answer

    def load(self, data: bytes) -> None:
        """Send an input as the runner does: 31 bytes at a time."""
        assert self.ask(f"db load {len(data)}") == [f"m-[Expecting {len(data)} bytes]"]
        *most, last = [self.ask(f"db {data[k : k + 31].hex()}") for k in range(0, len(data), 31)]
        assert most == [[]] * len(most)
        assert last == ["m-load-done"]

    def close(self) -> None:
        """Close the port."""
        os.close(self._fd)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal on a healthy device with model s1-ptq."""
    with NativeDevice() as device:
        made = Terminal(device.port)
        yield made
        made.close()


def test_start_name_and_profile(terminal: Terminal) -> None:
    """A device says when it is ready, and then who it is."""
    mode, lap, *rest = terminal.first
    assert (mode, lap[:9]) == ("m-timestamp-mode-performance", "m-lap-us-")
    assert rest == ["m-init-done", "m-ready"]
    assert terminal.ask("name") == ["m-name-dut-[native]"]
    profile, model = terminal.ask("profile")
    assert profile.startswith("m-profile-[pytest-tinyml ")
    assert model == "m-model-[s1-ptq]"


def test_timestamps_go_on_by_microseconds(terminal: Terminal) -> None:
    """Two time stamps are as far apart as the host sees them, modulo 2^32."""
    started = time.monotonic()
    (first,) = terminal.ask("timestamp")
    time.sleep(0.2)
    (second,) = terminal.ask("timestamp")
    waited_us = (time.monotonic() - started) * 1e6
    apart = (int(second.removeprefix("m-lap-us-")) - int(first.removeprefix("m-lap-us-"))) % (1 << 32)
    # Both were taken between our two looks at the clock; each is cut to whole microseconds.
    assert 199_999 <= apart <= waited_us + 1


def test_buffer_comes_back(terminal: Terminal) -> None:
    """``db print`` shows what was loaded, eight bytes a line."""
    terminal.ask("db load 10")
    assert terminal.ask("db 00010203040506070809FFFF") == ["m-load-done"]
    assert terminal.ask("db print") == ["m-buffer-00-01-02-03-04-05-06-07", "m-buffer-08-09"]


def test_inference_prints_the_outputs(terminal: Terminal) -> None:
    """The outputs are printed with three decimals, between two time stamps, as often as they are asked for."""
    image = load_dataset("mnist-28k").images[0]
    terminal.load(image.tobytes())
    answer = terminal.ask("infer 20 3")
    laps = [line for line in answer if line.startswith("m-lap-us-")]
    assert len(laps) == 2
    assert [line for line in answer if line not in laps] == [
        *("m-warmup-start-3", "m-warmup-done", "m-infer-start-20", "m-infer-done"),
        *terminal.ask("results"),
    ]
    values = [float(word) for word in answer[-1].removeprefix("m-results-[").rstrip("]").split(",")]
    assert len(values) == 10
    assert np.isclose(sum(values), 1.0, atol=0.02)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("bogus", "Unknown command: bogus"),
        ("", "Unknown command: "),
        ("db", "Command 'db' requires a subcommand"),
        ("db load", "Command 'db load' requires the # of bytes, >0"),
        ("db load 0", "Command 'db load' requires the # of bytes, >0"),
        ("db load -1", "Command 'db load' requires the # of bytes, >0"),
        ("db load 785", "Command 'db load' takes at most 784 bytes"),
        ("db load 99999999999", "Command 'db load' requires the # of bytes, >0"),
        ("db 0", "Insufficent number of hex digits"),
        ("db 0g", "Invalid hex digit"),
        ("db 00", "Buffer is full, or 'db load' is missing"),
        ("infer", "Input db has 0 bytes, which is no input"),
        ("infer 0", "Inference iterations must be >0"),
        ("infer 1 x", "Inference warmup must be >=0"),
        ("x" * 200, "Command too long"),
        ("a\r\nm-ready\r\nb", "Unknown command: a??m-ready??b"),  # an answer to nobody's question
    ],
)
def test_what_cannot_be_done_is_refused(terminal: Terminal, command: str, reason: str) -> None:
    """A refusal says why, and the device goes on."""
    assert terminal.ask(command) == [f"e-[{reason}]"]
    assert terminal.ask("name") == ["m-name-dut-[native]"]


def test_a_failing_engine_gives_no_result() -> None:
    """Where the inference fails, nothing is printed that could be taken for a result."""
    with NativeDevice("s1-ptq", "--fault", "engine-error@1") as device:
        terminal = Terminal(device.port)
        terminal.load(bytes(784))
        assert "e-[Inference failed]" == terminal.ask("infer 1 0")[-1]
        assert terminal.ask("infer 1 0")[-1].startswith("m-results-[")
        terminal.close()


def test_floats_are_printed_like_printf() -> None:
    """Decimals of a float output are those of C's printf, with signs, and as many as were asked for."""
    with NativeDevice("s1-float", digits=6) as device:
        terminal = Terminal(device.port)
        terminal.load((load_dataset("mnist-28k").images[1] / np.float32(255)).astype("<f4").tobytes())
        (line,) = [line for line in terminal.ask("infer 1 0") if line.startswith("m-results-")]
        terminal.close()
    words = line.removeprefix("m-results-[").rstrip("]").split(",")
    assert [f"{float(word):.6f}" for word in words] == words
    assert np.isclose(sum(map(float, words)), 1.0, atol=1e-4)


@pytest.mark.fuzz
def test_fuzzer_finds_nothing(tmp_path: Path) -> None:
    """Any bytes as commands, cut anywhere: each is answered once, in whole lines, and no buffer overflows."""
    sources = [FIRMWARE / "tests" / "fuzz_mlperf.c", *sorted((FIRMWARE / "mlperf").glob("*.c")), *CORE]
    assert fuzz(sources, (INCLUDE, f"-I{FIRMWARE / 'mlperf'}"), tmp_path, share=0.1, seeds=SEEDS) > 1000


def test_protocol_is_freestanding() -> None:
    """The device's side includes nothing but the core and string.h, so that any port can have it."""
    for file in sorted((FIRMWARE / "mlperf").glob("*.[ch]")):
        found = [line.split()[1] for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#inc")]
        assert set(found) <= {"<string.h>", '"tml.h"', '"tml_text.h"', '"tml_mlperf.h"'}, file.name
