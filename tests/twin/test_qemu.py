"""``pytest --board esp32-qemu`` over real pytest-embedded-qemu and esptool, with a stand-in for Espressif's QEMU."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytestmark = pytest.mark.twin

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.twin.desk import Desk, Outcome

SAMPLES = 3000
_LIMIT_S = 300.0


@pytest.fixture
def run(desk: Desk) -> Callable[..., Outcome]:
    """Returns what runs ``pytest --board esp32-qemu`` with a program as QEMU."""

    def run_with(
        program: Path | str, *arguments: str, app: Path | None = None, limit: int = SAMPLES, **environment: str
    ) -> Outcome:
        return desk.outcome(
            "esp32-qemu",
            *("--app-path", str(app or desk.build("s1-ptq")), "--qemu-prog-path", str(program)),
            *("--tinyml-model", "s1-ptq", "--tinyml-limit", str(limit), *arguments),
            environment={"TINYML_WIFI_SSID": "", **environment},
            limit_s=_LIMIT_S,
        )

    return run_with


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for stand-ins."""
    return tmp_path_factory.mktemp("programs")


def starts(program: Path) -> list[list[str]]:
    """Return the command lines with which a stand-in was started."""
    return [json.loads(line) for line in (program.parent / "seen").read_text(encoding="utf-8").splitlines()]


def test_from_build_folder_to_verdict(run: Callable[..., Outcome], programs: Path) -> None:
    """The image is merged and booted, the wired board told of the server, and 3,000 samples are bit-exact."""
    from tests.twin.desk import WIFI, assert_same_verdict
    from tests.twin.qemu import install

    program = install(programs / "espressif")
    outcome = run(program, **WIFI)  # which are not for a board that is wired
    assert_same_verdict(outcome, SAMPLES)
    assert outcome.results["board"]["name"] == "esp32-qemu"
    assert "tinyml: ok wifi" not in outcome.console
    assert "address=10.0.2.15" in outcome.console
    (words,) = starts(program)
    assert words[:3] == ["-nographic", "-machine", "esp32"]
    assert ["-nic", "user,model=open_eth", "-m", "4M"] == words[words.index("-nic") :][:4]
    assert "driver=timer.esp32.timg,property=wdt_disable,value=true" in words
    assert words[-1].endswith("flash_image.bin,if=mtd,format=raw")


def test_latency_of_an_emulator_is_never_gated(run: Callable[..., Outcome], programs: Path) -> None:
    """A limit that nothing could keep skips, and says that the time is this computer's."""
    from tests.twin.qemu import install

    outcome = run(install(programs / "espressif"), "--tinyml-max-latency", "0.001", "-rs", limit=200)
    assert outcome.code == 0, outcome.text
    assert "1 skipped" in outcome.text
    assert outcome.results["latency"]["gated"] is False


def test_qemu_dies_in_the_middle(run: Callable[..., Outcome], programs: Path) -> None:
    """It is started again, the board provisioned again, and no sample is lost or doubled."""
    from tests.twin.desk import assert_same_verdict
    from tests.twin.qemu import install

    program = install(programs / "espressif", fault="exit@1000")
    outcome = run(program)
    assert_same_verdict(outcome, SAMPLES)
    assert 2 == len(starts(program))
    assert ["restart"] == [fault["kind"] for fault in outcome.results["faults"]]
    assert "QEMU ended with exit code 3" in outcome.text


def test_the_users_arguments_win(run: Callable[..., Outcome], programs: Path) -> None:
    """A network of the user's own replaces ours, and one that gives no address is an error which says so."""
    from tests.twin.qemu import install

    program = install(programs / "espressif")
    outcome = run(program, "--qemu-extra-args=-nic user,model=open_eth,hostfwd=tcp::8070-:80 -m 2M", limit=200)
    assert outcome.code == 0, outcome.text
    (words,) = starts(program)
    assert (words.count("-nic"), words.count("-m")) == (1, 1)
    outcome = run(program, "--qemu-extra-args=-nic none", "--tinyml-fresh", limit=200)
    assert outcome.code == 1
    assert "no address within 20 s: the network has to be -nic user,model=open_eth" in outcome.text


def test_no_qemu(run: Callable[..., Outcome], programs: Path) -> None:
    """A program that is not there is refused before anything is run, with what installs it."""
    outcome = run(programs / "nowhere")
    assert outcome.code == 4
    assert f"Espressif's QEMU (there is no {programs / 'nowhere'};" in outcome.text
    assert "python $IDF_PATH/tools/idf_tools.py install qemu-xtensa" in outcome.text


def test_a_qemu_without_the_machine(run: Callable[..., Outcome], programs: Path) -> None:
    """A distribution's QEMU, which has no ESP32, is told apart before anything is run."""
    from tests.twin.qemu import DEBIAN, install

    program = install(programs / "debian", machines=DEBIAN)
    outcome = run(program)
    assert outcome.code == 4
    assert f"Espressif's QEMU ({program} has no machine esp32" in outcome.text


def test_qemu_dies_at_once(run: Callable[..., Outcome], programs: Path) -> None:
    """A QEMU that ends as it starts is an error with its exit code and its own words."""
    program = programs / "broken"
    program.write_text(
        '#!/bin/sh\nif [ "$1" = -machine ]; then echo "esp32  x"; exit 0; fi\necho "cannot open display" >&2; exit 1\n'
    )
    program.chmod(0o700)
    began = time.monotonic()
    outcome = run(program)
    assert outcome.code == 1
    assert "QEMU ended with exit code 1" in outcome.text
    assert "cannot open display" in outcome.text
    assert "Traceback" not in outcome.text
    assert time.monotonic() - began < 150.0


def change(build: Path, name: str, **fields: Any) -> None:
    """Change fields of one of a build folder's descriptions."""
    path = build / name
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8")


@pytest.fixture
def own_app(desk: Desk, tmp_path: Path) -> Path:
    """A build of its own, to be spoilt."""
    return shutil.copytree(desk.build("s1-ptq"), tmp_path / "own-app")


def test_a_build_for_wifi(run: Callable[..., Outcome], programs: Path, own_app: Path) -> None:
    """A firmware that was built without sdkconfig.qemu is refused, with how to build it."""
    from tests.twin.qemu import install

    change(own_app / "build", "tinyml-build.json", emulated=False)
    program = install(programs / "espressif")
    outcome = run(program, app=own_app)
    assert outcome.code == 1
    assert 'SDKCONFIG_DEFAULTS="../espidf/sdkconfig.common;sdkconfig.defaults;sdkconfig.qemu"' in outcome.text
    assert not (program.parent / "seen").exists()


def test_builds_that_cannot_be_merged_or_booted(run: Callable[..., Outcome], programs: Path, own_app: Path) -> None:
    """A file that is missing is esptool's error; one that is damaged is said by the boot loader."""
    from tests.twin.qemu import install

    program = install(programs / "espressif")
    application = own_app / "build" / "twin.bin"
    content = bytearray(application.read_bytes())
    content[len(content) // 2] ^= 1
    application.write_bytes(content)
    outcome = run(program, app=own_app)
    assert outcome.code == 1
    assert "the board runs nothing that answers" in outcome.text
    assert "esp_image" in outcome.console
    application.unlink()
    outcome = run(program, app=own_app)
    assert outcome.code == 1
    assert "esptool cannot merge the files of" in outcome.text
    assert "Traceback" not in outcome.text


def test_another_image_is_not_taken_for_the_build(run: Callable[..., Outcome], programs: Path, desk: Desk) -> None:
    """With pytest-embedded's --skip-regenerate-image an image of another firmware is an error that names it."""
    from tests.twin.image import flash_of
    from tests.twin.qemu import install

    image = desk.project.path / "other.bin"
    image.write_bytes(flash_of(desk.build("s4-ptq") / "build"))
    arguments = ("--qemu-image-path", "other.bin", "--skip-regenerate-image", "y")
    outcome = run(install(programs / "espressif"), *arguments)
    assert outcome.code == 1
    assert "leave out --skip-regenerate-image" in outcome.text
    assert str(image) in outcome.text


OWN_TESTS = """
def test_asks_the_board(dut):
    dut.write("tinyml status")
    dut.expect(r"tinyml: ok status uptime_ms=\\d+ network=up address=10.0.2.15", timeout=60)


def test_meanwhile(dut, tinyml_run):
    assert tinyml_run.everything().differing == 0
    dut.hard_reset()
    dut.expect("tinyml: ready protocol=1 board=esp32-qemu chip=twin", timeout=60)
"""


def test_a_dut_in_own_tests(run: Callable[..., Outcome], programs: Path, desk: Desk) -> None:
    """pytest-embedded's dut talks to the QEMU that runs already, and resets the chip in it."""
    from tests.twin.qemu import install

    (desk.project.path / "test_own.py").write_text(OWN_TESTS, encoding="utf-8")
    program = install(programs / "espressif")
    outcome = run(program, "test_own.py", limit=500)
    assert outcome.code == 0, outcome.text
    assert "2 passed" in outcome.text
    assert 1 == len(starts(program))


def test_nothing_is_left_behind(desk: Desk, programs: Path, tmp_path: Path) -> None:
    """A pytest that is killed takes its QEMU with it."""
    from tests.projects import wait_until
    from tests.twin.qemu import install

    program = install(programs / "espressif")
    process = desk.project.spawn(
        *("--board", "esp32-qemu", "--app-path", str(desk.build("s1-ptq")), "--qemu-prog-path", str(program)),
        *("--tinyml-model", "s1-ptq"),
        TMPDIR=str(tmp_path),
    )
    wait_until(lambda: desk.project.answers() > 0, 180.0, process)
    assert running(program) > 0
    # With what pytest-embedded has forked; QEMU is in a group of its own.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60.0)
    assert process.stdout is not None
    process.stdout.close()
    deadline = time.monotonic() + 60.0
    while running(program) > 0:
        assert time.monotonic() < deadline, "QEMU outlives pytest"
        time.sleep(0.05)


def running(program: Path) -> int:
    """Count the processes that run a stand-in."""
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            # The interpreter, and the script that it was started for.
            count += len(words) > 1 and words[1] == os.fsencode(program)
    return count
