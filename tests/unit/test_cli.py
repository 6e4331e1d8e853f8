"""The command tinyml, as a person types it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml import __version__
from pytest_tinyml.boards.native import NativeKind
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.cli import main
from pytest_tinyml.cli.predict import bars, picture
from pytest_tinyml.stores.models import model_names

if TYPE_CHECKING:
    from pathlib import Path

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines break where a terminal of 100 columns breaks them, whatever this one's width; workers of xdist have 80."""
    monkeypatch.setenv("COLUMNS", "100")


def test_version_is_the_packages(capsys: Captured) -> None:
    """The version is stated once in the code and once in the package, and they agree."""
    with pytest.raises(SystemExit) as ending:
        main(["--version"])
    assert 0 == ending.value.code
    assert f"pytest-tinyml {__version__}\n" == capsys.readouterr().out
    assert version("pytest-tinyml") == __version__


def test_no_command(capsys: Captured) -> None:
    """Without a command the usage is shown and nothing is done."""
    with pytest.raises(SystemExit) as ending:
        main([])
    assert 2 == ending.value.code
    assert "usage: tinyml" in capsys.readouterr().err


def test_boards(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every board is listed with what can be chosen, in 100 columns, and in 80 where the terminal has no more."""
    monkeypatch.setenv("COLUMNS", "120")
    assert 0 == main(["boards"])
    lines = capsys.readouterr().out.splitlines()
    assert list(Registry().names()) == [line.split()[0] for line in lines if not line.startswith(" ")]
    assert ["native", "ready"] == lines[0].split()
    assert "    engine aot; links socket, serial, http; clock wall; options fault, fault-once" == lines[2]
    assert max(len(line) for line in lines) <= 100
    monkeypatch.setenv("COLUMNS", "80")
    assert 0 == main(["boards"])
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80


def test_boards_say_what_memory_they_have(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memories of a part are listed in KiB."""
    monkeypatch.setattr(NativeKind, "memories", {"flash": 1 << 20, "RAM": 180_736}, raising=False)
    assert 0 == main(["boards"])
    said = " ".join(capsys.readouterr().out.split())
    assert "clock wall; flash 1,024 KiB, RAM 176.5 KiB; options fault, fault-once" in said


def test_boards_say_what_is_missing(capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a compiler, native is not ready, and the command that installs one is named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert 0 == main(["boards"])
    lines = capsys.readouterr().out.splitlines()
    assert ["native", "not", "ready"] == lines[0].split()
    assert "    needs a C compiler (cc, gcc or clang): sudo apt-get install gcc" == lines[3]


def test_models_list(capsys: Captured) -> None:
    """Every model of the zoo has its line."""
    assert 0 == main(["models", "list"])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert list(model_names()) == names


def test_data_info(capsys: Captured) -> None:
    """A data set is described by count, shape, identity and labels."""
    assert 0 == main(["data", "info", "mnist-28k"])
    out = capsys.readouterr().out
    assert out.startswith("mnist-28k: 28,000 samples, uint8 [28, 28]\nsha256 ")
    assert "labels 0: " in out


def test_data_info_without_labels(capsys: Captured, tmp_path: Path) -> None:
    """A data set without labels says so."""
    np.savez(tmp_path / "bare.npz", images=np.zeros((2, 3, 3), dtype=np.uint8))
    assert 0 == main(["data", "info", str(tmp_path / "bare.npz")])
    assert capsys.readouterr().out.endswith("no labels\n")


@pytest.mark.parametrize("board", ["native", "tflm"])
def test_predict(board: str, capsys: Captured) -> None:
    """The digit is drawn, each class has a probability, and the host agrees to the byte."""
    assert 0 == main(["predict", "--board", board, "--model", "S1", "--index", "17"])
    lines = capsys.readouterr().out.splitlines()
    drawn = lines[: lines.index("mnist-28k #17, label 3")]
    assert 15 < len(drawn) < 28
    assert f"s1-ptq on {board} (engine " in lines[len(drawn) + 1]
    classes = lines[len(drawn) + 2 : -1]
    assert [str(k) for k in range(10)] == [line.split()[0] for line in classes]
    (best,) = [line for line in classes if line.endswith("<-")]
    assert "3" == best.split()[0]
    assert "the same bytes as tflm on the host" == lines[-1]


def test_predict_other_sample(capsys: Captured) -> None:
    """The host is asked about the same sample as the board."""
    assert 0 == main(["predict", "--model", "s1", "--index", "27999"])
    assert capsys.readouterr().out.endswith("the same bytes as tflm on the host\n")


def test_convert(capsys: Captured, tmp_path: Path) -> None:
    """The sources of a model are written and named."""
    assert 0 == main(["convert", "s1", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert f"{tmp_path / 'tml_model.c'}\n" in out
    assert "arena 922 B" in out
    assert "   0 FULLY_CONNECTED  bknn_model_linear_s8 (portable)\n" in out
    assert (tmp_path / "tml_model.c").is_file()


def test_convert_with_a_vendors_kernels(capsys: Captured, tmp_path: Path) -> None:
    """The function of each operator is named, with whose it is."""
    assert 0 == main(["convert", "s4", "--out", str(tmp_path), "--kernels", "cmsis-nn"])
    out = capsys.readouterr().out
    assert "   0 CONV_2D          arm_convolve_wrapper_s8 (cmsis-nn)\n" in out
    assert "   2 RESHAPE          no code: the same memory in another shape\n" in out
    assert "   4 SOFTMAX          tml_softmax_s8 (portable)\n" in out


def test_convert_as_an_array(capsys: Captured, tmp_path: Path) -> None:
    """The file, its operators and its arena, which can be given."""
    assert 0 == main(["convert", "s1", "--c-array", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert f"{tmp_path / 'model.cc'}\n" in out
    assert "operators FULLY_CONNECTED SOFTMAX\n" in out
    assert re.search(r"^arena [\d,]+ B \(measured [\d,]+ B\), model 61,120 B$", out, re.MULTILINE)
    assert 0 == main(["convert", "s1", "--c-array", "--out", str(tmp_path), "--arena", "20000"])
    assert "arena 20,000 B, model 61,120 B\n" in capsys.readouterr().out


@pytest.mark.parametrize("size", ["0", "-1", "1k", "4294967296"])
def test_convert_with_a_bad_arena(size: str, capsys: Captured) -> None:
    """A size that is none is a usage error."""
    with pytest.raises(SystemExit) as ending:
        main(["convert", "s1", "--c-array", "--out", "x", f"--arena={size}"])
    assert 2 == ending.value.code
    assert f"{size!r} is not a number of bytes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "s1", "--out", "x", "--c-array", "--kernels", "esp-nn"], "--kernels is for a model translated"),
        (["convert", "s1", "--out", "x", "--arena", "9000"], "--arena needs --c-array"),
        (["predict", "--model", "s1", "--index", "28000"], "--index 28000: mnist-28k has samples 0 to 27999"),
        (["predict", "--board", "nativ"], "no board named 'nativ'; did you mean 'native'? Known: "),
        (["convert", "s1", "--out", "x", "--preprocess", "half"], "--tinyml-preprocess: 'half' is not scale:DIVISOR"),
        (["convert", "s1", "--out", "x", "--kernels", "esp"], "no kernels named 'esp'; did you mean 'esp-nn'? Known: "),
        (["data", "info", "no-such"], "no data set (nor file) named 'no-such'. Known: mnist-28k"),
        (["models", "train", "s9"], "no recipe named 's9'"),
    ],
)
def test_bad_requests(arguments: list[str], message: str, capsys: Captured) -> None:
    """One line on stderr, exit code 2, no traceback."""
    assert 2 == main(arguments)
    captured = capsys.readouterr()
    assert captured.err.startswith(f"tinyml: {message}")
    assert 1 == len(captured.err.splitlines())


def test_a_tool_that_fails(capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A compiler that fails is exit code 1 with the log's path."""
    monkeypatch.setenv("CC", "false")
    monkeypatch.setenv("TINYML_CACHE", str(tmp_path))
    assert 1 == main(["predict", "--model", "s1"])
    assert "full output: " in capsys.readouterr().err


def test_a_reader_that_has_seen_enough() -> None:
    """A closed pipe (tinyml ... | head) ends the command without a word."""
    read, write = os.pipe()
    os.close(read)
    command = [
        sys.executable,
        "-c",
        "import sys; from pytest_tinyml.cli import main; sys.exit(main(['models', 'list']))",
    ]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write)
    assert (0, "") == (done.returncode, done.stderr)


def test_picture_of_colours_and_of_nothing() -> None:
    """Colours are averaged, and an empty picture keeps its lines."""
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    assert "\n" == picture(image)
    image[0, 1] = 255
    assert "  @@" == picture(image)


def test_bars_show_where_the_host_differs() -> None:
    """The host's probability stands beside the board's where it is another one."""
    lines = bars(np.array([0.25, 0.75]), np.array([0.5, 0.75]), ("cat", "dog"))
    assert ["  cat   25.0%  ##########  (host 50.0%)", "  dog   75.0%  ##############################  <-"] == lines
