"""What boards say on their consoles, and how they die there; ports by everything that names them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.boards.esp32cam import KIND
from pytest_tinyml.boards.espconsole import Commands, ConsoleLines, parse_identity
from pytest_tinyml.boards.espcrash import CrashWatch, decode
from pytest_tinyml.boards.espport import Port, candidates, plain_mac, the_only, why_not_open
from pytest_tinyml.boards.provisioning import join_network, own_network
from pytest_tinyml.errors import BoardError, BoardTimeoutError, UsageError
from pytest_tinyml.links.console import Console

if TYPE_CHECKING:
    from pathlib import Path

SAYS = "protocol=1 board=esp32cam chip=esp32 engine=tflm firmware={f} model={m} mac=240AC4000001"
PORTS = (
    Port(path="/dev/ttyACM0", serial_number="24:0A:C4:00:00:07", location="1-1", what="USB JTAG/serial"),
    Port(path="/dev/ttyUSB0", serial_number="A50285BI", location="1-2.1", what="FT232R USB UART"),
    Port(path="/dev/ttyUSB1", location="1-2.2", what="USB Serial"),
)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("network=up address=192.168.1.7 exchanges=0", "192.168.1.7"),
        ("network=up exchanges=0", ""),
        ("network=down address=- exchanges=0", None),
    ],
)
def test_a_network_of_its_own(lines: ConsoleLines, status: str, expected: str | None) -> None:
    """A board that keeps its network, or is wired, says its address; older firmware only that it has one."""
    commands = answering(lines, {"status": f"ok status uptime_ms=7 {status}"}, [])
    assert expected == own_network(commands, 0.0)


@pytest.fixture
def lines(tmp_path: Path) -> ConsoleLines:
    """A console that has said nothing yet."""
    return ConsoleLines(Console(tmp_path / "console.log"))


def answering(lines: ConsoleLines, answers: dict[str, str], heard: list[bytes]) -> Commands:
    """Return commands to a board that answers what it is told to."""

    def write(data: bytes) -> None:
        heard.append(data)
        words = data.decode().split()
        if len(words) > 1 and words[1] in answers:
            lines.put(f"I (123) wifi: noise\r\ntinyml: {answers[words[1]]}\r\n".encode())

    return Commands(lines, write)


def test_arguments_are_percent_encoded(lines: ConsoleLines) -> None:
    """Spaces, percent signs and bytes outside of ASCII travel as RFC 3986 says; nothing of them is logged."""
    heard: list[bytes] = []
    commands = answering(lines, {"wifi": "ok wifi 192.168.1.7"}, heard)
    assert commands.ask("wifi", "a b", "50% ü", timeout_s=60.0) == "192.168.1.7"
    assert heard == [b"\ntinyml wifi a%20b 50%25%20%C3%BC\n"]
    assert lines.since(0) == ["I (123) wifi: noise", "tinyml: ok wifi 192.168.1.7"]


def test_an_error_is_the_boards_words(lines: ConsoleLines) -> None:
    """A refusal carries what the board said, an unanswered command its name; neither an argument."""
    commands = answering(lines, {"wifi": "error wifi no such network"}, [])
    with pytest.raises(BoardError, match="refuses 'tinyml wifi': no such network"):
        commands.ask("wifi", "x", "secret", timeout_s=60.0)
    with pytest.raises(BoardTimeoutError, match=r"no answer to 'tinyml server' on the console within 0\.05 s"):
        commands.ask("server", "secret", timeout_s=0.05)


def test_a_wrong_password_names_the_variables(lines: ConsoleLines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that cannot join leads to the environment, without the password."""
    monkeypatch.setenv("TINYML_WIFI_SSID", "air")
    monkeypatch.setenv("TINYML_WIFI_PASSWORD", "secret")
    commands = answering(lines, {"wifi": "error wifi no answer within 20 s"}, [])
    with pytest.raises(BoardError, match="TINYML_WIFI_SSID is 'air'") as caught:
        join_network(commands)
    assert "secret" not in str(caught.value)


def test_an_identity_in_the_midst_of_noise(lines: ConsoleLines) -> None:
    """What a board is, is found among boot messages, colours and line ends of all kinds."""
    says = SAYS.format(f="f" * 64, m="a" * 64)
    lines.put(b"\x00\xff garbage\r\n\x1b[0;32mI (31) boot: ESP-IDF\x1b[0m\r\n")
    since = 0
    threading.Timer(0.05, lambda: lines.put(f"tinyml: ready {says}\r".encode())).start()
    identity = Commands(lines, lambda _: None).identity(since, 60.0, 0.1)
    assert identity is not None
    assert (identity.board, identity.firmware_sha256, identity.mac) == ("esp32cam", "f" * 64, "240ac4000001")


def test_a_silent_board_is_asked(lines: ConsoleLines) -> None:
    """A board that was up already is asked what it is; without an answer it is None."""
    heard: list[bytes] = []
    says = SAYS.format(f="f" * 64, m="a" * 64)
    assert answering(lines, {"identity": f"ok identity {says}"}, heard).identity(0, 0.05, 60.0) is not None
    assert heard == [b"\ntinyml identity\n"]
    assert Commands(lines, lambda _: None).identity(lines.position, 0.02, 0.02) is None


def test_a_second_start_is_not_a_death(lines: ConsoleLines) -> None:
    """A port that resets when it is opened, and is then reset: the first start's line comes before the second's."""
    lines.put(f"tinyml: ready {SAYS.format(f='f' * 64, m='a' * 64)}\r\n".encode())
    heard: list[bytes] = []

    def write(data: bytes) -> None:
        heard.append(data)
        if len(heard) == 1:
            lines.put(b"ets Jul 29 2019\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n")  # starting: it did not hear that
        else:
            lines.put(b"tinyml: ready protocol=1\r\ntinyml: ok status uptime_ms=7 network=down\r\n")

    since = Commands(lines, write).settle(3, 0.05)
    assert heard == [b"\ntinyml status\n"] * 2
    assert CrashWatch(lines, since).reason() is None
    lines.put(b"rst:0xc (SW_CPU_RESET)\r\n")
    assert CrashWatch(lines, since).reason() == "the board restarted (SW_CPU_RESET)"
    with pytest.raises(BoardTimeoutError, match="no answer to 'tinyml status'"):
        Commands(lines, heard.append).settle(2, 0.02)
    assert len(heard) == 4


@pytest.mark.parametrize("text", ["protocol=2 board=x", "protocol=1 board=x chip=y"])
def test_an_identity_of_another_kind(text: str) -> None:
    """Another version, or fields that are missing, are errors."""
    with pytest.raises(BoardError):
        parse_identity(text)


PANIC = (
    b"Guru Meditation Error: Core  1 panic'ed (StoreProhibited).\r\n"
    b"Backtrace: 0x400d1111:0x3ffb0000 0x400d2222:0x3ffb0020\r\nELF file SHA256: 00\r\nRebooting...\r\n"
)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (PANIC, "the board panicked: Guru Meditation Error: Core  1 panic'ed (StoreProhibited)."),
        (b"abort() was called at PC 0x400d1234 on core 0\r\nRebooting...\r\n",
         "the board panicked: abort() was called at PC 0x400d1234 on core 0"),
        (b"rst:0x8 (TG1WDT_SYS_RESET),boot:0x13\r\n", "the board restarted (TG1WDT_SYS_RESET)"),
        (b"tinyml: ready protocol=1\r\n", "the board restarted"),
    ],
)  # fmt: skip
def test_how_boards_die(lines: ConsoleLines, said: bytes, reason: str) -> None:
    """Panics, aborts, watchdogs and plain restarts are told apart; what was said before does not count."""
    lines.put(PANIC)
    watch = CrashWatch(lines, lines.position)
    assert watch.reason() is None
    lines.put(b"I (99) wifi: fine\r\n")
    assert watch.reason() is None
    lines.put(said)
    assert watch.reason() == reason


def test_a_brown_out_has_advice(lines: ConsoleLines) -> None:
    """What a weak supply does is named as such."""
    watch = CrashWatch(lines, 0)
    lines.put(b"Brownout detector was triggered\r\nrst:0xc (SW_CPU_RESET)\r\n")
    assert "supply voltage" in str(watch.reason())


def test_a_panic_is_heard_to_its_end(lines: ConsoleLines) -> None:
    """A dump that is still being printed is waited for, but not for ever."""
    watch = CrashWatch(lines, 0)
    head = PANIC.partition(b"\r\n")[0] + b"\r\n"
    lines.put(head)
    assert watch.reason() is None
    deadline = time.monotonic() + 60.0
    while watch.reason() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_backtrace_without_a_program(lines: ConsoleLines, tmp_path: Path) -> None:
    """Addresses that no program explains are shown as they are."""
    watch = CrashWatch(lines, 0)
    lines.put(PANIC)
    assert watch.decoded(None, "esp32") == []
    assert decode(tmp_path / "none.elf", ["0x400d1111"], "esp32") == ["0x400d1111: no function of the firmware"]


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ({}, ["/dev/ttyACM0", "/dev/ttyUSB0", "/dev/ttyUSB1"]),
        ({"port": "/dev/ttyS7"}, ["/dev/ttyS7"]),
        ({"port": "rfc2217://box:4000?ign_set_control"}, ["rfc2217://box:4000?ign_set_control"]),
        ({"port": "/dev/ttyUSB*"}, ["/dev/ttyUSB0", "/dev/ttyUSB1"]),
        ({"port_serial_number": "A50285BI, other"}, ["/dev/ttyUSB0"]),
        ({"port_location": "1-2.2"}, ["/dev/ttyUSB1"]),
    ],
)
def test_ports_by_name(device: dict[str, str], expected: list[str]) -> None:
    """A path or URL is taken as it is; the other options choose among the USB ports."""
    assert candidates(device, PORTS) == expected


def test_ports_that_are_not_there() -> None:
    """No port and several ports are errors that list what there is."""
    with pytest.raises(UsageError, match=r"no serial port fits --port-serial-number X; .*\n  /dev/ttyACM0 \(USB JTAG"):
        candidates({"port_serial_number": "X"}, PORTS)
    with pytest.raises(UsageError, match="no board found: this computer has no USB serial port"):
        candidates({}, [])
    with pytest.raises(UsageError, match=r"3 serial ports fit; choose with --port.*\n.*\n  /dev/ttyUSB0 .*A50285BI"):
        the_only([port.path for port in PORTS], PORTS)


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the board says what is missing, and what installs it."""
    monkeypatch.setattr("pytest_tinyml.boards.espkind.find_spec", lambda name: None if "idf" in name else object())
    (missing,) = KIND.missing()
    assert (missing.what, missing.install) == ("pytest-embedded-idf", "pip install 'pytest-tinyml[esp]'")


def test_macs() -> None:
    """A MAC is written in any of the usual ways."""
    assert plain_mac("24:0A:C4:00:00:01") == plain_mac("240ac4000001") == "240ac4000001"
    with pytest.raises(UsageError, match="'24:0a' is not a MAC"):
        plain_mac("24:0a")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("[Errno 2] could not open port /dev/x: [Errno 2] No such file or directory", "there is no serial port /dev/x"),
        ("[Errno 13] could not open port /dev/x: [Errno 13] Permission denied", "usermod -aG dialout"),
        ("[Errno 11] Could not exclusively lock port /dev/x", "is busy"),
        ("something else", "cannot be opened: something else"),
    ],
)
def test_ports_that_do_not_open(error: str, message: str) -> None:
    """Why a port does not open is said with what helps."""
    assert message in why_not_open("/dev/x", OSError(error), PORTS)
