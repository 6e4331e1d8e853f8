"""``tinyml doctor``: is everything there, and does it work? Versions, cache, zoo, data, ten samples on each board."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml import __version__
from pytest_tinyml.boards.base import has_device, missing_for
from pytest_tinyml.boards.registry import Registry, registered
from pytest_tinyml.cli.device import add_options, given
from pytest_tinyml.cli.planning import add_desk_option, read_desk, scratch
from pytest_tinyml.cli.screen import missing_lines, tell, together, wrapped
from pytest_tinyml.errors import BoardError, TinymlError
from pytest_tinyml.paths import CACHE_VARIABLE, cache_dir

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_tinyml.boards.boardmap import BoardMap

PACKAGES: Final = (
    *("pytest", "numpy", "tflite-micro", "ai-edge-litert", "bakenn"),
    # Of the extras zig, esp and kaggle.
    *("ziglang", "esptool", "pytest-embedded", "kaggle"),
)
TOOLS: Final = (
    *("cc", "arm-none-eabi-gcc", "xtensa-lx106-elf-gcc", "cmake", "ninja", "make"),
    *("qemu-system-arm", "qemu-system-xtensa"),
)
"""Programs that boards may need; what a board lacks is its own to say."""
MODEL: Final = "s1-ptq"
DATA: Final = "mnist-28k"
SAMPLES: Final = 10
_TOOL_S: Final = 10.0
_NUMBER: Final = r"(\d+(?:\.\d+)+)"
# Behind Debian's own number in parentheses, if there is one.
_VERSIONS: Final = (re.compile(rf"\) {_NUMBER}"), re.compile(_NUMBER))
_WIDTH: Final = 6
_TAIL: Final = 3
_SECTION: Final = " " * _WIDTH


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser(
        "doctor", help=f"check what is installed, and run {SAMPLES} samples on every board that is ready"
    )
    command.add_argument("names", metavar="BOARD", nargs="*", help="check only these; what they lack is then a failure")
    command.add_argument("--all", action="store_true", help="a board that is not ready is a failure, too")
    add_desk_option(command)
    add_options(command)
    command.set_defaults(action=run)


def run(options: argparse.Namespace) -> int:
    """Check everything and say it in a line each; returns 1 if anything failed, else 0.

    Raises:
        UnknownNameError: there is no board of a name that was given.
        UsageError: a port was given, but no board that has one; or the file of boards cannot be used.
    """
    registry = registered(Registry())
    desk = read_desk(options, registry)
    kinds = {name: desk.kind(name, registry) for name in options.names or registry.names()}
    device = given(options, list(kinds.values()) if options.names else [])
    failures = _environment() + _cache() + _assets()
    counts = {"ok": 0, "FAIL": failures, "-": 0}
    for name, kind in kinds.items():
        its = device if has_device(kind) else {}
        counts[_board(name, registry, desk, its, named=bool(options.names), everything=options.all)] += 1
    print(f"boards: {counts['ok']} ok, {counts['FAIL'] - failures} failed, {counts['-']} not checked")
    return 1 if counts["FAIL"] else 0


def _say(mark: str, text: str, items: Iterable[str] = ()) -> None:
    """Print one finding: ``ok``, ``FAIL``, or ``-`` for what is not there and need not be."""
    first, *rest = wrapped(" ".join([text, together(items, ", ")]), indent=_SECTION) or [""]
    print("\n".join([f"{mark:<{_WIDTH}}{first.strip()}", *rest]), flush=True)


def _environment() -> int:
    """Print versions; returns the number of failures."""
    _say("ok", f"pytest-tinyml {__version__}, Python {platform.python_version()}, {sys.platform} {platform.machine()}")
    _say("ok", "packages:", [f"{name} {_package(name)}" for name in PACKAGES])
    _say("ok", "tools:", [f"{name} {_tool(name)}" for name in TOOLS if shutil.which(name)] or ["none"])
    return 0


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _tool(name: str) -> str:
    """Return the version that a program says it has."""
    try:
        done = subprocess.run([name, "--version"], capture_output=True, text=True, timeout=_TOOL_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "(does not say its version)"
    first = done.stdout.partition("\n")[0]
    found = [match[1] for pattern in _VERSIONS if (match := pattern.search(first))]
    return found[0] if found else "(does not say its version)"


def _cache() -> int:
    """Check that the cache can be written; returns the number of failures."""
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(4096))
        sizes = list(_sizes(folder))
    except OSError as error:
        _say("FAIL", f"cache {folder}: {error.strerror}; set {CACHE_VARIABLE} to a folder that can be written")
        return 1
    _say("ok", f"cache {folder}: writable, {len(sizes):,} files, {sum(sizes) / 1e6:,.1f} MB")
    return 0


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                yield path.stat().st_size
        except FileNotFoundError:  # somebody else's temporary file
            continue


def _assets() -> int:
    """Read the zoo and the data set; returns the number of failures."""
    from pytest_tinyml.stores.datasets import load_dataset  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.stores.models import load_model, model_names  # noqa: PLC0415

    failures = 0
    try:
        names = [load_model(name).name for name in model_names()]
        _say("ok", f"models: {len(names)} in the zoo, all readable")
    except (TinymlError, OSError) as error:
        _say("FAIL", f"models: {error}")
        failures += 1
    try:
        _say("ok", f"data: {DATA}, {len(load_dataset(DATA)):,} samples")
    except (TinymlError, OSError) as error:
        _say("FAIL", f"data: {error}")
        failures += 1
    return failures


def _board(
    name: str, registry: Registry, desk: BoardMap, device: Mapping[str, str], *, named: bool, everything: bool
) -> str:
    """Check one board, say what was found, and return its mark."""
    kind = desk.kind(name, registry)
    if kind.hardware and not named:
        _say("-", f"{name}: a real board, only checked when it is named (tinyml doctor {name})")
        return "-"
    if not getattr(kind, "verifiable", True):
        _say("-", f"{name}: cannot be asked what it runs, so only a run can try it")
        return "-"
    if sys.stdout.isatty():
        # A first build takes a while; the line that says how it went replaces this one.
        print(f"{'...':<{_WIDTH}}{name}", end="\r", flush=True)
    try:
        missing = missing_for(kind, desk.device(name, device))
        if missing:
            mark = "FAIL" if named or everything else "-"
            _say(mark, f"{name}: not ready")
            print("\n".join(missing_lines(missing, indent=_SECTION)))
            return mark
        mark, text = _trial(name, registry, desk, device)
    except Exception as error:  # noqa: BLE001 - boards may be somebody else's code, and the next one's turn comes anyway
        _say("FAIL", f"{name}: {type(error).__name__}: {_brief(error)}")
        for line in error.console_tail[-_TAIL:] if isinstance(error, BoardError) else ():
            print(f"{_SECTION}  {line}")
        return "FAIL"
    _say(mark, f"{name}: {text}")
    return mark


def _brief(error: Exception) -> str:
    """Return an error without its console, whose log is gone in a moment."""
    return error.message if isinstance(error, BoardError) else str(error)


def _trial(name: str, registry: Registry, desk: BoardMap, device: Mapping[str, str]) -> tuple[str, str]:
    """Run samples on a board: the mark, and what to say."""
    from pytest_tinyml.campaign.plan import make_plans  # noqa: PLC0415 - not needed to print a help text
    from pytest_tinyml.campaign.trial import try_board  # noqa: PLC0415
    from pytest_tinyml.references.arena import tflm_available  # noqa: PLC0415

    (plan,) = make_plans(
        registry,
        boards=[name],
        model=MODEL,
        dataset=DATA,
        reference="tflm" if tflm_available() else "litert",
        limit=SAMPLES,
        device=device,
        desk=desk,
    )
    with scratch() as folder:
        trial = try_board(replace(plan, say=tell), folder)
    took = together([f"prepared in {trial.prepare_s:.1f} s", f"run in {trial.run_s:.1f} s"], ", ")
    if trial.difference:
        return "FAIL", f"{trial.difference} ({took})"
    equal = "the same bytes as" if plan.reference.exact else "within the tolerance of"
    return "ok", f"{trial.samples} samples, {equal} {trial.reference} ({took})"
