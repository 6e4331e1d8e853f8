"""The command tinyml doctor: every finding in a line, every board in its turn, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.boards.base import Missing
from pytest_tinyml.boards.native import NativeKind
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.boards.tflm import TflmKind
from pytest_tinyml.cli import doctor, main
from pytest_tinyml.cli.doctor import _tool
from pytest_tinyml.cli.screen import missing_lines, together, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_tinyml.boards.base import BoardKind, BoardRequest

Captured = pytest.CaptureFixture[str]
SAME = "10 samples, the same bytes as tflm (prepared in "


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines break where a terminal of 100 columns breaks them, whatever this one's width; workers of xdist have 80."""
    monkeypatch.setenv("COLUMNS", "100")


class Named(TflmKind):
    """TFLM under another name, with a fault if need be."""

    def __init__(self, name: str, **options: str) -> None:
        """Have what boards have."""
        self.name = name
        self._options: Mapping[str, str] = options

    def create(self, request: BoardRequest) -> Any:
        """Plant the fault, and do not wait long for what it does."""
        return super().create(replace(request, options=self._options, timeout_s=1.0))


class Real(Named):
    """A board that counts as hardware."""

    hardware = True


class Absent(Named):
    """A board that needs what nobody has."""

    def missing(self) -> list[Missing]:
        """Lack two things."""
        return [Missing(what="a soldering iron", install="sudo apt-get install solder"), Missing(what="x", install="y")]


class Buggy(Named):
    """A board whose author has made a mistake."""

    def create(self, request: BoardRequest) -> Any:
        """Raise what a mistake raises."""
        raise ZeroDivisionError(request.model.name)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes the doctor know these boards and no others."""

    def replace_boards(*kinds: BoardKind) -> None:
        class Few(Registry):
            def names(self) -> tuple[str, ...]:
                return tuple(kind.name for kind in kinds)

        registry = Few()
        for kind in kinds:
            registry.register(kind)
        monkeypatch.setattr(doctor, "registered", lambda _: registry)

    return replace_boards


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, which has to be empty again afterwards."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert [] == list(folder.iterdir())


def _lines(captured: Captured, status: int, *arguments: str) -> list[str]:
    assert status == main(["doctor", *arguments])
    out, err = captured.readouterr()
    assert "" == err
    return out.splitlines()


def test_everything_is_fine(capsys: Captured) -> None:
    """Versions, cache, zoo, data and the boards that were named: a line or two each, and exit code 0."""
    lines = _lines(capsys, 0, "native", "tflm")
    assert lines[0].startswith("ok    pytest-tinyml ")
    text = "\n".join(lines)
    for part in (
        "packages: pytest ",
        "numpy ",
        "bakenn ",
        "ziglang ",
        "esptool ",
        "pytest-embedded ",
        "kaggle ",
        "tools: ",
        "writable, ",
        "zoo, all readable",
        "28,000 samples",
    ):
        assert part in text
    assert [f"ok    {name}: {SAME}" in text for name in ("native", "tflm")] == [True, True]
    assert "boards: 2 ok, 0 failed, 0 not checked" == lines[-1]
    assert max(len(line) for line in lines) <= 100


def test_every_board_has_its_turn(capsys: Captured, only: Any) -> None:
    """A board that cannot be used is no failure, one that fails is, whatever the reason; the others are checked."""
    kinds = (Absent("absent"), Named("crashing", fault="crash@5"), Named("hanging", fault="hang@20"), Buggy("buggy"))
    only(*kinds, Named("stateful", fault="state"), Real("real"), Named("good"))
    lines = _lines(capsys, 1)
    start = next(k for k, line in enumerate(lines) if "absent" in line)
    assert [
        "-     absent: not ready",
        "      needs a soldering iron: sudo apt-get install solder",
        "      needs x: y",
    ] == lines[start : start + 3]
    text = "\n".join(lines[start + 3 :])
    assert "FAIL  crashing: BoardCrashedError: the board is gone: the board closed the link" in text
    assert "FAIL  hanging: BoardTimeoutError: " in text
    assert "FAIL  buggy: ZeroDivisionError: s1-ptq" in text
    assert "FAIL  stateful: CanaryError: board 'tflm': it carries state from one inference to the next" in text
    assert "-     real: a real board, only checked when it is named (tinyml doctor real)" in text
    assert f"ok    good: {SAME}" in text
    assert "boards: 1 ok, 4 failed, 2 not checked" == lines[-1]


def test_missing_tools(capsys: Captured, only: Any) -> None:
    """What a board lacks is a failure with --all, and if the board was named."""
    only(Absent("absent"), Named("good"))
    assert "boards: 1 ok, 0 failed, 1 not checked" == _lines(capsys, 0)[-1]
    assert "boards: 1 ok, 1 failed, 0 not checked" == _lines(capsys, 1, "--all")[-1]
    lines = _lines(capsys, 1, "absent", "absent")
    assert "FAIL  absent: not ready" in lines
    assert "boards: 0 ok, 1 failed, 0 not checked" == lines[-1]


def test_a_real_board_that_is_named(capsys: Captured, only: Any) -> None:
    """Hardware is used when it was asked for by name, and not because of --all."""
    only(Real("real"))
    assert "boards: 0 ok, 0 failed, 1 not checked" == _lines(capsys, 0, "--all")[-1]
    assert "boards: 1 ok, 0 failed, 0 not checked" == _lines(capsys, 0, "real")[-1]


def test_unknown_board(capsys: Captured) -> None:
    """A board that nobody knows is a bad request; nothing was checked."""
    assert 2 == main(["doctor", "natve"])
    out, err = capsys.readouterr()
    assert ("", True) == (out, err.startswith("tinyml: no board named 'natve'; did you mean 'native'? Known: "))


def test_wrong_scores(capsys: Captured, only: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten samples that are not the host's are a failure in numbers; the canaries say so first."""

    class Wrong(NativeKind):
        name = "wrong"

        def create(self, request: BoardRequest) -> Any:
            return super().create(replace(request, options={"fault": "weights"}))

    only(Wrong())
    text = "\n".join(_lines(capsys, 1))
    assert "FAIL  wrong: CanaryError: board 'native': engine differs: the input tensors are identical, but" in text
    # Were the canaries silent, the samples would not be.
    monkeypatch.setattr("pytest_tinyml.campaign.bench.Bench.check_canaries", lambda bench: bench.connect())
    text = "\n".join(_lines(capsys, 1))
    assert "FAIL  wrong: 10 of 10 samples differ from tflm (max 1 LSB" in text


def test_a_compiler_that_fails(capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A build that fails is that board's failure, with the log; the next board is checked."""
    monkeypatch.setenv("CC", "false")
    monkeypatch.setenv("TINYML_CACHE", str(tmp_path / "cache"))
    text = " ".join(" ".join(_lines(capsys, 1, "native", "tflm")).split())
    assert "FAIL native: BuildError: the firmware of board 'native' does not build: " in text
    assert "full output: " in text
    assert f"ok tflm: {SAME}" in text


def test_unwritable_cache(capsys: Captured, only: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache that cannot be written is a failure that names the variable that moves it."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TINYML_CACHE", str(tmp_path / "file" / "cache"))
    only(Named("good"))
    text = "\n".join(_lines(capsys, 1))
    assert "Not a directory; set TINYML_CACHE to a folder" in " ".join(text.split())
    assert "boards: 1 ok, 0 failed, 0 not checked" in text


@pytest.mark.parametrize("what", ["models", "data"])
def test_damaged_assets(
    capsys: Captured, only: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    """A zoo or a data set that is damaged is said, each on its own."""
    for path in ("data/mnist-28k.npz", "s1/card.toml"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("not what it should be", encoding="utf-8")
    module = {"models": "models", "data": "datasets"}[what]
    monkeypatch.setattr(f"pytest_tinyml.stores.{module}.assets_dir", lambda _: tmp_path)
    only(Absent("absent"))
    lines = _lines(capsys, 1)
    marks = {line[6:].split(":")[0]: line[:6].strip() for line in lines}
    assert {"models": "ok", "data": "ok"} | {what: "FAIL"} == {key: marks[key] for key in ("models", "data")}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0", "12.2.0"),
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", "7.2.22"),
        ("arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205", "12.2.1"),
        ("GNU Make 4.3", "4.3"),
        ("1.11.1", "1.11.1"),
        ("hello", "(does not say its version)"),
    ],
)
def test_versions_of_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, expected: str) -> None:
    """The version is the program's, not the distribution's."""
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\necho '{said}'\necho 'Copyright 1.2.3'\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert expected == _tool("tool")


def test_a_tool_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not answer is not waited for."""
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(doctor, "_TOOL_S", 0.1)
    assert "(does not say its version)" == _tool("tool")


def test_as_a_program() -> None:
    """The exit code reaches the shell."""
    command = [
        sys.executable,
        "-c",
        "import sys; from pytest_tinyml.cli import main; sys.exit(main(['doctor', 'tflm']))",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (0, "boards: 1 ok, 0 failed, 0 not checked") == (done.returncode, done.stdout.splitlines()[-1])


def test_lines_are_broken_between_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line ends between two facts, and a command is never broken."""
    monkeypatch.setenv("COLUMNS", "30")
    assert ["    engine aot;", "    flash 1,024 KiB, RAM 8 KiB"] == wrapped(
        together(["engine aot", "flash 1,024 KiB, RAM 8 KiB"], "; ")
    )
    short, long = (
        Missing(what="a", install="get a"),
        Missing(what="a long thing", install="sudo apt-get install it all"),
    )
    assert ["    needs a: get a", "    needs a long thing:", "      sudo apt-get install it all"] == missing_lines(
        [short, long]
    )
