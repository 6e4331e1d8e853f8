"""Options and ini keys: every bad value is one message, and the command line wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.shell.options import OPTIONS
from tests.projects import OWN, output, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.projects import Project

SEQUENTIAL = "alpha=0.05,beta=0.05,delta=1pp"
BAD = [
    ("--tinyml-limit", "x", "not a number: 'x'"),
    ("--tinyml-limit", "0", "'0' must be at least 1"),
    ("--tinyml-limit", "1.5", "not a number: '1.5'"),
    ("--tinyml-max-lsb", "-1", "'-1' must be at least 0"),
    ("--tinyml-max-lsb", "one", "not a number: 'one'"),
    ("--tinyml-count", "0", "'0' must be at least 1"),
    ("--tinyml-count", "two", "not a number: 'two'"),
    ("--tinyml-timeout", "0", "'0' must be a positive number of seconds"),
    ("--tinyml-timeout", "nan", "'nan' must be a positive number of seconds"),
    ("--tinyml-timeout", "10s", "not a number: '10s'"),
    ("--tinyml-shard-size", "-5", "'-5' must be at least 1"),
    ("--tinyml-min-top1", "99", "'99' must be a ratio from 0 to 1"),
    ("--tinyml-min-top1", "99%", "not a number: '99%'"),
    ("--tinyml-max-latency", "inf", "'inf' must be a positive number"),
    ("--tinyml-max-latency", "5ms", "not a number: '5ms'"),
    ("--tinyml-max-arena", "0", "'0' must be at least 1"),
    ("--tinyml-max-arena", "20k", "not a number: '20k'"),
    ("--tinyml-max-instructions", "0", "'0' must be at least 1"),
    ("--tinyml-max-instructions", "1e6", "not a number: '1e6'"),
    ("--tinyml-sequential", "gamma=1", f"'gamma=1' is not a list of alpha, beta, delta and seed, e.g. {SEQUENTIAL}"),
    ("--tinyml-sequential", "beta=5%", "'beta=5%' must have beta above 0 and at most 0.5, not '5%'"),
    ("--tinyml-explain", "maybe", "'maybe' is not one of auto, always, never"),
    ("--tinyml-explain-timeout", "0", "'0' must be a positive number of seconds"),
    ("--tinyml-option", "fault", "'fault' is not KEY=VALUE"),
    ("--tinyml-option", "=crash", "'=crash' is not KEY=VALUE"),
    ("--tinyml-preprocess", "scale:zero", "'scale:zero' is not scale:DIVISOR (e.g. scale:255), l2axis1 or none"),
    ("--tinyml-preprocess", "scale:0", "'scale:0' is not scale:DIVISOR (e.g. scale:255), l2axis1 or none"),
    ("--tinyml-preprocess", "scale:nan", "'scale:nan' is not scale:DIVISOR (e.g. scale:255), l2axis1 or none"),
    ("--tinyml-preprocess", "l2", "'l2' is not scale:DIVISOR (e.g. scale:255), l2axis1 or none"),
]


@pytest.mark.parametrize(("flag", "value", "message"), BAD)
def test_bad_value(project: Project, flag: str, value: str, message: str) -> None:
    """A value that is not of the option's form is refused with the option's name."""
    assert refusal(project.run(*OWN, f"{flag}={value}")) == f"{flag}: {message}"


def test_bad_value_in_ini(project: Project) -> None:
    """A bad value in the ini file is refused like one on the command line."""
    project.pytester.makeini("[pytest]\ntinyml_limit = many")
    assert refusal(project.run(*OWN)) == "--tinyml-limit: not a number: 'many'"


def test_ini_keys(project: Project) -> None:
    """Everything can stand in the ini file, the board included."""
    project.pytester.makeini(
        "[pytest]\ntinyml_board = native\ntinyml_model = own.tflite\ntinyml_dataset = own.npz\n"
        "tinyml_limit = 30\ntinyml_shard_size = 10\ntinyml_report = out\n"
    )
    result = project.run()
    result.assert_outcomes(passed=9)
    assert project.results("out")["dataset"]["count"] == 30


OPTIONED = """
import pytest_tinyml.boards.native as native
from pytest_tinyml.boards.base import BoardRequest

class Kind(native.NativeKind):
    name = "optioned"
    options = {"fault": "as native", "speed": "any", "colour": "any"}

    def create(self, request):
        assert request.options == {"speed": "slow=er", "colour": "red"}, request.options
        return super().create(request)

def pytest_tinyml_boards(registry):
    registry.register(Kind())
"""


def test_several_board_options(project: Project) -> None:
    """Settings of the board can be given one by one, on the command line and in the ini file; the former wins."""
    project.pytester.makeconftest(OPTIONED)
    own = ["--board=optioned", *OWN[2:]]
    project.run(*own, "--tinyml-option", "speed=slow=er", "--tinyml-option=colour=red").assert_outcomes(passed=7)
    project.pytester.makeini("[pytest]\ntinyml_option =\n    speed = slow=er\n    colour=red\n")
    project.run(*own).assert_outcomes(passed=7)
    message = refusal(project.run(*own, "--tinyml-option=size=9"))
    assert message == "no option of board 'optioned' named 'size'. Known: colour, fault, speed"


def test_board_option_given_twice(project: Project) -> None:
    """Of two values of one setting neither is dropped in silence."""
    message = refusal(project.run(*OWN, "--tinyml-option=fault=state", "--tinyml-option=fault=crash@3"))
    assert message == "--tinyml-option: 'fault' is given twice: 'state' and 'crash@3'"


def test_command_line_wins(project: Project) -> None:
    """An option on the command line replaces the ini key."""
    project.pytester.makeini("[pytest]\ntinyml_limit = 30\ntinyml_report = from_ini")
    project.run(*OWN, "--tinyml-limit=20", "--tinyml-report=from_line").assert_outcomes(passed=7)
    assert project.results("from_line")["dataset"]["count"] == 20
    assert not (project.path / "from_ini").exists()


def test_paths_are_relative_to_where_they_were_written(project: Project) -> None:
    """A path on the command line is relative to the current folder, one in the ini file to the project's root."""
    project.pytester.makeini("[pytest]\ntinyml_journal = kept/journal.sqlite")
    below = project.path / "below"
    below.mkdir()
    project.pytester.chdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(below)
        own = ["--tinyml-model=../own.tflite", "--tinyml-dataset=../own.npz"]
        project.run("--board=native", *own, "--tinyml-report=out").assert_outcomes(passed=7)
    assert (below / "out" / "results.json").is_file()
    assert (project.path / "kept" / "journal.sqlite").is_file()


def test_files_named_in_the_ini_file(project: Project) -> None:
    """A model and a data set of the ini file are the project's, from whatever folder pytest is started."""
    project.pytester.makeini("[pytest]\ntinyml_model = own.tflite\ntinyml_dataset = own.npz")
    below = project.path / "below"
    below.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(below)
        project.run("--board=native").assert_outcomes(passed=7)
    assert project.results()["dataset"]["count"] == 40


def test_without_an_ini_file_the_current_folder_receives_everything(project: Project, tmp_path: Path) -> None:
    """Pytest takes values of options for paths and may find its root far above; no report belongs there."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    data = (project.path / "own.npz").rename(elsewhere / "own.npz")
    arguments = ["--board=native", "--tinyml-model", "own.tflite", "--tinyml-dataset", str(data)]
    result = project.pytester.runpytest_subprocess("--pyargs", "pytest_tinyml.suite", *arguments)
    result.assert_outcomes(passed=7)
    assert f"rootdir: {project.path}" not in result.outlines
    assert project.results()["passed"]
    assert project.journal.is_file()


def test_help_lists_every_option(project: Project) -> None:
    """--help names every option and ini key, also together with --board."""
    text = output(project.run("--board", "native", "--help"))
    missing = [name for option in OPTIONS for name in (option.flag, option.key) if name not in text]
    assert missing == []
    assert "--board=NAME" in text or "--board NAME" in text


@pytest.mark.parametrize("arguments", [["-n", "2"], ["-n2", "--dist=loadfile"], ["--tx=2*popen", "--dist=load"]])
def test_xdist_is_refused(project: Project, arguments: list[str]) -> None:
    """Processes cannot share a board: -n is refused, and the message says what to use."""
    message = refusal(project.run(*OWN, *arguments))
    assert (
        message
        == "--board does not go with -n: processes cannot share a board; use --tinyml-count N for several boards"
    )


def test_xdist_without_processes(project: Project) -> None:
    """-n 0 is no distribution and works."""
    project.run(*OWN, "-n", "0").assert_outcomes(passed=7)
