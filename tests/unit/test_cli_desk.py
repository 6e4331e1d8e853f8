"""Boards of tinyml-boards.toml in commands: what the file says of them holds there as it does in a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.cli import main

if TYPE_CHECKING:
    from pathlib import Path

Captured = pytest.CaptureFixture[str]
FILE = """
[[board]]
id = "left"
board = "native"
link = "serial"
options = { fault = "weights" }

[[board]]
id = "away"
board = "esp32cam"
port = "/dev/ttyUSB7"
connected = false
notes = "lent out"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with such a file, in which the commands are given."""
    (tmp_path / "tinyml-boards.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_predict(capsys: Captured) -> None:
    """The board's own settings are used, and what is typed wins, blanks or not."""
    assert 0 == main(["predict", "--board", "left", "--model", "s1"])
    assert capsys.readouterr().out.endswith("differs from tflm on the host\n")
    assert 0 == main(["predict", "--board", "left", "--model", "s1", "--option", "fault = slow=1"])
    assert capsys.readouterr().out.endswith("the same bytes as tflm on the host\n")


def test_explain(capsys: Captured) -> None:
    """A cause is looked for on that board."""
    assert 1 == main(["explain", "s1", "--board", "left", "--limit", "20"])
    assert capsys.readouterr().out.startswith("first diverging operator: 0 FULLY_CONNECTED")


def test_doctor(capsys: Captured) -> None:
    """A board of the desk is checked by its name."""
    assert 1 == main(["doctor", "left"])
    assert "\nFAIL  left: " in capsys.readouterr().out


def test_another_file(folder: Path, capsys: Captured) -> None:
    """--boards names the file."""
    (folder / "tinyml-boards.toml").rename(folder / "mine.toml")
    assert 2 == main(["predict", "--board", "left", "--model", "s1"])
    assert "no board named 'left'" in capsys.readouterr().err
    assert 0 == main(["predict", "--board", "left", "--model", "s1", "--boards", "mine.toml"])


@pytest.mark.parametrize(
    "command", [["predict", "--board", "away"], ["explain", "s1", "--board", "away"], ["doctor", "away"]]
)
def test_not_connected(command: list[str], capsys: Captured) -> None:
    """A board that is not there is refused with what the file says of it."""
    assert 2 == main(command)
    assert "board 'away' is not connected, says tinyml-boards.toml: lent out" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["predict", "--model", "s1"], ["explain", "s1", "--limit=5"]])
def test_a_log_that_is_gone_is_not_named(command: list[str], capsys: Captured) -> None:
    """The end of the console is shown; its file was in a folder that went with the command."""
    assert 1 == main([*command, "--board=native", "--option=fault=exit@1"])
    error = capsys.readouterr().err
    assert error.startswith("tinyml: board 'native': ")
    assert "console log" not in error
