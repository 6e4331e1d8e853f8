"""What happens at a desk: resets, a network that goes away, panics, silence, the wrong board."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.firmware.image import symbol_values

pytestmark = pytest.mark.twin

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.twin.desk import Desk

ALL = 28_000


def test_a_reset_in_the_middle(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """The board starts anew at sample 10,000: it is provisioned again, and no sample is lost or doubled."""
    from tests.twin.board import Faults, Twin
    from tests.twin.desk import assert_same_verdict

    with Twin(Faults(reset_at=10_000), flash=flashed("s1-ptq")) as twin:
        outcome = desk.run(twin)
    assert_same_verdict(outcome, ALL)
    assert outcome.results["server"]["sessions"] == 2
    assert [fault["kind"] for fault in outcome.results["faults"]] == ["restart"]


def test_the_network_is_lost(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """Five seconds without any network, in the middle: the same session goes on, no sample is lost or doubled."""
    from tests.twin.board import Faults, Twin
    from tests.twin.desk import assert_same_verdict
    from tests.twin.radio import Loss

    # The 28,000 are 22 MB on a link that does not pack.
    losses = (Loss(after_bytes=8_000_000, seconds=5.0),)
    with Twin(Faults(losses=losses), flash=flashed("s1-ptq")) as twin:
        outcome = desk.run(twin)
        assert twin.network_losses == 1
    assert_same_verdict(outcome, ALL)
    assert outcome.results["throughput"]["wall_s"] > 5.0


def test_both_with_the_larger_model(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """S0: the network is lost at a quarter of the way, the board starts anew at the half, the verdict is the same."""
    from tests.twin.board import Faults, Twin
    from tests.twin.desk import assert_same_verdict
    from tests.twin.radio import Loss

    faults = Faults(reset_at=ALL // 2, losses=(Loss(after_bytes=5_500_000, seconds=5.0),))
    with Twin(faults, flash=flashed("s0-ptq")) as twin:
        outcome = desk.run(twin, model="s0-ptq")
        assert twin.network_losses == 1
    assert_same_verdict(outcome, ALL)
    assert outcome.results["metrics"]["correct_board"] == 27_800
    assert outcome.results["server"]["sessions"] == 2
    assert [fault["kind"] for fault in outcome.results["faults"]] == ["restart"]


def test_a_panic_is_decoded(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """A panic ends with the reason, the calls by name, and the log."""
    from tests.twin.board import Faults, Twin, panic

    symbols = symbol_values(desk.build("s1-ptq") / "build" / "twin.elf")
    inside = symbols["tml_session_init"] + 1
    faults = Faults(reset_at=3, panic=panic(inside))
    with Twin(faults, flash=flashed("s1-ptq")) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "1000")
    assert outcome.code == 1
    assert "the board panicked: Guru Meditation Error: Core  0 panic'ed (LoadProhibited)" in outcome.text
    assert "tml_session_init" in outcome.text
    assert "Traceback" not in outcome.text
    assert "Backtrace: 0x" in outcome.console


def test_a_brown_out_is_explained(desk: Desk, flashed: Callable[[str], bytes]) -> None:
    """A supply that breaks down is named, with what helps."""
    from tests.twin.board import Faults, Twin

    faults = Faults(reset_at=3, panic=b"\r\nBrownout detector was triggered\r\n\r\n")
    with Twin(faults, flash=flashed("s1-ptq")) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "1000")
    assert outcome.code == 1
    assert "supply voltage broke down" in outcome.text


def test_no_answer(desk: Desk) -> None:
    """A board that says nothing, in any mode, is one error that says what to look at."""
    from tests.twin.board import Faults, Twin

    with Twin(Faults(silent=True)) as twin:
        outcome = desk.run(twin, "--tinyml-limit", "100")
    assert outcome.code == 1
    assert re.search(r"it cannot be flashed over rfc2217://\S+: Failed to connect", outcome.text)
    assert "IO0 at GND" in outcome.text
    assert "Traceback" not in outcome.text


def test_no_network_named(desk: Desk) -> None:
    """Without the name of a network, and without a board that has one, nothing is flashed."""
    from tests.twin.board import Twin

    with Twin() as twin:
        outcome = desk.run(twin, environment={"TINYML_WIFI_SSID": ""})
        assert twin.downloads == 0
    assert outcome.code == 1
    assert "set TINYML_WIFI_SSID and TINYML_WIFI_PASSWORD in the environment" in outcome.text


def test_another_models_build(desk: Desk) -> None:
    """A firmware that was built with another model than was asked for is refused before the board is opened."""
    from tests.twin.board import Twin

    with Twin() as twin:
        outcome = desk.run(twin, model="s4-ptq", built_with="s1-ptq")
        assert (twin.boots, twin.downloads) == (0, 0)
    assert outcome.code == 1
    assert "was built with another model" in outcome.text


def test_a_busy_port(desk: Desk) -> None:
    """A port that somebody else has open is an error that names it."""
    from tests.twin.board import Twin

    with Twin() as twin, socket.create_connection(twin.address):
        outcome = desk.run(twin)
    assert outcome.code == 1
    assert f"serial port {twin.url} cannot be opened" in outcome.text
    assert "Traceback" not in outcome.text


def test_nobody_there(desk: Desk) -> None:
    """A port where nothing listens, and a device file that does not exist, are errors that name them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = desk.run(f"rfc2217://127.0.0.1:{port}")
    assert outcome.code == 1
    assert f"serial port rfc2217://127.0.0.1:{port} cannot be opened" in outcome.text
    outcome = desk.run("/dev/ttyUSB-none")
    assert "there is no serial port /dev/ttyUSB-none" in outcome.text
