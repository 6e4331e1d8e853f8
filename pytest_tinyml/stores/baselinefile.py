"""The JSON file of a baseline: read with care, since people edit and merge it, and brought to the present schema.

Version 1 is the first. `MIGRATIONS` has a step for each later change: from the content of its version to that of the
next. Files are only rewritten when asked to (``tinyml baselines migrate``); a comparison refuses older ones.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.errors import BaselineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERSION: Final = 1
SCHEMA: Final = f"tinyml-baseline/{VERSION}"
MIGRATIONS: Final[dict[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""Steps by the version that they start from; the schema's name is brought up to date by `migrated`."""
LATEST: Final = "latest"
"""In the place of a baseline's name: the newest."""
_NAME: Final = re.compile(r"(?![0-9]+$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SCHEMA: Final = re.compile(r"tinyml-baseline/(\d{1,6})")
_LARGEST: Final = 16 * 2**20
_TEXT: Final = (str,)
_MAYBE: Final = (str, type(None))
# The fields that are relied on, by dotted name; more is kept and not looked at.
_FIELDS: Final[dict[str, tuple[type, ...]]] = {
    "name": _TEXT,
    "number": (int,),
    "created": _TEXT,
    "commit": _MAYBE,
    "passed": (bool,),
    "key": (dict,),
    "key.board": _TEXT,
    "key.chip": _TEXT,
    "key.engine": _TEXT,
    "key.model": _TEXT,
    "key.dataset_sha256": _TEXT,
    "board": (dict,),
    "board.clock": _MAYBE,
    "board.firmware_sha256": _TEXT,
    "model": (dict,),
    "model.sha256": _TEXT,
    "dataset": (dict,),
    "dataset.name": _TEXT,
    "dataset.samples": (int,),
    "reference": (dict,),
    "reference.name": _TEXT,
    "figures": (dict,),
    "classes": (dict, type(None)),
    "predictions": (dict, type(None)),
}
_PREDICTIONS: Final = ("file", "dtype", "sha256")


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


_TABLES: Final[dict[str, Callable[[object], bool]]] = {
    "figures": lambda value: value is None or _is_number(value),
    "operators": _is_number,
    "classes": lambda value: isinstance(value, str),
}
"""What the values of a table are; all but ``figures`` may be null, or absent."""


def check_name(name: str) -> str:
    """Return a name that a baseline can have.

    Raises:
        ValueError: it would not do as the name of a file, or be taken for a number.
    """
    if not _NAME.fullmatch(name) or name == LATEST:
        msg = f"is not a name for a baseline: letters, digits, '.', '_' and '-', not only digits, and not {LATEST!r}"
        raise ValueError(msg)
    return name


def read_content(path: Path) -> dict[str, Any]:
    """Read a file of the present schema.

    Raises:
        BaselineError: damaged; of an older schema, with the command that migrates; of a newer one.
    """
    content, version = _parse(path)
    if version < VERSION:
        steps = all(step in MIGRATIONS for step in range(version, VERSION))
        do = "tinyml baselines migrate brings it up to date" if steps else "it cannot be migrated: save a new one"
        msg = f"baseline {path} has schema {version}, this pytest-tinyml reads {VERSION}: {do}"
        raise BaselineError(msg)
    _check(path, content)
    return content


def migrated(path: Path) -> dict[str, Any] | None:
    """Return the content of a file in the present schema; None if it has it already.

    Raises:
        BaselineError: damaged, of a newer schema, or of one that nothing is known about.
    """
    content, version = _parse(path)
    if version == VERSION:
        _check(path, content)
        return None
    for step in range(version, VERSION):
        if step not in MIGRATIONS:
            return read_content(path)
        try:
            content = MIGRATIONS[step](content)
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, f"not what schema {step} has: {error!r}") from error
    content["schema"] = SCHEMA
    _check(path, content)
    return content


def _parse(path: Path) -> tuple[dict[str, Any], int]:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        msg = f"cannot read baseline {path}: {error.strerror}"
        raise BaselineError(msg) from error
    try:
        content = json.loads(data) if len(data) <= _LARGEST else None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    match = _SCHEMA.fullmatch(str(content.get("schema"))) if isinstance(content, dict) else None
    if not isinstance(content, dict) or match is None:
        raise _damaged(path, f"no schema tinyml-baseline/{VERSION}")
    version = int(match[1])
    if version > VERSION:
        msg = (
            f"baseline {path} was written by a newer pytest-tinyml (schema {version}, this one reads {VERSION}): "
            "upgrade, or choose other baselines with --tinyml-storage"
        )
        raise BaselineError(msg)
    return content, version


def _check(path: Path, content: dict[str, Any]) -> None:
    """Make sure that what is relied on is there and of its type."""
    for field, types in _FIELDS.items():
        value: Any = content
        for part in field.split("."):
            if not isinstance(value, dict) or part not in value:
                raise _damaged(path, f"no {field}")
            value = value[part]
        # True is an int to Python, but no number.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise _damaged(path, f"{field} is {value!r:.60}")
    _check_tables(path, content)
    if not path.name.startswith(f"{content['number']:04d}_") or content["number"] < 1:
        raise _damaged(path, f"number is {content['number']}")
    if content["dataset"]["samples"] < 1:
        raise _damaged(path, f"dataset.samples is {content['dataset']['samples']}")
    kept = content["predictions"]
    if kept is not None and not (
        all(isinstance(kept.get(key), str) for key in _PREDICTIONS)
        and kept["file"] == f"{content['number']:04d}.predictions"
        and kept["dtype"] in {"uint8", "uint32"}
    ):
        raise _damaged(path, f"predictions is {kept!r:.100}")


def _check_tables(path: Path, content: dict[str, Any]) -> None:
    for table, known in _TABLES.items():
        entries = content.get(table) or {}
        if not isinstance(entries, dict):
            raise _damaged(path, f"{table} is {entries!r:.60}")
        for name, value in entries.items():
            if not known(value):
                raise _damaged(path, f"{table}.{name} is {value!r:.60}")


def _damaged(path: Path, what: str) -> BaselineError:
    return BaselineError(
        f"baseline {path} is damaged: {what}; get the file back, or delete the baseline: tinyml baselines delete {path}"
    )
