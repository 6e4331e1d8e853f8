"""What goes wrong between a desk and a flashed board, and what the message says to do about it."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.boards import espport, probed
from pytest_tinyml.boards.base import BoardRequest, check_model, missing_for
from pytest_tinyml.boards.espport import Port
from pytest_tinyml.boards.flashers import OpenOcd
from pytest_tinyml.boards.nucleo_f446re import KIND, TARGET, NucleoBoard
from pytest_tinyml.engines import flatbuild
from pytest_tinyml.errors import (
    BoardCrashedError,
    BoardError,
    BoardTimeoutError,
    DoesNotFitError,
    IdentityError,
    MissingToolError,
    UnknownNameError,
    UnsupportedOperatorError,
    UsageError,
)
from pytest_tinyml.records import Encoding
from pytest_tinyml.stores.models import load_model
from tests.presence import lacking
from tests.unit.tflite_models import FLOAT, Builder, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.nucleo.conftest import Plug
    from tests.nucleo.standin import StandIn

MODEL = "s1-ptq"


@pytest.fixture
def board_at(tmp_path: Path) -> Callable[..., NucleoBoard]:
    """Returns what makes a board at a stand-in, with more of `BoardRequest.device` or other options."""

    def make(stand_in: StandIn, *, model: str = MODEL, options: dict[str, str] | None = None, **device: str) -> Any:
        return KIND.create(
            BoardRequest(
                model=load_model(model),
                work_dir=tmp_path,
                timeout_s=4.0,
                options=options or {},
                device=stand_in.device | device,
            )
        )

    return make


@pytest.mark.parametrize(
    ("flasher", "trouble", "message"),
    [
        ("openocd", "absent", "openocd cannot reset the STM32F446: no ST-LINK was found at USB"),
        ("openocd", "busy", "another program holds the probe"),
        ("openocd", "forbidden", "no permission for the probe: install the udev rules"),
        ("openocd", "unpowered", "the part does not answer: has it power"),
        ("pyocd", "absent", "pyocd cannot reset the STM32F446: no probe was found at USB"),
        ("pyocd", "busy", "another program holds the probe"),
        ("pyocd", "forbidden", "no permission for the probe: install the udev rules"),
        ("pyocd", "unpowered", "the part does not answer: has it power"),
        ("pyocd", "unknown", "it does not know the part yet: run pyocd pack install stm32f446retx"),
    ],
)
def test_trouble_with_the_probe(
    flasher: str, trouble: str, message: str, plug: Plug, board_at: Callable[..., NucleoBoard]
) -> None:
    """A new part that cannot be flashed says why, what the program said, and which board it was."""
    board = board_at(plug(trouble=trouble), flasher=flasher)
    with pytest.raises(BoardError, match=message) as failed:
        board.open()
    assert failed.value.board == "nucleo-f446re"
    assert "it said\n    " in failed.value.message
    assert any(line.startswith("$ ") for line in failed.value.console_tail)


@pytest.mark.parametrize("flasher", ["openocd", "pyocd"])
def test_another_part_is_not_written_to(flasher: str, plug: Plug, board_at: Callable[..., NucleoBoard]) -> None:
    """An STM32F411, which a NUCLEO-F411RE has, is named by its number, and keeps what it has."""
    stand_in = plug(device_id=0x431)
    with pytest.raises(IdentityError, match=r"device 0x431, and a STM32F446 is 0x421: nothing was written"):
        board_at(stand_in, flasher=flasher).open()
    assert stand_in.flashed == []


def test_flash_that_keeps_nothing(plug: Plug, board_at: Callable[..., NucleoBoard]) -> None:
    """A board that runs something else even after flashing is refused, by what it runs and what it should."""
    old = board_at(plug(), model="s2-ptq").image.path
    stand_in = plug(flash=old, trouble="forgets")
    with pytest.raises(
        IdentityError, match=r"after flashing the board at .* runs firmware \w{12} with model \w{12}, not"
    ):
        board_at(stand_in).open()
    assert len(stand_in.flashed) == 1


def test_another_firmware_is_replaced(plug: Plug, board_at: Callable[..., NucleoBoard]) -> None:
    """Another model's firmware, which answers, is replaced without a reset before."""
    stand_in = plug(flash=board_at(plug(), model="s2-ptq").image.path)
    board = board_at(stand_in)
    assert board.open().model_sha256 == load_model(MODEL).sha256
    board.close()
    assert (stand_in.flashed, stand_in.resets) == ([board.image.path], 0)


def test_a_hang_is_reset_and_not_flashed(plug: Plug, board_at: Callable[..., NucleoBoard]) -> None:
    """A board that hangs has the right firmware: a reset by the probe is enough."""
    board = board_at(plug(), options={"fault": "hang@1"})
    stand_in = plug(flash=board.image.path)
    board = board_at(stand_in, options={"fault": "hang@1"})
    identity = board.open()
    encoding = min(identity.encodings)
    with pytest.raises(BoardTimeoutError):
        board.canary(encoding, 0, bytes(784))
    board.open()
    board.close()
    assert (stand_in.flashed, stand_in.resets) == ([], 1)


def test_nobody_flashes(plug: Plug, board_at: Callable[..., NucleoBoard]) -> None:
    """Without a flasher the file to flash is named: to a new part's owner, and to one of another firmware."""
    with pytest.raises(BoardTimeoutError, match=r"no answer at .* \(921600 baud\): press .* flash /.*firmware\.elf"):
        board_at(plug(), flasher="none").open()
    stand_in = plug(flash=board_at(plug(), model="s2-ptq").image.path)
    with pytest.raises(IdentityError, match=r"the board runs firmware .* not firmware .*: flash /.*firmware\.elf"):
        board_at(stand_in, flasher="none").open()
    assert stand_in.flashed == []


def test_a_fault_is_counted_and_survived(plug: Plug, board_at: Callable[..., NucleoBoard]) -> None:
    """A crash names the function; the board starts by itself and knows how many there were since its power came."""
    options = {"fault": "wild-write@1"}
    stand_in = plug(flash=board_at(plug(), options=options).image.path)
    board = board_at(stand_in, options=options)
    for faults in (0, 1, 2):
        identity = board.open()
        assert board.stats()["faults"] == faults
        with pytest.raises(BoardCrashedError, match=r"BusFault, precise data access, .*\(machine_wild_write"):
            board.canary(min(identity.encodings), 0, bytes(784))
    assert (stand_in.flashed, stand_in.resets) == ([], 0)


def test_a_port_in_use(plug: Plug, board_at: Callable[..., NucleoBoard]) -> None:
    """A second session at the same port is refused at once."""
    stand_in = plug(flash=board_at(plug()).image.path)
    first, second = board_at(stand_in), board_at(stand_in)
    first.open()
    try:
        with pytest.raises(UsageError, match="is busy: another program"):
            second.open()
    finally:
        first.close()


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ({"baud": "fast"}, r"--baud: 'fast' is no baud rate of board 'nucleo-f446re', e\.g\. 115200"),
        ({"baud": "4000000"}, "--baud: '4000000' is no baud rate"),
        ({"baud": "2900000"}, "--baud: '2900000' is no baud rate"),
    ],
)
def test_baud_rates_that_the_part_cannot_have(device: dict[str, str], message: str, tmp_path: Path) -> None:
    """A rate without a divisor is refused before anything is built."""
    with pytest.raises(UsageError, match=message):
        KIND.create(BoardRequest(model=load_model(MODEL), work_dir=tmp_path, device=device))


def test_an_unknown_flasher_and_unknown_kernels(tmp_path: Path) -> None:
    """Names are checked when the board is made."""
    with pytest.raises(UnknownNameError, match=r"no flasher named 'opencod'; did you mean 'openocd'\?"):
        KIND.create(BoardRequest(model=load_model(MODEL), work_dir=tmp_path, device={"flasher": "opencod"}))
    with pytest.raises(UnknownNameError, match="no kernels of board 'nucleo-f446re' named 'esp-nn'"):
        KIND.create(BoardRequest(model=load_model(MODEL), work_dir=tmp_path, options={"kernels": "esp-nn"}))


def test_a_flasher_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is missing is what was asked for; nothing with ``none``."""
    monkeypatch.setattr("pytest_tinyml.boards.flashers.program_of", lambda _: None)
    asked = {
        name: [item.what for item in missing_for(KIND, {"flasher": name})] for name in ("openocd", "pyocd", "none")
    }
    assert asked == {"openocd": ["openocd"], "pyocd": ["pyocd"], "none": []}
    (either,) = missing_for(KIND, {})
    assert "pip install pyocd" in either.install
    assert "--tinyml-flasher none" in either.install


LINK = Port(path="/dev/ttyACM0", serial_number="066B", what="STM32 STLink")
OTHER = Port(path="/dev/ttyUSB0", serial_number="A50285BI", what="FT232R USB UART")
SECOND = Port(path="/dev/ttyACM1", serial_number="0670", what="STLINK-V3")


def test_models_are_checked_by_the_engine_that_was_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Generated C refuses what it cannot translate; with ST's tool that is the tool's affair, if it is there."""
    net = Builder()
    source, result = net.tensor([1, 6], kind=FLOAT), net.tensor([1, 6], kind=FLOAT)
    net.operator("TANH", [source], [result])
    odd = record(net.finish(source, result), "odd")
    with pytest.raises(UnsupportedOperatorError, match="operator 0 TANH"):
        check_model(KIND, odd, {})
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("STEDGEAI_CORE_DIR", raising=False)
    with pytest.raises(MissingToolError, match="stedgeai"):
        check_model(KIND, odd, {"engine": "stedgeai"})


def test_the_port_is_that_of_the_st_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several USB ports the ST-LINK's is taken; two of them, or none, have to be named."""
    monkeypatch.setattr(espport, "usb_ports", lambda: [OTHER, LINK])
    assert probed.find_probe({}) == "/dev/ttyACM0"
    assert probed.find_probe({"port_serial_number": "A50285BI"}) == "/dev/ttyUSB0"
    assert probed.probe_number({}, "/dev/ttyACM0") == "066B"
    monkeypatch.setattr(espport, "usb_ports", lambda: [LINK, OTHER, SECOND])
    with pytest.raises(UsageError, match="2 serial ports fit; choose with --port, --port-serial-number"):
        probed.find_probe({})
    monkeypatch.setattr(espport, "usb_ports", lambda: [OTHER])
    with pytest.raises(UsageError, match=r"no ST-LINK found: USB serial ports are\n.*FT232R"):
        probed.find_probe({})


def test_a_model_that_is_too_large(tmp_path: Path) -> None:
    """The memory, the bytes, and who has room: 784 x 1000 weights are more than 512 KB of flash."""
    net = flatbuild.Builder()
    source = net.tensor([1, 784], scale=1 / 255, zero=-128)
    path = tmp_path / "large.tflite"
    path.write_bytes(net.finish(source, flatbuild.dense(net, source, 1000, 7)))
    with pytest.raises(
        DoesNotFitError, match=r"exceeds FLASH \(524,288 B\) by [\d,]+ B; boards with room for it: .*qemu"
    ):
        KIND.linked(load_model(str(path)), tmp_path)


def test_large_inputs_have_a_frame(plug: Plug, tmp_path: Path) -> None:
    """64 x 64 x 3 values, a photograph, arrive as they were sent; small models keep their small frame."""
    net = flatbuild.Builder()
    source = net.tensor([1, 64 * 64 * 3], scale=1 / 255, zero=-128)
    path = tmp_path / "photograph.tflite"
    path.write_bytes(net.finish(source, flatbuild.dense(net, source, 2, 7)))
    board = KIND.create(BoardRequest(model=load_model(str(path)), work_dir=tmp_path, device=plug().device))
    data = np.random.default_rng(3).integers(0, 256, 64 * 64 * 3, dtype=np.uint8).tobytes()
    try:
        identity = board.open()
        assert (identity.max_frame, identity.rx_window) == (13 << 10, 32 << 10)
        assert board.canary(Encoding.TENSOR, 0, data).input_crc == zlib.crc32(data)
    finally:
        board.close()


def test_the_part_has_its_memories() -> None:
    """What the linker script declares is what the datasheet has."""
    assert KIND.memories == {"flash": 512 << 10, "RAM": 128 << 10}


@pytest.mark.parametrize(("device_id", "written"), [(0x421, True), (0x431, False)])
def test_openocd_itself_understands_the_commands(device_id: int, written: bool) -> None:
    """The real program follows the words, with a probe that only pretends; a wrong part ends it before it writes."""
    program = shutil.which("openocd")
    if program is None:
        lacking("openocd is not installed")
    pretence = (
        "adapter driver dummy; proc init {} {}; proc mrw {address} {return [expr {0x10000000 | %d}]}; "
        'proc program {args} {echo "written: $args"; shutdown}'
    )
    flasher = OpenOcd(TARGET, "066BFF", print)
    words = flasher.command("init", *flasher.flashing(Path("/some where/firmware.elf")))
    # In place of the board's configuration; the rest as it is.
    command = [program, "-c", pretence % device_id, *words[3:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    said = done.stdout + done.stderr
    assert ("written: {/some where/firmware.elf} verify reset exit" in said) is written, said
    assert f"tinyml: device {device_id}" in said
    assert (done.returncode == 0) is written


def test_openocd_itself_without_a_probe() -> None:
    """The real program finds its configuration, and no probe of this number."""
    if shutil.which("openocd") is None:
        lacking("openocd is not installed")
    said: list[str] = []
    with pytest.raises(BoardError, match="no ST-LINK with serial number 0000TINYML was found at USB"):
        OpenOcd(TARGET, "0000TINYML", said.append).reset()
    assert any("open failed" in line for line in said)
