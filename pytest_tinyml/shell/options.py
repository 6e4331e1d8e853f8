"""The command line options and ini keys; nothing here imports more than pytest and the standard library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.shell.parsers import (
    at_least,
    baseline,
    baseline_name,
    gate,
    key_and_value,
    not_negative,
    port,
    positive,
    ratio,
    sequential,
    switch,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_tinyml.verdict.gate import Gate
    from pytest_tinyml.verdict.sequentialspec import SequentialSpec


NO_BOARD = "needs a board: pytest --board native (tinyml boards lists them)"
"""Why a test that uses a board skips without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option: ``--tinyml-NAME`` on the command line, ``tinyml_name`` in the ini file; the command line wins."""

    name: str
    help: str
    parse: Callable[[str], Any]
    default: Any
    metavar: str | None = None
    many: bool = False
    """Whether it may be given several times; in the ini file, one a line."""
    bare: str | None = None
    """What it means without a value; None if it needs one."""
    switch: bool = False
    """Whether it takes no value on the command line; in the ini file, true or false."""

    @property
    def flag(self) -> str:
        """The command line spelling."""
        return f"--tinyml-{self.name}"

    @property
    def key(self) -> str:
        """The ini key, and the attribute of `Settings`."""
        return "tinyml_" + self.name.replace("-", "_")


OPTIONS = (
    Option(name="model", metavar="MODEL", parse=str, default=("s0-ptq",), many=True,
           help="zoo name (tinyml models list), a .tflite or .espdl file; may be given several times, for a run each"),
    Option(name="dataset", metavar="DATA", parse=str, default="mnist-28k",
           help="mnist-28k, or a .npz, a Kaggle CSV, a folder of IDX files or of photographs by class"),
    Option(name="preprocess", metavar="SPEC", parse=str, default=None,
           help="how pixels become the input, where the model has no card: scale:DIVISOR, l2axis1 or none "
           "(default: the card's, else scale:255)"),
    Option(name="task", metavar="TASK", parse=str, default=None,
           help="what the outputs mean, where the model has no card: classification or regression "
           "(default: the card's, else classification)"),
    Option(name="limit", metavar="N", parse=at_least(1), default=None, help="only the first N samples (default: all)"),
    Option(name="reference", metavar="NAME", parse=str, default=None,
           help="what the board is compared with: tflm, litert, litert-ref or espdl (default: tflm; espdl for .espdl)"),
    Option(name="max-lsb", metavar="N", parse=at_least(0), default=None,
           help="difference tolerated per quantised output, in steps (default: 0 against tflm, else 32)"),
    Option(name="max-abs", metavar="X", parse=not_negative, default=None,
           help="difference tolerated per float output (default: 0 against tflm, 1e-6 where aot-float computes an "
           "exponential; else 1e-5)"),
    Option(name="link", metavar="NAME", parse=str, default=None,
           help="how samples travel, e.g. socket or serial (default: the board's first)"),
    Option(name="flasher", metavar="NAME", parse=str, default=None,
           help="what writes firmware through a debug probe: openocd, pyocd or none (default: what is installed)"),
    Option(name="host", metavar="ADDRESS", parse=str, default=None,
           help="address that boards in a network pull from (default: of the interface that faces the board)"),
    Option(name="clock", metavar="NAME", parse=str, default=None,
           help="what inferences are timed with, e.g. wall or instructions (default: the board's first)"),
    Option(name="count", metavar="N", parse=at_least(1), default=1,
           help="number of boards of each kind that share the work"),
    Option(name="timeout", metavar="S", parse=positive(" of seconds"), default=10.0,
           help="longest silence of a board, in seconds"),
    Option(name="shard-size", metavar="N", parse=at_least(1), default=1000, help="samples per test"),
    Option(name="min-top1", metavar="RATIO", parse=ratio, default=None, help="fail below this accuracy, e.g. 0.99"),
    Option(name="max-rmse", metavar="X", parse=not_negative, default=None,
           help="fail above this root mean square error of a regression, in units of its output"),
    Option(name="max-latency", metavar="US", parse=positive(""), default=None,
           help="fail above this median latency in microseconds; never applied to an emulated wall clock"),
    Option(name="max-instructions", metavar="N", parse=at_least(1), default=None,
           help="fail above this median count of instructions per inference; needs a clock that counts them"),
    Option(name="max-arena", metavar="BYTES", parse=at_least(1), default=None, help="fail above this arena use"),
    Option(name="save", metavar="NAME", parse=baseline_name, default=None,
           help="if the run passes, keep it as a baseline of this name"),
    Option(name="autosave", switch=True, parse=switch, default=False,
           help="if the run passes, keep it as a baseline, named by the commit"),
    Option(name="compare", metavar="BASELINE", parse=baseline, default=None, bare="latest",
           help="compare with a baseline, by name or number (without a value: the newest); the first run has none, and "
           "passes"),
    Option(name="fail-on", metavar="METRIC:LIMIT", parse=gate, default=(), many=True,
           help="with --tinyml-compare: fail if a figure is worse by more, e.g. top1:0.2pp or flips:10; may be given "
           "several times"),
    Option(name="storage", metavar="PATH", parse=Path, default=Path(".tinyml/baselines"),
           help="folder of the baselines (default: .tinyml/baselines)"),
    Option(name="sequential", metavar="LIST", parse=sequential, default=None,
           help="end the run when it is certain whether the board is worse: alpha=0.05,beta=0.05,delta=1pp[,seed=N]"),
    Option(name="explain", metavar="WHEN", parse=when, default="auto",
           help="look for the cause of a mismatch: auto, always (of a tolerated one, too) or never"),
    Option(name="explain-timeout", metavar="S", parse=positive(" of seconds"), default=60.0,
           help="longest search, in s"),
    Option(name="submit", metavar="COMPETITION", parse=str, default=None,
           help="submit the predictions to this Kaggle competition as the last step: digit-recognizer"),
    Option(name="submit-timeout", metavar="S", parse=positive(" of seconds"), default=120.0,
           help="longest wait for the upload of a submission, and for its public score, in seconds"),
    Option(name="report", metavar="DIR", parse=Path, default=Path("tinyml-report"),
           help="folder for results.json and logs; with several boards or models, of a folder for each"),
    Option(name="formats", metavar="LIST", parse=str, default="html",
           help="reports besides results.json, with commas between them: html, csv, junit, markdown, openmetrics; all; "
           "none"),
    Option(name="live", metavar="PORT", parse=port, default=None, bare="0",
           help="show the session in a browser while it runs, at this port of this computer (without a value: any)"),
    Option(name="live-host", metavar="ADDRESS", parse=str, default="127.0.0.1",
           help="address that the live page listens on (default: 127.0.0.1, for this computer alone)"),
    Option(name="journal", metavar="FILE", parse=Path, default=Path(".tinyml/journal.sqlite"),
           help="where results are kept until (and after) a run is complete"),
    Option(name="boards", metavar="FILE", parse=Path, default=None,
           help="boards of this desk by name, for --board (default: the project's tinyml-boards.toml, if it has one)"),
    Option(name="option", metavar="KEY=VALUE", parse=key_and_value, default=(), many=True,
           help="a setting of the board, e.g. fault=crash@100 of native; may be given several times"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of one pytest session, parsed; see `OPTIONS` for their meaning."""

    boards: tuple[str, ...]
    models: tuple[str, ...]
    dataset: str
    preprocess: str | None
    task: str | None
    limit: int | None
    reference: str | None
    max_lsb: int | None
    max_abs: float | None
    link: str | None
    flasher: str | None
    host: str | None
    clock: str | None
    count: int
    timeout: float
    shard_size: int
    min_top1: float | None
    max_rmse: float | None
    max_latency: float | None
    max_instructions: int | None
    max_arena: int | None
    save: str | None
    autosave: bool
    compare: str | None
    fail_on: tuple[Gate, ...]
    storage: Path
    sequential: SequentialSpec | None
    explain: str
    explain_timeout: float
    submit: str | None
    submit_timeout: float
    report: Path
    formats: str
    live: int | None
    live_host: str
    journal: Path
    boards_file: Path | None
    fresh: bool
    option: Mapping[str, str]


def add_options(parser: pytest.Parser) -> None:
    """Declare everything to pytest."""
    group = parser.getgroup("tinyml", "neural networks on microcontrollers")
    group.addoption(
        "--board",
        metavar="NAME[,NAME]",
        default=None,
        help="run the tests that use a board on this one, or on each of these (tinyml boards lists them); tag:WORD is "
        "all that have the tag",
    )
    parser.addini("tinyml_board", "default for --board", type="linelist", default=[])
    for option in OPTIONS:
        form: dict[str, Any] = {"action": "append" if option.many else "store", "metavar": option.metavar}
        if option.switch:
            form = {"action": "store_const", "const": "true"}
        elif option.bare is not None:
            form |= {"nargs": "?", "const": option.bare}
        group.addoption(option.flag, default=None, dest=option.key, help=option.help, **form)
        if option.many:
            parser.addini(option.key, f"default for {option.flag}, one a line", type="linelist", default=[])
        else:
            parser.addini(option.key, f"default for {option.flag}", default="")
    group.addoption(
        "--tinyml-fresh", action="store_true", default=False, help="measure again what an interrupted run had measured"
    )


def asked_boards(config: pytest.Config) -> str | None:
    """Return the boards that were asked for as they were written, or None."""
    return config.getoption("--board") or ",".join(config.getini("tinyml_board")) or None


def _board_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        msg = f"--board: {text!r} has an empty name; expected NAME or NAME,NAME, e.g. native,tflm"
        raise pytest.UsageError(msg)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        msg = f"--board: {twice!r} is named twice; several boards of one kind share the work with --tinyml-count N"
        raise pytest.UsageError(msg)
    return names


def read_settings(config: pytest.Config, boards: str) -> Settings:
    """Parse the options.

    Raises:
        pytest.UsageError: a value is not of its option's form.
    """
    values: dict[str, Any] = {}
    for option in OPTIONS:
        text = config.getoption(option.key)
        if text is None:
            text = config.getini(option.key) or None
        values[option.key.removeprefix("tinyml_")] = option.default if text is None else _parse(option, text)
    values["option"] = _settings_by_name(values["option"])
    # Like pytest's own: what is typed is relative to the current folder, what is configured to the project. Without an
    # ini file there is no project: pytest's root is then wherever it finds the paths on the command line to meet.
    here = config.invocation_params.dir
    project = here if config.inipath is None else config.rootpath
    typed = {key: config.getoption(f"tinyml_{key}") is not None for key in values}
    for key in ("report", "journal", "boards", "storage"):
        if values[key] is not None:
            values[key] = (here if typed[key] else project) / values[key]
    values["boards_file"] = values.pop("boards")
    if typed["fail_on"] and values["compare"] is None:
        # In an ini file, gates wait for a run that is compared.
        msg = "--tinyml-fail-on says how much worse than a baseline a run may be: add --tinyml-compare"
        raise pytest.UsageError(msg)

    def located(key: str, name: str) -> str:
        configured = not typed[key] and config.getini(f"tinyml_{key}")
        return str(project / name) if configured and (project / name.partition("#")[0]).exists() else name

    values["dataset"] = located("dataset", values["dataset"])
    values["models"] = tuple(located("model", name) for name in values.pop("model"))
    return Settings(boards=_board_names(boards), fresh=config.getoption("--tinyml-fresh"), **values)


def _settings_by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for key, value in pairs:
        if key in settings:
            msg = f"--tinyml-option: {key!r} is given twice: {settings[key]!r} and {value!r}"
            raise pytest.UsageError(msg)
        settings[key] = value
    return settings


def _parse(option: Option, text: str | list[str]) -> Any:  # noqa: ANN401 - as many types as options
    if isinstance(text, list):
        return tuple(_parse(option, item) for item in text)
    try:
        return option.parse(text)
    except ValueError as error:
        known = str(error).startswith(("must", "is not"))
        msg = f"{option.flag}: {text!r} {error}" if known else f"{option.flag}: not a number: {text!r}"
        raise pytest.UsageError(msg) from error
