"""``pytest --board esp32cam`` as it is typed at a desk, over real esptool, pytest-embedded, provisioning and HTTP."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

pytestmark = pytest.mark.twin

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.twin.desk import Desk

ALL = 28_000


def test_from_flash_to_submission(desk: Desk) -> None:
    """An empty chip is flashed, provisioned, gives TFLM's bytes for all 28,000; at the end these go to Kaggle, once.

    The next run does not flash.
    """
    from pytest_tinyml.stores.datasets import load_dataset
    from tests.kaggle.server import CREATE, LocalKaggle
    from tests.twin.board import Twin
    from tests.twin.desk import WIFI, assert_same_verdict

    labels = load_dataset("mnist-28k").labels
    assert labels is not None
    with Twin() as twin, LocalKaggle(labels.tolist()) as kaggle:
        submit = ("--tinyml-submit", "digit-recognizer", "--tinyml-submit-timeout", "60")
        first = desk.run(twin, *submit, model="s0-ptq", environment={**WIFI, **kaggle.environment})
        assert_same_verdict(first, ALL)
        assert "flashing: the board runs nothing that answers" in first.console
        assert first.console.count("Hash of data verified") == 3
        assert kaggle.calls.count(CREATE) == 1
        (submitted,) = kaggle.submissions
        assert submitted.content.startswith(b"ImageId,Label")
        assert submitted.content.count(b"\n") == ALL + 1
        assert "esp32cam" in submitted.description
        submission = first.results["submission"]
        assert submission["state"] == "scored"
        # What the data set's card says of S0; Kaggle's score has five digits.
        assert submission["public_score"] == pytest.approx(27_800 / ALL, abs=1e-5)
        assert submission["expected_ratio"] == 27_800 / ALL
        flashed = twin.downloads
        assert flashed > 0
        again = desk.run(twin, "--tinyml-limit", "1000", "--tinyml-fresh", model="s0-ptq")
        assert_same_verdict(again, 1000)
        assert twin.downloads == flashed


def test_secrets_stay_secret(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """Neither the Wi-Fi's password nor the run's token is in what is printed, or in the log."""
    from tests.twin.board import Twin
    from tests.twin.desk import WIFI

    with Twin(flash=flashed("s1-ptq")) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "100", "-vv", "--showlocals")
        assert outcome.code == 0, outcome.text
        told = twin.heard_server
    token = told.split()[-1]
    assert len(token) == 43
    for text in (outcome.text, outcome.console):
        assert WIFI["TINYML_WIFI_PASSWORD"] not in text
        assert "100%20%25%20secret" not in text
        assert token not in text


def test_another_firmware_is_replaced(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """A board that runs another model's firmware says so, and is flashed."""
    from tests.twin.board import Twin
    from tests.twin.desk import assert_same_verdict

    with Twin(flash=flashed("s4-ptq")) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "1000")
        assert_same_verdict(outcome, 1000)
        assert twin.downloads > 0
    assert "flashing: the board runs firmware " in outcome.console


def test_a_board_without_auto_reset(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """Whoever does what the screen says, jumper on and RST, jumper off and RST, has the board flashed and run."""
    from tests.twin.board import Faults, Twin
    from tests.twin.desk import assert_same_verdict

    put_on = "connect IO0 to GND (with a jumper) and press RST, within 30 s"
    take_off = "flashed; now take the jumper off IO0 and press RST, within 56 s"
    log = desk.project.path / "tinyml-report" / "logs" / "esp32cam.console.log"
    with Twin(Faults(unwired=True), flash=flashed("s4-ptq")) as twin:
        twin.press_reset(jumper=False)
        ended = threading.Event()

        def hands() -> None:
            for what, jumper in ((put_on, True), (take_off, False)):
                while not (log.exists() and what in log.read_text(encoding="utf-8")):
                    if ended.wait(0.2):
                        return
                twin.press_reset(jumper=jumper)

        person = threading.Thread(target=hands)
        person.start()
        try:
            outcome = desk.run(twin, "--tinyml-limit", "1000")
        finally:
            ended.set()
            person.join()
        assert_same_verdict(outcome, 1000)
        assert (twin.downloads, twin.boots) == (1, 2)
    assert f"tinyml: no boot loader answers at {twin.url}: {put_on}" in outcome.text
    assert f"tinyml: {take_off}" in outcome.text


def test_another_firmware_may_not_be_replaced(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """With pytest-embedded's --skip-autoflash another firmware is an error, which names both."""
    from tests.twin.board import Twin

    with Twin(flash=flashed("s4-ptq")) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "1000", "--skip-autoflash", "y")
        assert twin.downloads == 0
    assert outcome.code == 1
    assert "IdentityError" in outcome.text
    assert "--skip-autoflash forbids to flash it" in outcome.text


def test_two_boards_share_the_work(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """Two boards at two ports, with pytest-embedded's separator, answer every sample once between them."""
    from tests.twin.board import Twin
    from tests.twin.desk import assert_same_verdict

    image = flashed("s1-ptq")
    with Twin(flash=image) as one, Twin(flash=image, mac="240ac4000002") as two:
        outcome = desk.run(f"{one.url}|{two.url}", "--tinyml-count", "2")
        assert_same_verdict(outcome, ALL)
    assert [board["samples"] > 0 for board in outcome.results["boards"]] == [True, True]


def test_a_board_by_its_mac(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """The MAC that the firmware says, or else the boot loader, chooses the board; another one is an error."""
    from tests.twin.board import Twin
    from tests.twin.desk import assert_same_verdict

    with Twin(flash=flashed("s1-ptq"), mac="240ac4000007") as twin:
        outcome = desk.run(twin, "--tinyml-limit", "500", "--port-mac", "24:0A:C4:00:00:07")
        assert_same_verdict(outcome, 500)
        assert twin.downloads == 0
        outcome = desk.run(twin, "--tinyml-limit", "500", "--port-mac", "24:0A:C4:00:00:08")
        assert outcome.code == 1
        assert f"none of {twin.url} has a board with MAC 240ac4000008" in outcome.text


def test_a_kept_network_needs_no_name(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """A board that is in a network already is used without credentials."""
    from tests.twin.board import Twin
    from tests.twin.desk import assert_same_verdict

    with Twin(flash=flashed("s1-ptq")) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "500", environment={"TINYML_WIFI_SSID": ""})
        assert_same_verdict(outcome, 500)


OWN_TESTS = """
def test_asks_the_board(dut):
    dut.write("tinyml status")
    found = dut.expect(r"tinyml: ok status uptime_ms=(\\d+) network=up", timeout=60)
    assert int(found[1]) > 0


def test_meanwhile(dut, tinyml_run):
    assert tinyml_run.everything().differing == 0
    dut.serial.hard_reset()
    dut.expect("tinyml: ready protocol=1 board=esp32cam chip=twin", timeout=60)


def test_needs_no_board():
    assert True
"""


def test_a_dut_in_own_tests(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """pytest-embedded's dut talks over the console that is open already; tests without it start nothing."""
    from tests.twin.board import Twin

    (desk.project.path / "test_own.py").write_text(OWN_TESTS, encoding="utf-8")
    with Twin(flash=flashed("s1-ptq")) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "500", "test_own.py", "-rA")
        assert outcome.code == 0, outcome.text
        assert "3 passed" in outcome.text
        boots = twin.boots
        outcome = desk.run(twin, "--tinyml-limit", "500", "test_own.py", "-k", "needs_no_board")
        assert "1 passed" in outcome.text
        assert twin.boots == boots
        assert twin.downloads == 0


def test_commands_at_a_port(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """``tinyml predict`` and ``tinyml doctor`` use the board at a port, with a firmware that is built already."""
    from tests.twin.board import Twin
    from tests.twin.desk import command

    with Twin(flash=flashed("s1-ptq")) as twin:
        at = ("--port", twin.url, "--app-path", str(desk.build("s1-ptq")))
        shown = command("predict", "--board", "esp32cam", "--model", "s1", "--index", "17", *at)
        assert "s1-ptq on esp32cam (engine aot, twin)" in shown
        assert "the same bytes as tflm on the host" in shown
        shown = command("doctor", "esp32cam", *at)
        assert "ok    esp32cam: 10 samples, the same bytes as tflm" in shown
        assert "boards: 1 ok, 0 failed, 0 not checked" in shown
        assert twin.downloads == 0
