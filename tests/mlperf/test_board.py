"""The board `mlperf`: what of the contract a device that cannot be asked can keep, and its serial port."""

from __future__ import annotations

import os
import pty
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.mlperf import KIND, MlperfBoard, MlperfKind
from pytest_tinyml.boards.mlperfoptions import window_of
from pytest_tinyml.boards.serialport import find_port, is_pseudo_terminal, open_port
from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.contract import BoardContract
from pytest_tinyml.contractsetup import cached_dataset, cached_model
from pytest_tinyml.errors import BoardTimeoutError, IdentityError, UsageError
from pytest_tinyml.records import Encoding
from tests.lines.plug import LineSettings, plug_line
from tests.mlperf.device import NativeDevice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_tinyml.links.base import Link
    from pytest_tinyml.records import Model


class PluggedBoard(MlperfBoard):
    """A board whose device is plugged in when it is opened: one that has died is replaced."""

    def __init__(self, request: BoardRequest, faults: Mapping[str, str]) -> None:
        """Plug nothing in yet."""
        super().__init__(request)
        self._arguments = [word for fault in faults.values() for word in ("--fault", fault)]
        self._device: NativeDevice | None = None

    def prepare(self) -> str:
        """Look for no port."""
        return ""

    def start(self) -> Link:
        """See `MlperfBoard.start`."""
        self._device = NativeDevice(self.request.model.name, *self._arguments)
        self._port = self._device.port
        return super().start()

    def close(self) -> None:
        """See `Board.close`."""
        super().close()
        device, self._device = self._device, None
        if device is not None:
            device.close()


class PluggedKind(MlperfKind):
    """Makes such boards; the option ``fault`` is the device's."""

    def create(self, request: BoardRequest) -> PluggedBoard:
        """See `BoardKind.create`."""
        return PluggedBoard(request, {key: value for key, value in request.options.items() if key == "fault"})


class TestMlperf(BoardContract):
    """What a device can keep that does not say what it is, nor what it has read, nor how often it was asked."""

    kind = PluggedKind()
    faults = {"crash": {"fault": "crash@{n}"}, "hang": {"fault": "hang@{n}"}}  # noqa: RUF012 - a ClassVar of the contract

    test_identity_comes_first_and_is_complete: Any = None
    test_canary_tells_the_input_tensor: Any = None
    test_statistics_count_inferences: Any = None
    test_other_model_is_refused: Any = None
    test_open_again: Any = None  # tells by the count of inferences
    test_damaged_frames_never_become_results: Any = None  # there are no frames; test_client.py damages lines

    def test_open_again_starts_anew(self, board: MlperfBoard, encoder: SampleEncoder) -> None:
        """Opening an open board, and a closed one, gives a board that answers as before."""
        data = encoder.data(Encoding.PIXELS, 0)
        board.open()
        scores = board.canary(Encoding.PIXELS, 0, data).scores
        board.open()
        assert scores == board.canary(Encoding.PIXELS, 0, data).scores
        board.close()
        board.open()
        assert scores == board.canary(Encoding.PIXELS, 0, data).scores


def request(
    tmp_path: Path, port: str, model: Model, options: dict[str, str] | None = None, timeout_s: float = 30.0
) -> BoardRequest:
    """Ask for a device at a port."""
    device = {"port": port}
    return BoardRequest(model=model, work_dir=tmp_path, device=device, options=options or {}, timeout_s=timeout_s)


def test_what_the_device_says(tmp_path: Path) -> None:
    """Names are the device's, tensors the model's, and what nobody can know is unknown."""
    model = cached_model("s1-ptq")
    with NativeDevice() as device:
        board = KIND.create(request(tmp_path, device.port, model))
        assert "" == board.prepare()
        identity = board.open()
        assert ("device 'native', model 's1-ptq'", "s1-ptq") == (identity.chip, identity.model)
        assert ("", "", 0) == (identity.model_sha256, identity.firmware_sha256, identity.arena_used)
        assert (model.input, model.output) == (identity.input, identity.output)
        assert board.emulated
        board.close()


def test_other_number_of_classes(tmp_path: Path) -> None:
    """A device with a model of other outputs is not taken for the right one."""
    other = cached_model("s1-ptq")
    with NativeDevice("s1-ptq") as device:
        five = replace(other, output=replace(other.output, shape=(1, 5)))
        board = KIND.create(request(tmp_path, device.port, five))
        board.open()
        with pytest.raises(IdentityError, match="10 outputs, but the model has 5: the device runs another one"):
            board.canary(Encoding.PIXELS, 0, bytes(784))


def test_fewer_decimals_than_were_promised(tmp_path: Path) -> None:
    """Two decimals do not tell steps of 1/256 apart: the message names the option."""
    with NativeDevice("s1-ptq", digits=2) as device:
        board = KIND.create(request(tmp_path, device.port, cached_model("s1-ptq")))
        board.open()
        with pytest.raises(IdentityError, match=r"prints 2 decimals; say so with --tinyml-option digits=2"):
            board.canary(Encoding.PIXELS, 0, bytes(784))
        board.close()


def test_noisy_line(tmp_path: Path) -> None:
    """Over a line that drops and doubles bytes every answer is right, or there is none; and the notes say it."""
    model, samples = cached_model("s1-ptq"), 25
    encoder = SampleEncoder(model, cached_dataset("mnist-28k", samples))
    with NativeDevice() as clean:
        board = KIND.create(request(tmp_path, clean.port, model))
        board.open()
        expected = ListWork(encoder, range(samples))
        board.stream(expected)
        board.close()
    with NativeDevice() as device:
        board = KIND.create(request(tmp_path, device.port, model, {"verify": "yes"}, timeout_s=1.0))
        lines = plug_line(board, LineSettings(baud=0, dropped=2e-5, doubled=2e-5))
        board.open()
        work = ListWork(encoder, range(samples))
        board.stream(work)
        board.close()
    assert expected.scores == work.scores
    assert ["losses"] == [kind for kind, _ in work.notes]
    assert sum(counts["dropped"] + counts["doubled"] for counts in lines[0].counts.values()) > 0


def test_port_that_is_absent_or_busy() -> None:
    """The message says what is wrong with the port."""
    with pytest.raises(UsageError, match="there is no serial port /dev/nonsense"):
        open_port("/dev/nonsense", 115_200, name="x", packed=False)
    ours, theirs = pty.openpty()
    port = os.ttyname(theirs)
    link = open_port(port, 115_200, name="x", packed=False)
    with pytest.raises(UsageError, match=f"serial port {port} is busy"):
        open_port(port, 115_200, name="x", packed=False)
    link.close()
    os.close(ours)
    os.close(theirs)


def test_port_by_url() -> None:
    """A socket is a port, too; a URL that cannot be waited for is refused."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        link = open_port(url, 115_200, name="x", packed=False)
        there, _ = server.accept()
        there.sendall(b"m-ready\r\n")
        assert b"m-ready\r\n" == link.exchange(memoryview(b""), 5.0)[1]
        link.close()
        there.close()
    assert is_pseudo_terminal(url)
    with pytest.raises(UsageError, match="only paths and socket:// can be waited for"):
        open_port("loop://", 115_200, name="x", packed=False)


def test_port_that_is_meant() -> None:
    """A path is taken as it is; a MAC is nothing that a device on a plain line could be asked for."""
    assert "/dev/ttyACM7" == find_port({"port": "/dev/ttyACM7"})
    with pytest.raises(UsageError, match="no serial port fits --port-serial-number 0000-nobody"):
        find_port({"port_serial_number": "0000-nobody"})
    with pytest.raises(UsageError, match="--port-mac is for chips"):
        find_port({"port_mac": "24:0a:c4:00:00:01"})


def test_nobody_at_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port at which nobody speaks this protocol is a time-out."""
    monkeypatch.setattr("pytest_tinyml.boards.mlperf._BOOT_S", 0.7)
    ours, theirs = pty.openpty()
    board = KIND.create(request(tmp_path, os.ttyname(theirs), cached_model("s1-ptq"), timeout_s=1.0))
    with pytest.raises(BoardTimeoutError, match="no answer to 'name%'"):
        board.open()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answers": "maybe"}, "answers=maybe of board 'mlperf' is not one of: scores, labels"),
        ({"input": "x"}, "input=x of board 'mlperf' is not one of: pixels, tensor"),
        ({"digits": "0"}, "digits=0 of board 'mlperf' is not a whole number from 1 to 9"),
        ({"chunk": "many"}, "chunk=many of board 'mlperf' is not a whole number"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, str], message: str) -> None:
    """A wrong value is refused with those that are right."""
    with pytest.raises(UsageError, match=message):
        KIND.create(request(tmp_path, "x", cached_model("s1-ptq"), options))


@pytest.mark.parametrize("text", ["0", "-1", "x", "nan", "inf", "3601"])
def test_bad_windows(text: str) -> None:
    """A window has a length that the device's clock can tell."""
    with pytest.raises(UsageError, match="is not a number of seconds up to 3600"):
        window_of({"performance": text})
    assert (2.5, None) == (window_of({"performance": "2.5"}), window_of({}))
