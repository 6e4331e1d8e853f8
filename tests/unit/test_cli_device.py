"""The options of commands that say where a board is: they reach it, and mean what pytest-embedded's mean."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.boards.tflm import TflmKind
from pytest_tinyml.cli import main

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.boards.base import BoardRequest, Missing
    from pytest_tinyml.boards.registry import Registry

Captured = pytest.CaptureFixture[str]
TYPED = ("--port", "/dev/ttyACM3", "--baud", "9600", "--app-path", "my/app", "--build-dir", "out")
DEVICE = {"port": "/dev/ttyACM3", "baud": "9600", "app_path": "my/app", "build_dir": "out"}
COMMANDS = (["predict", "--model", "s1", "--board", "acme"], ["doctor", "acme"])


class Acme(TflmKind):
    """A board at a port, which asks its user for something when it is made."""

    name = "acme"
    hardware = True

    def __init__(self) -> None:
        """Have been asked for nothing."""
        self.devices: list[Mapping[str, str]] = []
        self.asked: list[Mapping[str, str]] = []

    def missing_with(self, device: Mapping[str, str]) -> list[Missing]:
        """Lack nothing, and remember for what."""
        self.asked.append(device)
        return []

    def create(self, request: BoardRequest) -> Any:
        """Remember where the board is."""
        self.devices.append(request.device)
        request.say("press the button")
        return super().create(request)


@pytest.fixture(autouse=True)
def acme(monkeypatch: pytest.MonkeyPatch) -> Acme:
    """A board that commands know, beside ours; no port in the environment."""
    kind = Acme()

    def with_it(registry: Registry) -> Registry:
        registry.register(kind)
        return registry

    for name in ("boards.registry", "cli.doctor"):
        monkeypatch.setattr(importlib.import_module(f"pytest_tinyml.{name}"), "registered", with_it)
    for variable in ("ESPPORT", "ESPBAUD"):
        monkeypatch.delenv(variable, raising=False)
    return kind


@pytest.mark.parametrize("command", COMMANDS, ids=["predict", "doctor"])
def test_options_reach_the_board(command: list[str], acme: Acme, capsys: Captured) -> None:
    """All four options are known to the board, and to its list of what is missing; what it waits for is on stderr."""
    assert 0 == main([*command, *TYPED])
    assert [DEVICE] == acme.devices
    assert acme.asked
    assert all(DEVICE == device for device in acme.asked)
    assert "tinyml: press the button\n" == capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=["predict", "doctor"])
def test_only_what_was_given(command: list[str], acme: Acme) -> None:
    """Without options a board finds its port itself."""
    assert 0 == main(command)
    assert [{}] == acme.devices


def test_the_environment_wins(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    """ESPPORT and ESPBAUD win over options, as with pytest-embedded."""
    monkeypatch.setenv("ESPPORT", "/dev/ttyUSB7")
    monkeypatch.setenv("ESPBAUD", "460800")
    assert 0 == main(["predict", "--model", "s1", "--board", "acme", "--port", "/dev/ttyACM3"])
    assert [{"port": "/dev/ttyUSB7", "esptool_baud": "460800"}] == acme.devices


def test_the_environment_is_not_for_every_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port in the environment does not matter to a process."""
    monkeypatch.setenv("ESPPORT", "/dev/ttyUSB7")
    assert 0 == main(["predict", "--model", "s1", "--board", "tflm"])


def test_other_boards_are_checked_without(acme: Acme, capsys: Captured) -> None:
    """The doctor gives the options to the board that they are for."""
    assert 0 == main(["doctor", "tflm", "acme", *TYPED])
    assert [DEVICE] == acme.devices
    assert "boards: 2 ok, 0 failed, 0 not checked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--board", "tflm", "--port", "COM3"], "--port: board 'tflm' is at no port\n"),
        (["doctor", "tflm", "--baud", "9600"], "--baud: board 'tflm' is at no port\n"),
        (["doctor", "--app-path", ".", "--build-dir", "b"], "--app-path, --build-dir: name the board that is meant\n"),
    ],
)
def test_no_board_at_a_port(arguments: list[str], message: str, capsys: Captured) -> None:
    """Options that nobody would look at are refused before anything is checked."""
    assert 2 == main(arguments)
    out, err = capsys.readouterr()
    assert "" == out
    assert f"tinyml: {message}" == err
