"""Model cards: what a model's file cannot say itself, in TOML. docs/reference/models.md describes the schema."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_tinyml.errors import ModelError
from pytest_tinyml.records import TASKS, PreprocessSpec, Task

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA: Final = 1
KINDS: Final = ("scale", "l2axis1", "none")
REQUIRED: Final = object()

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFile:
    """One file of a card; what a user's own card leaves out is empty or None.

    Attributes:
        name: on the command line, e.g. ``s1-ptq``.
        file: its file name, in the card's folder.
        kind: ``float``, ``ptq``, ``ptq-pertensor``, ``qat``, ``int8`` or ``int16``.
        sha256: hex digest of the file.
        nbytes: its size.
        macs: multiply-accumulates of one inference.
        correct: correctly classified of ``count`` test images.
        count: number of test images.
        runtime: what evaluated it, with its version.
    """

    name: str
    file: str
    kind: str = ""
    sha256: str = ""
    nbytes: int = 0
    macs: int = 0
    correct: int = 0
    count: int = 0
    runtime: str = ""

    @property
    def top1(self) -> float | None:
        """Correctly classified over all, 0 .. 1; None if it was not evaluated."""
        return self.correct / self.count if self.count else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A model's card.

    Attributes:
        path: the card's file.
        name: of the model, e.g. ``s1``.
        system: where it comes from, in a few words.
        parameters: trainable parameters, 0 if unknown.
        preprocess: how pixels become the model's input.
        files: its .tflite and .espdl files.
        task: what its outputs mean.
    """

    path: Path
    name: str
    system: str
    parameters: int
    preprocess: PreprocessSpec
    files: tuple[CardFile, ...]
    task: Task = "classification"


def read_card(path: Path) -> Card:
    """Read a card.

    Args:
        path: a TOML file: ``schema = 1``, a table ``preprocess`` and any number of tables ``[[file]]``.

    Raises:
        ModelError: cannot be read, is not TOML, has another schema, or a key is missing or has the wrong type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path}: cannot be read as a model card: {error}"
        raise ModelError(msg) from error
    schema = _get(path, table, "schema", int)
    if schema != SCHEMA:
        msg = f"{path}: model card of schema {schema}; this version reads schema {SCHEMA}"
        raise ModelError(msg)
    task = _get(path, table, "task", str, TASKS[0])
    if task not in TASKS:
        msg = f"{path}: task: expected {' or '.join(TASKS)}, got {task!r}"
        raise ModelError(msg)
    entries = _get(path, table, "file", list, [])
    return Card(
        path=path,
        name=_get(path, table, "name", str, path.stem.removesuffix(".card")),
        system=_get(path, table, "system", str, ""),
        parameters=_get(path, table, "parameters", int, 0),
        preprocess=_preprocess(path, _get(path, table, "preprocess", dict)),
        files=tuple(_file(path, entry, f"file[{number}].") for number, entry in enumerate(entries)),
        task=task,
    )


def _preprocess(path: Path, table: dict[str, Any]) -> PreprocessSpec:
    kind = _get(path, table, "kind", str, prefix="preprocess.")
    if kind not in KINDS:
        msg = f"{path}: preprocess.kind: expected one of {', '.join(KINDS)}, got {kind!r}"
        raise ModelError(msg)
    default = PreprocessSpec()
    scale = _number(path, table, "scale", default.scale)
    offset = _number(path, table, "offset", default.offset)
    if not 0.0 < abs(scale) < float("inf") or not abs(offset) < float("inf"):
        msg = f"{path}: preprocess: expected a finite scale other than 0 and a finite offset, got {scale} and {offset}"
        raise ModelError(msg)
    return PreprocessSpec(kind=kind, scale=scale, offset=offset)  # type: ignore[arg-type] # one of KINDS


def _file(path: Path, entry: object, prefix: str) -> CardFile:
    if not isinstance(entry, dict):
        msg = f"{path}: {prefix.rstrip('.')}: expected a table [[file]], got {entry!r}"
        raise ModelError(msg)
    file = _get(path, entry, "file", str, prefix=prefix)
    if "/" in file or "\\" in file:
        msg = f"{path}: {prefix}file: expected a file name in the card's folder, got {file!r}"
        raise ModelError(msg)
    return CardFile(
        name=_get(path, entry, "name", str, file.removesuffix(".tflite").removesuffix(".espdl"), prefix=prefix),
        file=file,
        kind=_get(path, entry, "kind", str, "", prefix=prefix),
        sha256=_get(path, entry, "sha256", str, "", prefix=prefix).lower(),
        nbytes=_get(path, entry, "bytes", int, 0, prefix=prefix),
        macs=_get(path, entry, "macs", int, 0, prefix=prefix),
        correct=_get(path, entry, "correct", int, 0, prefix=prefix),
        count=_get(path, entry, "count", int, 0, prefix=prefix),
        runtime=_get(path, entry, "runtime", str, "", prefix=prefix),
    )


def _number(path: Path, table: dict[str, Any], key: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{path}: preprocess.{key}: expected a number, got {value!r}"
        raise ModelError(msg)
    return float(value)


def _get(path: Path, table: dict[str, Any], key: str, kind: type[T], default: object = REQUIRED, prefix: str = "") -> T:
    value = table.get(key, default)
    if value is REQUIRED:
        msg = f"{path}: {prefix}{key} is missing"
        raise ModelError(msg)
    # A bool is an int in Python, not in TOML.
    if not isinstance(value, kind) or isinstance(value, bool):
        msg = f"{path}: {prefix}{key}: expected {kind.__name__}, got {value!r}"
        raise ModelError(msg)
    return value
