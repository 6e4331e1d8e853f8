"""Baselines: verdicts that were kept to compare later runs with; small files that are made to be committed.

``STORAGE/BOARD-CHIP-ENGINE/MODEL-DATA/0003_NAME.json`` says what was measured, one figure a line, and beside it
``0003.predictions`` holds the predicted class of every sample, deflated. The host computer is no part of the place.

Whoever creates ``0003.predictions`` has the number 3: the file is opened with O_EXCL, so that of two jobs that save at
once neither takes the other's. The JSON file is there whole, or not at all. A number whose JSON file never came is not
given again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.errors import BaselineError
from pytest_tinyml.stores.baselinefile import SCHEMA, read_content
from pytest_tinyml.stores.wholefile import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

_NUMBERED: Final = re.compile(r"(\d{4,9})[_.]")
_FILE: Final = re.compile(r"(\d{4,9})_(.+)\.json")
_LONGEST_SLUG: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineKey:
    """What runs have in common that can be compared: kind of board, chip, engine, model's name and data's SHA-256."""

    board: str
    chip: str
    engine: str
    model: str
    dataset_sha256: str

    @property
    def folder(self) -> str:
        """The place of its baselines in the storage; two keys may share one, and files say which is theirs."""
        where = "-".join(_slug(part) for part in (self.board, self.chip, self.engine))
        return f"{where}/{_slug(self.model)}-{self.dataset_sha256[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A verdict that was kept; the fields are those of the file, see docs/reference/baselines.md.

    Attributes:
        path: the JSON file.
        number: counts the baselines of a folder, from 1.
        name: as it was saved.
        key: what it can be compared with.
        content: the JSON file's content, checked.
    """

    path: Path
    number: int
    name: str
    key: BaselineKey
    content: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Number and name, as in the name of the file."""
        return self.path.stem

    @property
    def samples(self) -> int:
        """How many samples the run had, from the data set's first."""
        return int(self.content["dataset"]["samples"])

    @property
    def clock(self) -> str | None:
        """What its inferences were timed with, as ``board.clock`` of results.json."""
        clock: str | None = self.content["board"]["clock"]
        return clock

    @property
    def figures(self) -> Mapping[str, float | None]:
        """What was measured, by the names of `pytest_tinyml.verdict.gate.METRICS`' keys; None where it was not."""
        figures: Mapping[str, float | None] = self.content["figures"]
        return figures

    def predictions(self) -> npt.NDArray[np.int64] | None:
        """Return the predicted class of each sample, int64 [samples]; None of a regression.

        Raises:
            BaselineError: the file is absent, or damaged.
        """
        kept = self.content["predictions"]
        if kept is None:
            return None
        path = self.path.with_name(kept["file"])
        dtype = np.dtype(kept["dtype"]).newbyteorder("<")
        size = self.samples * dtype.itemsize
        try:
            data = zlib.decompressobj().decompress(path.read_bytes(), size + 1)
        except (OSError, zlib.error) as error:
            msg = f"cannot read the predictions of baseline {self.label}, {path}: {error}; {_DELETE}"
            raise BaselineError(msg) from error
        if hashlib.sha256(data).hexdigest() != kept["sha256"] or len(data) != size:
            msg = f"{path} does not hold the predictions that baseline {self.label} was saved with; {_DELETE}"
            raise BaselineError(msg)
        return np.frombuffer(data, dtype=dtype).astype(np.int64)


_DELETE: Final = "get the file back, or delete the baseline: tinyml baselines delete FILE"


def save_baseline(
    root: Path, key: BaselineKey, name: str, content: Mapping[str, Any], predictions: npt.NDArray[np.int64] | None
) -> Baseline:
    """Keep a verdict under the next free number.

    Args:
        root: the storage; made if absent.
        key: what it can be compared with.
        name: see `baselinefile.check_name`.
        content: what the file holds but name, number, key and the facts on the predictions.
        predictions: int64 [samples], the predicted classes; None of a regression.

    Raises:
        BaselineError: the storage cannot be written.
    """
    folder = root / key.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number, handle = _claim(folder)
        with os.fdopen(handle, "wb") as file:
            facts = None
            if predictions is not None:
                dtype = np.dtype(np.uint8 if predictions.max(initial=0) < 256 else np.uint32).newbyteorder("<")  # noqa: PLR2004 - what fits into a byte
                data = predictions.astype(dtype).tobytes()
                file.write(zlib.compress(data, 9))
                facts = {
                    "file": f"{number:04d}.predictions",
                    "dtype": np.dtype(dtype).name,
                    "sha256": hashlib.sha256(data).hexdigest(),
                }
        whole = {"schema": SCHEMA, "name": name, "number": number, "key": asdict(key), **content, "predictions": facts}
        path = folder / f"{number:04d}_{name}.json"
        write_content(path, whole)
    except OSError as error:
        msg = f"cannot save the baseline in {folder}: {error.strerror}; choose another place with --tinyml-storage"
        raise BaselineError(msg) from error
    return Baseline(path=path, number=number, name=name, key=key, content=read_content(path))


def write_content(path: Path, content: Mapping[str, Any]) -> None:
    """Write a baseline's JSON file, whole or not at all; raises OSError."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _claim(folder: Path) -> tuple[int, int]:
    """Return the next free number of a folder, and its file of predictions opened for writing."""
    while True:
        used = [int(match[1]) for entry in folder.iterdir() if (match := _NUMBERED.match(entry.name))]
        number = max(used, default=0) + 1
        with suppress(FileExistsError):
            return number, os.open(
                folder / f"{number:04d}.predictions", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644
            )


def find_files(root: Path) -> list[Path]:
    """Return the JSON files of a storage, by folder and number; none if it does not exist."""
    return sorted(path for path in root.glob("*/*/*.json") if _FILE.fullmatch(path.name))


def list_baselines(root: Path, *, board: str, model: str) -> list[Baseline]:
    """Return the baselines of a model on a kind of board, whatever the chip, the engine and the data, oldest first.

    Raises:
        BaselineError: a file is damaged, or of another schema.
    """
    folders = (root.glob(f"{_slug(board)}-*/{_slug(model)}-*"),)
    found = [load(path) for each in folders for folder in each for path in folder.glob("*.json") if _named(path)]
    ours = [each for each in found if each.key.board == board and each.key.model == model]
    return sorted(ours, key=lambda each: (each.content["created"], each.number))


def load(path: Path) -> Baseline:
    """Read one baseline.

    Raises:
        BaselineError: the file is damaged, or of another schema.
    """
    content = read_content(path)
    return Baseline(
        path=path,
        number=int(content["number"]),
        name=str(content["name"]),
        key=BaselineKey(**{field.name: content["key"][field.name] for field in fields(BaselineKey)}),
        content=content,
    )


def delete(baseline_file: Path) -> None:
    """Delete a baseline, which need not be readable: first what makes it one, then its predictions.

    Where two branches have saved the same number and were merged, these stay as long as one of the two is there.

    Raises:
        BaselineError: it is none, or cannot be deleted.
    """
    match = _FILE.fullmatch(baseline_file.name)
    if match is None:
        msg = f"{baseline_file} is not the file of a baseline, e.g. 0001_main.json"
        raise BaselineError(msg)
    try:
        baseline_file.unlink()
        if not any(_named(other) for other in baseline_file.parent.glob(f"{match[1]}_*.json")):
            baseline_file.with_name(f"{match[1]}.predictions").unlink(missing_ok=True)
    except OSError as error:
        msg = f"cannot delete {baseline_file}: {error.strerror}"
        raise BaselineError(msg) from error


def _named(path: Path) -> bool:
    return _FILE.fullmatch(path.name) is not None


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "_", text).strip("._")[:_LONGEST_SLUG] or "_"
