"""``tinyml-boards.toml``: boards by names of their own, by tags, with what the file says of each; and bad files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.boards.boardmap import BoardMap, read_board_map
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.cli import main
from pytest_tinyml.errors import UsageError
from tests.projects import output, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.projects import Project

OWN = ("--tinyml-model", "own.tflite", "--tinyml-dataset", "own.npz")
DESK = """
[[board]]
id = "left"
board = "native"
tags = ["fast", "desk"]

[[board]]
id = "right"
board = "native"
link = "serial"
tags = ["desk"]
options = { fault = "slow=10" }

[[board]]
id = "cam"
board = "esp32cam"
mac = "24:0a:c4:00:00:01"
baud = 460800
app_path = "apps/cam"
esptool_baud = 921600
skip_autoflash = true
connected = false
notes = "lent to the office next door"
tags = ["fast"]
"""
CLASS = """
from pytest_tinyml.boards.native import NativeBoard, NativeKind


class MyKind(NativeKind):
    name = "mine"
    summary = "a board of somebody's own"
"""
CONTRACT = """
from pathlib import Path

from pytest_tinyml.boards.boardmap import read_board_map
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.contract import BoardContract


class TestMine(BoardContract):
    kind = read_board_map(Path("tinyml-boards.toml"), ()).kind("mine-1", Registry())
    faults = {"crash": {"fault": "crash@{n}"}, "hang": {"fault": "hang@{n}"}}
"""


def write(project: Project, text: str, name: str = "tinyml-boards.toml") -> Path:
    """Write a file of boards."""
    path = project.path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_a_file_can_say(tmp_path: Path) -> None:
    """Keys become what pytest-embedded's options are called; paths are relative to the file."""
    path = tmp_path / "x.toml"
    path.write_text(DESK, encoding="utf-8")
    left, right, cam = read_board_map(path, ("native",)).boards
    assert ("left", "native", {}, None, {}, ("fast", "desk")) == (
        left.id,
        left.board,
        left.device,
        left.link,
        left.options,
        left.tags,
    )
    assert ("serial", {"fault": "slow=10"}) == (right.link, right.options)
    assert cam.device == {
        "port_mac": "24:0a:c4:00:00:01",
        "baud": "460800",
        "app_path": str(tmp_path / "apps" / "cam"),
        "esptool_baud": "921600",
        "skip_autoflash": "true",
    }
    assert ("mac 24:0a:c4:00:00:01", False) == (cam.place, cam.connected)


def test_a_board_by_its_id(project: Project) -> None:
    """The run is on the board's kind, with the file's link and options, and the results carry the id."""
    write(project, DESK)
    result = project.run("--board", "right", *OWN)
    assert 0 == result.ret, output(result)
    board = project.results()["board"]
    assert ("native", "right", "serial") == (board["name"], board["id"], board["link"])
    assert "passed: own on right, native (engine aot" in output(result)


def test_the_command_line_wins(project: Project) -> None:
    """A link or an option that is typed is used in place of the file's."""
    write(project, DESK, "desk.toml")
    more = ("--tinyml-boards", "desk.toml", "--tinyml-link", "socket", "--tinyml-option", "fault=weights")
    result = project.run("--board", "right", *more, *OWN)
    assert 1 == result.ret
    assert "engine differs" in output(result)
    assert "socket" == project.results()["board"]["link"]


def test_boards_by_tag(project: Project) -> None:
    """A tag is a run on each connected board that has it, by their names, and never a mixture of them."""
    write(project, DESK)
    result = project.run("--board", "tag:desk", *OWN)
    assert 0 == result.ret, output(result)
    assert "no test of this board was run" not in output(result)
    left, right = (project.results(f"tinyml-report/{name}") for name in ("left", "right"))
    assert ("left", "right") == (left["board"]["id"], right["board"]["id"])
    assert ("socket", "serial") == (left["board"]["link"], right["board"]["link"])
    assert 0 == right["throughput"]["resumed_samples"]
    for names in ("tag:fast,right", "tag:desk,left"):
        collected = output(project.run("--board", names, *OWN, "--collect-only", "-q"))
        assert (1, 1) == tuple(collected.count(f"test_identity[{name}]") for name in ("left", "right"))


def test_a_board_by_one_class_and_one_entry(project: Project) -> None:
    """A kind that no plugin registers is named by its module; it runs the suite, and passes the contract."""
    write(project, '[[board]]\nid = "mine-1"\nboard = "myboards:MyKind"\n')
    (project.path / "myboards.py").write_text(CLASS, encoding="utf-8")
    (project.path / "test_contract.py").write_text(CONTRACT, encoding="utf-8")
    with project.spawn("--board", "mine-1", *OWN) as session:
        text, _ = session.communicate(timeout=120)
    assert 0 == session.returncode, text
    assert ("mine", "mine-1") == tuple(project.results()["board"][key] for key in ("name", "id"))
    with project.spawn("test_contract.py", "-q") as session:
        text, _ = session.communicate(timeout=240)
    assert 0 == session.returncode, text
    assert " passed" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--board", "rigth"), "no board named 'rigth'; did you mean 'right'? Known: cam, "),
        (("--board", "cam"), "board 'cam' is not connected, says "),
        (("--board", "tag:slow"), "no tag of a connected board named 'slow'. Known: desk, fast"),
        (("--board", "left", "--tinyml-count=2"), " is one board: --tinyml-count 2 is not for it"),
        (("--board", "left", "--port=/dev/x"), "--port is not for it"),
        (("--board", "left,left"), "'left' is named twice"),
        (("--board", "left", "--tinyml-boards=nowhere.toml"), "cannot be read: No such file or directory"),
        (("--board", "right", "--tinyml-link=http", "--tinyml-clock=cycles"), "no clock of board 'native'"),
    ],
)
def test_refusals(project: Project, arguments: tuple[str, ...], message: str) -> None:
    """What cannot be is refused in one message before anything is run."""
    write(project, DESK)
    assert message in refusal(project.run(*arguments, *OWN))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[board]\n", "not TOML"),
        ("[[bord]]\nid = 'x'\n", "expected tables [[board]] and nothing else, got 'bord'"),
        ("board = 3\n", "expected tables [[board]] and nothing else"),
        ("board = [1]\n", "expected tables [[board]] and nothing else"),
        ("[[board]]\nboard = 'native'\n", "board 1: 'id' is missing"),
        ("[[board]]\nid = 'x'\n", "board 1 ('x'): 'board' is missing"),
        ("[[board]]\nid = 7\nboard = 'native'\n", "'id' is not a string: 7"),
        ("[[board]]\nid = 'a b'\nboard = 'native'\n", "an id has letters, digits"),
        ("[[board]]\nid = 'tag:x'\nboard = 'native'\n", "an id has letters, digits"),
        ("[[board]]\nid = 'native'\nboard = 'native'\n", "id 'native' is the name of a kind of board"),
        ("[[board]]\nid='x'\nboard='native'\n[[board]]\nid='x'\nboard='tflm'\n", "board 2: id 'x' is another board's"),
        ("[[board]]\nid='x'\nboard='native'\nserial='1'\n", "no key named 'serial'; did you mean 'serial_number'?"),
        ("[[board]]\nid='x'\nboard='native'\nbaud=[1]\n", "'baud' is not a string or a number: [1]"),
        ("[[board]]\nid='x'\nboard='native'\nport=''\n", "'port' is not a string or a number: ''"),
        ("[[board]]\nid='x'\nboard='native'\ntags='fast'\n", "'tags' is not an array: 'fast'"),
        ("[[board]]\nid='x'\nboard='native'\nconnected='no'\n", "'connected' is not true or false: 'no'"),
        ("[[board]]\nid='x'\nboard='native'\noptions={a=[]}\n", "'options.a' is not a string or a number: []"),
        ("\xff", "not TOML"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file, the entry and the key."""
    path = tmp_path / "x.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        read_board_map(path, ("native", "tflm"))
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize("board", ["nativ", "nowhere:Kind", "json:nothing", "json:dumps"])
def test_a_kind_that_is_none(tmp_path: Path, board: str) -> None:
    """An entry with no such kind, module or class is named when the board is asked for."""
    path = tmp_path / "x.toml"
    path.write_text(f'[[board]]\nid = "x"\nboard = "{board}"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="board 'x'"):
        read_board_map(path, ()).kind("x", Registry())


def test_no_file_is_no_boards() -> None:
    """Without a file names are those of kinds."""
    assert ("native", "tflm") == BoardMap().expand(("native", "tflm"))


def test_boards_are_listed(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``tinyml boards`` shows what the file says."""
    path = write(project, DESK, "desk.toml")
    monkeypatch.chdir(project.path)
    assert 0 == main(["boards", "--boards", str(path)])
    text = " ".join(capsys.readouterr().out.split())
    assert f"boards of {path} left native; tags fast, desk right native; link serial; option fault=slow=10" in text
    assert "cam not connected esp32cam; mac 24:0a:c4:00:00:01; tag fast; lent to the office next door" in text
    assert 2 == main(["boards", "--boards", "nowhere.toml"])
