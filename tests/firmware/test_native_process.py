"""The native board as a process: both transports, faults on demand, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from pytest_tinyml import wire
from pytest_tinyml.errors import WireError
from pytest_tinyml.firmware import Firmware, build_native
from pytest_tinyml.records import Clock, Encoding
from tests.firmware.host import TIMEOUT_S, Host
from tests.firmware.tools import FIRMWARE
from tests.processes import is_running

ROWS = np.random.default_rng(5).integers(0, 256, (50, 784), dtype=np.uint8)
# The null engine: output element i is input element 78 i, and a pixel becomes pixel - 128.
SCORES = (ROWS[:, np.arange(10) * 78] ^ 0x80).astype(np.uint8)
IDS = np.arange(50)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    """Build the firmware with the engine that does nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYML_CACHE", str(tmp_path_factory.mktemp("cache")))
        return build_native(sorted((FIRMWARE / "engines" / "null").glob("*.c")), [])


def infer(host: Host, ids: np.ndarray = IDS, rows: np.ndarray = ROWS, seq: int = 9) -> None:
    """Send one batch of raw pixels."""
    host.send(wire.encode_frame(wire.MessageType.INFER, seq, wire.encode_infer_rows(Encoding.PIXELS, ids, rows)))


def frame(reply: object) -> wire.Frame:
    """Return a reply that must be a frame."""
    assert isinstance(reply, wire.Frame), reply
    return reply


@pytest.mark.parametrize("over_tty", [False, True], ids=["socket", "tty"])
def test_identity(firmware: Firmware, over_tty: bool) -> None:
    """The board says what it was built from, and how much it can take."""
    with Host(firmware.path, over_tty=over_tty) as host:
        identity = host.hello(session=77)
    assert identity.session == 77
    assert firmware.sha256 == identity.firmware_sha256
    assert (firmware.flash_bytes, firmware.ram_bytes) == (identity.flash_bytes, identity.ram_bytes)
    assert (identity.board, identity.engine, identity.model, identity.preprocess) == ("native", "null", "null", "lut")
    assert (identity.clock, identity.tick_hz) == (Clock.WALL, 10**9)
    assert (identity.rx_window, identity.max_frame) == ((8192, 4096) if over_tty else (1 << 19, 1 << 17))


def test_window_and_name_can_be_chosen(firmware: Firmware) -> None:
    """Options change what the board announces."""
    with Host(firmware.path, "--rx-window", "2048", "--max-frame", "1000", "--board", "other") as host:
        identity = host.hello()
    assert (identity.rx_window, identity.max_frame, identity.board) == (2048, 1000, "other")


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "packed"])
@pytest.mark.parametrize("over_tty", [False, True], ids=["socket", "tty"])
def test_every_sample_comes_back(firmware: Firmware, over_tty: bool, packed: bool) -> None:
    """Scores belong to the samples they were sent for, in whatever way these travel."""
    with Host(firmware.path, over_tty=over_tty) as host:
        host.hello()
        got: dict[int, bytes] = {}
        for start in range(0, 50, 4):
            ids, rows = IDS[start : start + 4], ROWS[start : start + 4]
            listed = [wire.deflate_sample(row.tobytes()) for row in rows]
            payload = (
                wire.encode_infer_packed(Encoding.PIXELS_DEFLATE, ids.tolist(), listed)
                if packed
                else wire.encode_infer_rows(Encoding.PIXELS, ids, rows)
            )
            batch = wire.decode_results(host.ask(wire.MessageType.INFER, start, payload).payload, 10)
            assert batch.last
            got |= {int(i): s.tobytes() for i, s in zip(batch.ids, batch.scores, strict=True)}
    assert {i: SCORES[i].tobytes() for i in range(50)} == got


def test_canary_reads_the_engines_own_input(firmware: Firmware) -> None:
    """The CRC is that of the preprocessed tensor."""
    with Host(firmware.path) as host:
        payload = wire.encode_infer_packed(Encoding.PIXELS, [3], [ROWS[3].tobytes()])
        reply = wire.decode_canary_result(host.ask(wire.MessageType.CANARY, 2, payload).payload, 10)
    assert zlib.crc32((ROWS[3] ^ 0x80).tobytes()) == reply.input_crc
    assert SCORES[3].tobytes() == reply.scores


def test_restart(firmware: Firmware) -> None:
    """RESET of kind 1 is answered, and a fresh process (by its counters) answers the next HELLO."""
    with Host(firmware.path) as host:
        host.hello()
        infer(host)
        assert frame(host.receive()).type == wire.MessageType.RESULT
        assert host.ask(wire.MessageType.RESET, 3, wire.encode_reset(1)).type == wire.MessageType.RESET_DONE
        assert host.hello(session=5).session == 5
        stats = wire.decode_stats(host.ask(wire.MessageType.STATS, 4, b"").payload)
    assert stats[wire.StatKey.INFERENCES] == 0


@pytest.mark.parametrize("over_tty", [False, True], ids=["socket", "tty"])
def test_process_ends_when_the_host_hangs_up(firmware: Firmware, over_tty: bool) -> None:
    """No process is left behind when the line closes."""
    with Host(firmware.path, over_tty=over_tty) as host:
        host.hello()
        host.hang_up()
        assert host.process.wait(TIMEOUT_S) == 0


def test_process_ends_when_its_parent_is_killed_while_it_hangs(firmware: Firmware) -> None:
    """Killing the host (signal 9) ends the board within seconds, even if it reads the line no more."""
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom tests.firmware.host import Host\n"
        "from tests.firmware.test_native_process import infer\n"
        "host = Host(Path(sys.argv[1]), '--fault', 'hang@1')\nhost.hello()\ninfer(host)\n"
        "print(host.process.pid, flush=True)\ntime.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", script, str(firmware.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        board = int(parent.stdout.readline())
        os.kill(board, 0)
        parent.kill()
    deadline = time.monotonic() + TIMEOUT_S
    while is_running(board) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(board)


@pytest.mark.parametrize(("fault", "number"), [("crash", signal.SIGSEGV), ("abort", signal.SIGABRT)])
def test_a_crash_is_reported(firmware: Firmware, fault: str, number: int) -> None:
    """ERROR FAULT names signal, address, request and sample; then the process dies of that signal."""
    with Host(firmware.path, "--fault", f"{fault}@18") as host:
        host.hello()
        infer(host, seq=44)
        reply = frame(host.receive())
        report = wire.decode_error(reply.payload)
        assert host.process.wait(TIMEOUT_S) == -number
        with pytest.raises(EOFError):
            host.receive()
        assert host.process.stderr is not None
        console = host.process.stderr.read()
    assert (reply.seq, report.code, report.sample_id) == (44, wire.ErrorCode.FAULT, 17)
    assert report.text.startswith(f"{signal.Signals(number).name}, address 0x")
    assert "pc 0x" in report.text
    assert report.text in console


def test_a_silent_end_and_a_hang(firmware: Firmware) -> None:
    """An exit closes the line; a hang answers nothing and ends with the process."""
    with Host(firmware.path, "--fault", "exit@1") as host:
        infer(host)
        with pytest.raises(EOFError):
            host.receive()
        assert host.process.wait(TIMEOUT_S) == 3
    with Host(firmware.path, "--fault", "hang@1") as host:
        infer(host)
        assert host.receive(0.3) is None
        host.process.kill()


@pytest.mark.parametrize("fault", ["corrupt-tx", "truncate-tx", "drop-tx"])
def test_a_damaged_reply_is_noticed_and_can_be_asked_for_again(firmware: Firmware, fault: str) -> None:
    """No damaged frame is taken for a good one, and the same request again gives the right answer."""
    with Host(firmware.path, "--fault", f"{fault}@2") as host:
        host.hello()
        infer(host, seq=1)
        first = host.receive(0.3)
        assert isinstance(first, WireError if fault == "corrupt-tx" else type(None))
        infer(host, seq=2)
        second = host.receive()
        if fault == "truncate-tx":
            # The next frame is read as the rest of the truncated one.
            assert isinstance(second, WireError)
            infer(host, seq=3)
            second = host.receive()
        batch = wire.decode_results(frame(second).payload, 10)
    np.testing.assert_array_equal(SCORES, batch.scores)


def test_a_damaged_request_is_refused(firmware: Firmware) -> None:
    """Damage on the way to the board comes back as BAD_FRAME, and the board goes on."""
    with Host(firmware.path, "--fault", "corrupt-rx@1") as host:
        reply = host.ask(wire.MessageType.ECHO, 6, b"abcdefgh")
        assert (wire.decode_error(reply.payload).code, reply.seq) == (wire.ErrorCode.BAD_FRAME, 0)
        assert host.ask(wire.MessageType.ECHO, 7, b"abcdefgh").payload == b"abcdefgh"


def test_an_engine_error_costs_one_sample(firmware: Firmware) -> None:
    """The failed sample is named, the others are answered."""
    with Host(firmware.path, "--fault", "engine-error@3") as host:
        infer(host, IDS[:5], ROWS[:5])
        before, error, after = (frame(host.receive()) for _ in range(3))
    report = wire.decode_error(error.payload)
    assert (report.code, report.sample_id) == (wire.ErrorCode.ENGINE, 2)
    batches = [wire.decode_results(reply.payload, 10) for reply in (before, after)]
    assert [batch.ids.tolist() for batch in batches] == [[0, 1], [3, 4]]
    assert [batch.last for batch in batches] == [False, True]


def test_state_makes_the_same_sample_come_out_differently(firmware: Firmware) -> None:
    """The fault `state` is what it says; without it the same sample gives the same scores."""
    twice = np.stack([ROWS[0], ROWS[0]])
    for arguments, same in (((), True), (("--fault", "state"), False)):
        with Host(firmware.path, *arguments) as host:
            infer(host, IDS[:2], twice)
            scores = wire.decode_results(frame(host.receive()).payload, 10).scores
        assert same == (scores[0].tobytes() == scores[1].tobytes())
        assert SCORES[0].tobytes() == scores[0].tobytes()


def test_weights_makes_every_answer_wrong_by_one(firmware: Firmware) -> None:
    """The fault `weights` changes the last score's lowest bit, always."""
    with Host(firmware.path, "--fault", "weights") as host:
        infer(host)
        scores = wire.decode_results(frame(host.receive()).payload, 10).scores
    expected = SCORES.copy()
    expected[:, -1] ^= 1
    np.testing.assert_array_equal(expected, scores)


def test_hello_drops_the_batch_under_way(firmware: Firmware) -> None:
    """A new session does not wait for an old batch: with 50 samples of 200 ms it answers within a fraction of 10 s."""
    with Host(firmware.path, "--fault", "slow=200000") as host:
        host.hello()
        infer(host)
        time.sleep(0.1)
        begin = time.monotonic()
        identity = host.hello(session=9)
        assert time.monotonic() - begin < 5.0
        assert identity.session == 9


def test_a_fault_happens_once_if_asked(firmware: Firmware, tmp_path: Path) -> None:
    """With --fault-once a restarted board works: the file remembers."""
    arguments = ("--fault", "exit@1", "--fault-once", str(tmp_path / "happened"))
    with Host(firmware.path, *arguments) as host:
        infer(host)
        with pytest.raises(EOFError):
            host.receive()
    with Host(firmware.path, *arguments) as host:
        infer(host)
        assert frame(host.receive()).type == wire.MessageType.RESULT


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--fd", "x"),
        ("--fd", "3", "--tty", "/dev/null"),
        ("--tty", "/dev/null", "--fault", "crash"),
        ("--tty", "/dev/null", "--fault", "crash@0"),
        ("--tty", "/dev/null", "--fault", "melt@1"),
        ("--tty", "/dev/null", "--max-frame", "0"),
        ("--tty", "/dev/null", "rest"),
        ("--nonsense",),
        ("--console", "--tty", "/dev/null"),
        ("--console", "--fd", "3"),
        ("--console", "--mac", "0123456789AB"),
        ("--console", "--mac", "0123456789"),
    ],
)
def test_bad_arguments_are_explained(firmware: Firmware, arguments: tuple[str, ...]) -> None:
    """Exit code 2 and the usage."""
    done = subprocess.run([firmware.path, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, "usage:" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--tty", "/nowhere"), "No such file"),
        (("--tty", "/dev/null"), "cannot use /dev/null"),
        (("--tty", "/dev/null", "--baud", "12345"), "Invalid argument"),
        (("--fd", "99"), "Bad file descriptor"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(firmware: Firmware, arguments: tuple[str, ...], expected: str) -> None:
    """Exit code 1 and the system's reason."""
    done = subprocess.run([firmware.path, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, expected in done.stderr) == (1, True), done.stderr
