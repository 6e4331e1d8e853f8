"""A package outside this repository brings a board: found by its entry point, it keeps the contract and runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_tinyml.paths import CACHE_VARIABLE
from tests.conftest import CACHE

if TYPE_CHECKING:
    from pathlib import Path

BOARD: Final = '''\
"""A board that is a thread of this process, and executes models with TensorFlow Lite Micro."""

import functools
import hashlib
import socket
import threading
import time
from pathlib import Path

import numpy as np

from pytest_tinyml.boards.device import MAX_FRAME, RX_WINDOW, Device
from pytest_tinyml.boards.streamed import StreamedBoard
from pytest_tinyml.links.base import FdLink
from pytest_tinyml.preprocess import input_tensors
from pytest_tinyml.records import Clock, Encoding, Identity
from pytest_tinyml.references.arena import probe_arena

FIRMWARE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
ARENA = 100_000
arena_of = functools.cache(probe_arena)


class Crash(Exception):
    """The board has died."""


class AcmeDevice(Device):
    def __init__(self, model, fault, console):
        super().__init__(Identity(
            clock=Clock.CYCLES, tick_hz=1_000_000, encodings=frozenset({Encoding.PIXELS}), rx_window=RX_WINDOW,
            max_frame=MAX_FRAME, arena_used=arena_of(model).used_bytes, arena_capacity=ARENA,
            flash_bytes=0, ram_bytes=0,
            firmware_sha256=FIRMWARE, model_sha256=hashlib.sha256(model.data).hexdigest(), input=model.input,
            output=model.output, firmware_version="acme 1", board="acme", chip="thread", engine="acme-tflm",
            model=model.name, preprocess=model.preprocess.kind,
        ))
        self.model, self.console, self.switched_off, self.count = model, console, threading.Event(), 0
        kind, _, number = fault.partition("@")
        self.fault, self.at = kind, int(number or 0)
        self.initialise()

    def initialise(self):
        from tflite_micro import runtime

        self.interpreter = runtime.Interpreter.from_bytes(self.model.data, arena_size=ARENA)

    def tensor(self, data):
        pixels = np.frombuffer(data, dtype=np.uint8).reshape(self.identity.input.shape)
        return input_tensors(pixels, self.model.preprocess, self.identity.input)

    def input_tensor(self, encoding, data):
        return self.tensor(data).tobytes()

    def infer(self, encoding, data):
        self.count += 1
        if self.count == self.at:
            self.console.line(f"about to {self.fault}")
            if self.fault == "hang":
                self.switched_off.wait(60)
            raise Crash
        self.interpreter.set_input(self.tensor(data), 0)
        started = time.perf_counter_ns()
        self.interpreter.invoke()
        return (time.perf_counter_ns() - started) // 1000 + 1, self.interpreter.get_output(0).tobytes()


class AcmeBoard(StreamedBoard):
    def __init__(self, request):
        super().__init__("acme", request)
        self.thread = self.device = None

    def prepare(self):
        return FIRMWARE

    def start(self):
        ours, theirs = socket.socketpair()
        self.device = AcmeDevice(self.request.model, self.request.options.get("fault", ""), self.console)
        self.thread = threading.Thread(target=self.run, args=(self.device, theirs), daemon=True)
        self.thread.start()
        return FdLink(ours.detach(), name="socket", packed=False)

    def run(self, device, line):
        with line:
            try:
                device.serve(line.fileno())
            except (Crash, BrokenPipeError):
                self.console.line("it died")

    def stop(self):
        if self.thread is not None:
            self.device.switched_off.set()
            self.thread.join(10)
            self.thread = self.device = None
        return ""


class AcmeKind:
    name = "acme"
    summary = "a thread"
    engine = "acme-tflm"
    hardware = False
    links = ("socket",)
    clocks = ("wall",)
    options = {}

    def missing(self):
        return []

    def check(self, model):
        pass

    def create(self, request):
        return AcmeBoard(request)
'''

PLUGIN: Final = """\
from acme_board.board import AcmeKind


def pytest_tinyml_boards(registry):
    registry.register(AcmeKind())
"""

CONTRACT: Final = """\
from acme_board.board import AcmeKind
from pytest_tinyml.contract import BoardContract


class TestAcme(BoardContract):
    kind = AcmeKind()
    samples = 20
    faults = {"crash": {"fault": "crash@{n}"}, "hang": {"fault": "hang@{n}"}}


class TestAcmeWithoutFaults(BoardContract):
    kind = AcmeKind()
    samples = 20
"""


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """The package as pip would have installed it, in a folder of its own."""
    package, info = tmp_path / "site" / "acme_board", tmp_path / "site" / "acme_board-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "board.py").write_text(BOARD, encoding="utf-8")
    (package / "plugin.py").write_text(PLUGIN, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-board\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[pytest11]\nacme = acme_board.plugin\n", encoding="utf-8")
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def run_pytest(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in the user's project, with the package installed."""
    path = os.pathsep.join(filter(None, (str(project.parent / "site"), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": path, CACHE_VARIABLE: str(CACHE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_runs_a_data_set(acme: Path) -> None:
    """``pytest --board acme`` finds the board by its entry point and passes, bit-exact with the host."""
    done = run_pytest(acme, "--board", "acme", "--tinyml-model", "s1-ptq", "--tinyml-limit", "200")
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((acme / "tinyml-report" / "results.json").read_text(encoding="utf-8"))
    assert (results["board"]["name"], results["board"]["engine"]) == ("acme", "acme-tflm")
    assert (results["passed"], results["metrics"]["bit_exact_ratio"], results["metrics"]["flips"]) == (True, 1.0, [])


def test_the_tools_know_it(acme: Path) -> None:
    """``tinyml boards`` lists it, and ``tinyml doctor`` runs ten samples on it."""
    path = os.pathsep.join(filter(None, (str(acme.parent / "site"), os.environ.get("PYTHONPATH"))))
    command = "import sys; from pytest_tinyml.cli import main; sys.exit(main(['boards']) or main(['doctor', 'acme']))"
    done = subprocess.run(
        [sys.executable, "-c", command],
        env=os.environ | {"PYTHONPATH": path, CACHE_VARIABLE: str(CACHE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "    a thread\n    engine acme-tflm; link socket; clock wall\n" in done.stdout
    assert "ok    acme: 10 samples, the same bytes as tflm (prepared in " in done.stdout


def test_it_keeps_the_contract(acme: Path) -> None:
    """The importable class tests it; faults that cannot be planted skip with that reason and nothing else does."""
    (acme / "test_acme.py").write_text(CONTRACT, encoding="utf-8")
    done = run_pytest(acme, "test_acme.py")
    assert done.returncode == 0, done.stdout + done.stderr
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert all("board 'acme' declares no way to plant" in line for line in skipped)
    outcomes = re.search(r"(\d+) passed, (\d+) skipped", done.stdout)
    assert outcomes is not None
    # Two hangs and a crash, in the class that declares no faults.
    assert (int(outcomes[1]) >= 2 * 20, int(outcomes[2])) == (True, 3)


@pytest.mark.parametrize(
    ("broken", "instead", "caught_by"),
    [
        ("self.interpreter.get_output(0).tobytes()", "bytes(10)", "test_stream_equals_canaries_and_reference"),
        ("return self.tensor(data).tobytes()", "return data", "test_canary_tells_the_input_tensor"),
        ("hashlib.sha256(model.data).hexdigest()", "'0' * 64", "test_identity_comes_first_and_is_complete"),
        # A thread that is merely not waited for may be gone before anybody looks.
        (
            "self.thread.join(10)",
            "threading.Thread(target=threading.Event().wait, daemon=True).start()",
            "test_nothing_is_left_behind",
        ),
    ],
)
def test_a_board_that_breaks_the_contract_fails(acme: Path, broken: str, instead: str, caught_by: str) -> None:
    """The contract is no formality: boards that lie or leak fail the test that is about it."""
    source = acme.parent / "site" / "acme_board" / "board.py"
    text = source.read_text(encoding="utf-8")
    assert broken in text
    source.write_text(text.replace(broken, instead), encoding="utf-8")
    (acme / "test_acme.py").write_text(CONTRACT, encoding="utf-8")
    done = run_pytest(acme, "test_acme.py", "-k", "TestAcme and not (WithoutFaults or damaged or crash or hang)")
    assert f"FAILED test_acme.py::TestAcme::{caught_by}" in done.stdout, done.stdout + done.stderr


def test_a_name_that_is_taken_is_refused(acme: Path) -> None:
    """A second board of one of our names is a usage error."""
    source = acme.parent / "site" / "acme_board" / "board.py"
    source.write_text(source.read_text(encoding="utf-8").replace('name = "acme"', 'name = "native"'), encoding="utf-8")
    done = run_pytest(acme, "--board", "native")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "a board named 'native' is already registered" in done.stderr
