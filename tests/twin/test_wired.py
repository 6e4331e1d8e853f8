"""``pytest --board esp32`` and its siblings: frames and console on one serial port, over real esptool and pyserial."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, ClassVar

import pytest

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.esp32 import Esp32Kind
from pytest_tinyml.boards.esp32_aot import KIND as AOT
from pytest_tinyml.contract import BoardContract

pytestmark = [
    pytest.mark.twin,
    # Of pyserial's RFC 2217 client, and of pytest-embedded, which leaves closing a file to the interpreter.
    pytest.mark.filterwarnings("ignore:set(Daemon|Name)\\(\\) is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in.*sdkconfig.json:pytest.PytestUnraisableExceptionWarning"),
]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_tinyml.boards.base import Board, BoardKind
    from pytest_tinyml.records import Model
    from tests.twin.desk import Desk

ALL = 28_000
MODEL = "s1-ptq"


@pytest.fixture(scope="module")
def preloaded(apps: Path) -> Path:
    """The application's folder; ``flash.bin`` in it is what a chip that runs it has in its flash."""
    from tests.twin.desk import built
    from tests.twin.image import flash_of

    folder = built(apps, MODEL, wired=True)
    (folder / "flash.bin").write_bytes(flash_of(folder / "build"))
    return folder


class TwinKind(Esp32Kind):
    """The kind ``esp32``, with what executes the model on a twin."""

    engine = "aot"


class TestEsp32Contract(BoardContract):
    """Flashed once, then as after each start of a test session."""

    kind: ClassVar[BoardKind] = TwinKind()
    models = (MODEL,)
    recovers = True
    faults: ClassVar = {"crash": {"panic-at": "{n}"}, "hang": {"hang-at": "{n}"}}

    @pytest.fixture(autouse=True)
    def place(self, preloaded: Path) -> Iterator[None]:
        """A place for twins, which are unplugged in the end."""
        self.folder = preloaded
        with ExitStack() as self.twins:
            yield

    def make_board(self, tmp_path: Path, model: Model, **options: str) -> Board:
        """Plug a twin in; the options are its faults."""
        from tests.twin.plugged import plugged

        faults = [word for name, value in options.items() for word in (f"--{name}", value)]
        url = self.twins.enter_context(plugged(self.folder / "flash.bin", "--wired", self.kind.name, *faults))
        return self.kind.create(
            BoardRequest(
                model=model,
                work_dir=tmp_path,
                timeout_s=self.patience_s(options),
                device={"port": url, "app_path": str(self.folder)},
            )
        )


class TestEsp32AotContract(TestEsp32Contract):
    """The same of the board whose engine the twin really has."""

    kind = AOT


def test_from_flash_to_verdict(desk: Desk) -> None:
    """An empty chip is flashed, speaks at the application's speed, and gives TFLM's bytes for all 28,000.

    The next run does not flash.
    """
    from tests.twin.board import Twin, at_the_port
    from tests.twin.desk import assert_same_verdict

    with Twin(wiring=at_the_port("esp32")) as twin:
        first = desk.run(twin, board="esp32", environment={})
        assert_same_verdict(first, ALL)
        assert first.results["board"]["name"] == "esp32"
        assert first.console.count("Hash of data verified") == 3
        flashed = twin.downloads
        assert flashed > 0
        again = desk.run(twin, "--tinyml-limit", "500", "--tinyml-fresh", board="esp32", environment={})
        assert_same_verdict(again, 500)
        assert twin.downloads == flashed


OWN_TESTS = """
def test_a_two(dut):
    dut.write("tinyml selftest")
    dut.expect(r"tinyml: image 9 label 2\\r\\n", timeout=60)
    shown = [float(dut.expect(rf"tinyml: class {k} (\\d\\.\\d{{4}})\\r\\n", timeout=60)[1]) for k in range(10)]
    assert shown[2] == max(shown) > 0.9
    assert abs(sum(shown) - 1.0) < 0.02
    dut.expect(r"tinyml: ok selftest images=10 right=10\\r\\n", timeout=60)


def test_meanwhile(dut, tinyml_run):
    assert tinyml_run.everything().differing == 0
    dut.write("tinyml status")
    dut.expect(r"tinyml: ok status uptime_ms=\\d+ frames=\\d+ dropped=0 inferences=\\d+", timeout=60)
    dut.serial.hard_reset()
    dut.expect("tinyml: ready protocol=1 board=esp32 chip=twin", timeout=60)
"""


def test_the_self_test_by_dut(desk: Desk, flashed: Callable[..., bytes]) -> None:
    """pytest-embedded's dut reads the probability of every class, and shares the port with the link."""
    from tests.twin.board import Twin, at_the_port

    (desk.project.path / "test_own.py").write_text(OWN_TESTS, encoding="utf-8")
    with Twin(flash=flashed(MODEL, wired=True), wiring=at_the_port("esp32")) as twin:
        arguments = ("--tinyml-limit", "500", "test_own.py")
        outcome = desk.run(twin, *arguments, board="esp32", environment={})
        assert outcome.code == 0, outcome.text
        assert "2 passed" in outcome.text
        assert twin.downloads == 0


def test_the_self_test_at_every_start(desk: Desk, flashed: Callable[..., bytes]) -> None:
    """A firmware that prints it before anybody asks is used as any other."""
    from tests.twin.board import Twin, at_the_port
    from tests.twin.desk import assert_same_verdict

    with Twin(flash=flashed(MODEL, wired=True), wiring=at_the_port("esp32", "--selftest")) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "300", board="esp32", environment={})
    assert_same_verdict(outcome, 300)
    assert "tinyml: ok selftest images=10 right=10" in outcome.console


def test_a_reset_in_the_middle(desk: Desk, flashed: Callable[..., bytes]) -> None:
    """The board starts anew at sample 1,000, which it says in words; no sample is lost or doubled."""
    from tests.twin.board import Faults, Twin, at_the_port
    from tests.twin.desk import assert_same_verdict

    with Twin(Faults(reset_at=1000), flash=flashed(MODEL, wired=True), wiring=at_the_port("esp32")) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "3000", board="esp32", environment={})
    assert_same_verdict(outcome, 3000)
    # What the ROM says at its own speed is a frame that cannot be read.
    assert {"restart"} <= {fault["kind"] for fault in outcome.results["faults"]} <= {"restart", "dropped", "resend"}


def test_a_panic_is_decoded(desk: Desk, flashed: Callable[..., bytes]) -> None:
    """A panic between frames ends with its reason and the calls by name."""
    from pytest_tinyml.firmware.image import symbol_values
    from tests.twin.board import Faults, Twin, at_the_port, panic

    symbols = symbol_values(desk.build(MODEL, wired=True) / "build" / "twin.elf")
    faults = Faults(reset_at=3, panic=panic(symbols["tml_session_init"] + 1))
    with Twin(faults, flash=flashed(MODEL, wired=True), wiring=at_the_port("esp32")) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "1000", board="esp32", environment={})
    assert outcome.code == 1
    assert "the board panicked: Guru Meditation Error: Core  0 panic'ed (LoadProhibited)" in outcome.text
    assert "tml_session_init" in outcome.text
    assert "Traceback" not in outcome.text


def test_another_speed(desk: Desk, flashed: Callable[..., bytes]) -> None:
    """A --baud that is not the firmware's hears noise, which is said; nothing is taken for an answer."""
    from tests.twin.board import Twin, at_the_port

    with Twin(flash=flashed(MODEL, wired=True), wiring=at_the_port("esp32")) as twin:
        arguments = ("--baud", "115200", "--skip-autoflash", "y", "--tinyml-limit", "100")
        outcome = desk.run(twin, *arguments, board="esp32", environment={})
    assert outcome.code == 1
    assert "the board runs nothing that answers" in outcome.text
    assert "Traceback" not in outcome.text


def test_generated_c(desk: Desk, flashed: Callable[..., bytes]) -> None:
    """Board esp32-aot takes int8 and float models, each with the engine that is for it."""
    from tests.twin.board import Twin, at_the_port

    for model, engine in ((MODEL, "aot"), ("s1-float", "aot-float")):
        with Twin(flash=flashed(model, wired=True), wiring=at_the_port("esp32-aot")) as twin:
            arguments = ("--tinyml-limit", "1000", "--tinyml-fresh")
            outcome = desk.run(twin, *arguments, model=model, board="esp32-aot", environment={})
        assert outcome.code == 0, outcome.text
        results = outcome.results
        assert (results["passed"], results["board"]["engine"], results["metrics"]["count"]) == (True, engine, 1000)


def test_an_espdl_file(tmp_path: Path) -> None:
    """Board esp32-espdl is greeted, asked and streamed to with 16-bit tensors; a twin has engine espdl-c."""
    from pytest_tinyml.boards.esp32_espdl import KIND
    from pytest_tinyml.boards.native import NativeBoard
    from pytest_tinyml.campaign.listwork import ListWork
    from pytest_tinyml.campaign.samples import SampleEncoder
    from pytest_tinyml.contractsetup import cached_dataset, canary
    from pytest_tinyml.engines.espdlbuild import EspdlBuilder
    from pytest_tinyml.stores.models import load_model
    from tests.twin.board import Twin, at_the_port
    from tests.twin.desk import built
    from tests.twin.image import flash_of

    network = EspdlBuilder((1, 28, 28, 1))
    network.convolution(4, 1)
    network.pool()
    network.flatten()
    network.dense(10, 2, relu=False)
    path = tmp_path / "own.espdl"
    path.write_bytes(network.finish())
    model = load_model(str(path))
    KIND.check(model)
    app = built(tmp_path, str(path), wired=True)
    encoder = SampleEncoder(model, cached_dataset("mnist-28k", 60))
    answers = []
    with Twin(flash=flash_of(app / "build"), wiring=at_the_port("esp32-espdl")) as twin:
        device = {"port": twin.url, "app_path": str(app)}
        for board in (
            KIND.create(BoardRequest(model=model, work_dir=tmp_path, device=device)),
            NativeBoard(BoardRequest(model=model, work_dir=tmp_path)),
        ):
            work = ListWork(encoder, range(60))
            try:
                identity = board.open()
                assert ("espdl-c", "int16") == (identity.engine, identity.input.dtype)
                first = canary(board, identity, encoder, 0)
                board.stream(work)
            finally:
                board.close()
            assert work.scores[0] == first.scores
            answers.append((work.scores, first.input_crc))
        assert twin.downloads == 0
    assert answers[0] == answers[1]
    assert len(set(answers[0][0].values())) > 1
