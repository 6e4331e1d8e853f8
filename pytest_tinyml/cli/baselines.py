"""``tinyml baselines``: look at what ``--tinyml-save`` has kept, delete it, bring it to the present schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.errors import BaselineError, UsageError

if TYPE_CHECKING:
    import argparse

    from pytest_tinyml.stores.baseline import Baseline

STORAGE: Final = Path(".tinyml/baselines")


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the commands."""
    group = commands.add_parser("baselines", help="list, show, delete or migrate the baselines of a project")
    inner = group.add_subparsers(metavar="COMMAND", required=True)
    listed = inner.add_parser("list", help="all baselines, by board and model")
    listed.set_defaults(action=show_list)
    shown = inner.add_parser("show", help="the figures of one baseline")
    shown.add_argument("baseline", metavar="FILE", help="a file of a baseline, or its name, e.g. 0001_main")
    shown.set_defaults(action=show)
    deleted = inner.add_parser("delete", help="delete baselines, whether or not they can be read")
    deleted.add_argument("baselines", metavar="FILE", nargs="+", help="as for show")
    deleted.set_defaults(action=remove)
    moved = inner.add_parser("migrate", help="rewrite baselines of older versions of pytest-tinyml")
    moved.set_defaults(action=migrate)
    for command in (listed, shown, deleted, moved):
        command.add_argument("--storage", metavar="PATH", type=Path, default=STORAGE,
                             help="folder of the baselines (default: .tinyml/baselines)")  # fmt: skip


def show_list(options: argparse.Namespace) -> int:
    """Print a line for each baseline; returns 1 if one cannot be read, else 0."""
    from pytest_tinyml.stores.baseline import find_files, load  # noqa: PLC0415 - imports numpy

    files = find_files(options.storage)
    if not files:
        print(f"no baselines in {options.storage}: keep a run with pytest --board NAME --tinyml-save NAME")
    folder, unreadable = None, False
    for path in files:
        if path.parent != folder:
            folder = path.parent
            print(folder)
        try:
            print(f"  {_line(load(path))}")
        except BaselineError as error:
            unreadable = True
            print(f"  {path.stem}: {error}")
    return 1 if unreadable else 0


def _line(baseline: Baseline) -> str:
    figures, commit = baseline.figures, baseline.content["commit"]
    parts = [f"{baseline.label}: {baseline.content['created']}", f"{baseline.samples:,} samples"]
    if figures.get("top1") is not None:
        parts.append(f"top-1 {figures['top1']:.2%}")
    if figures.get("instructions") is not None:
        parts.append(f"{figures['instructions']:,.0f} instructions")
    if figures.get("arena_bytes") is not None:
        parts.append(f"arena {figures['arena_bytes']:,} B")
    if commit is not None:
        parts.append(f"commit {commit[:12]}")
    return ", ".join(parts)


def show(options: argparse.Namespace) -> None:
    """Print what a baseline is of, and its figures by the names that ``--tinyml-fail-on`` takes."""
    from pytest_tinyml.stores.baseline import load  # noqa: PLC0415 - imports numpy
    from pytest_tinyml.verdict.gate import METRICS  # noqa: PLC0415

    baseline = load(_file(options.storage, options.baseline))
    key, content = baseline.key, baseline.content
    print(f"{key.model} on {key.board} ({key.chip}, engine {key.engine}), {content['dataset']['name']}")
    print(_line(baseline))
    for metric in METRICS.values():
        figure = baseline.figures.get(metric.key)
        if figure is not None:
            print(f"  {metric.name:<13}{metric.value(figure):>14}  {metric.title}")
    classes: dict[str, str] = content.get("classes") or {}
    for label, right in classes.items():
        print(f"  class {label:<7}{right:>14}")


def remove(options: argparse.Namespace) -> None:
    """Delete baselines: all that were named, or none if one of them does not exist."""
    from pytest_tinyml.stores.baseline import delete  # noqa: PLC0415 - imports numpy

    for path in [_file(options.storage, name) for name in options.baselines]:
        delete(path)
        print(f"deleted {path}")


def migrate(options: argparse.Namespace) -> None:
    """Rewrite what is of an older schema; all of it can be read before the first file is written."""
    from pytest_tinyml.stores.baseline import find_files, write_content  # noqa: PLC0415 - imports numpy
    from pytest_tinyml.stores.baselinefile import SCHEMA, migrated  # noqa: PLC0415

    files = find_files(options.storage)
    changed = [(path, content) for path in files if (content := migrated(path)) is not None]
    for path, content in changed:
        try:
            write_content(path, content)
        except OSError as error:
            msg = f"cannot write {path}: {error.strerror}"
            raise UsageError(msg) from error
        print(f"migrated {path}")
    print(f"{len(changed)} of {len(files)} baselines were migrated; all have schema {SCHEMA}")


def _file(storage: Path, name: str) -> Path:
    """Return the file that is meant by a path, or by the name of one in the storage.

    Raises:
        UsageError: there is none, or several of that name.
    """
    from pytest_tinyml.stores.baseline import find_files  # noqa: PLC0415 - imports numpy

    if Path(name).is_file():
        return Path(name)
    files = find_files(storage)
    found = [path for path in files if path.stem == name.removesuffix(".json")]
    if len(found) == 1:
        return found[0]
    if found:
        msg = f"{len(found)} baselines are called {name}: name the file, {' or '.join(str(path) for path in found)}"
        raise UsageError(msg)
    known = ", ".join(dict.fromkeys(path.stem for path in files)) or "none"
    msg = f"no baseline {name!r} in {storage}; known: {known}"
    raise UsageError(msg)
