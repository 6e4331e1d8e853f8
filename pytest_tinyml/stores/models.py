"""Models by name (the zoo) or by path (the user's own)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import ModelError, UnknownNameError
from pytest_tinyml.records import Model, PreprocessSpec
from pytest_tinyml.stores.cards import Card, CardFile, read_card
from pytest_tinyml.stores.espdl import IDENTIFIER as ESPDL_IDENTIFIER
from pytest_tinyml.stores.espdl import PACKAGES, read_espdl
from pytest_tinyml.stores.tflite import IDENTIFIER as TFLITE_IDENTIFIER
from pytest_tinyml.stores.tflite import read_graph

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_tinyml.stores.espdlgraph import EspdlGraph
    from pytest_tinyml.stores.tflite import Graph

CARD: Final = "card.toml"
DEFAULT_KINDS: Final = ("ptq", "int8")
DEFAULT_MODEL: Final = "s0-ptq"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One line of ``tinyml models list``.

    Attributes:
        name: on the command line.
        system: where the model comes from.
        kind: ``float``, ``ptq``, ``ptq-pertensor``, ``qat``, ``int8`` or ``int16``.
        parameters: trainable parameters.
        macs: multiply-accumulates of one inference.
        nbytes: size of the file.
        top1_ratio: accuracy on the 28,000 test images, 0 .. 1, or None.
        preprocess: how pixels become the input, as text.
        input_scale: 0.0 for float models.
        input_zero_point: 0 for float models.
    """

    name: str
    system: str
    kind: str
    parameters: int
    macs: int
    nbytes: int
    top1_ratio: float | None
    preprocess: str
    input_scale: float
    input_zero_point: int


def zoo_cards() -> tuple[Card, ...]:
    """Return the cards of the zoo, by name.

    Raises:
        ModelError: a card is malformed.
    """
    return tuple(read_card(path) for path in sorted(assets_dir("models").glob(f"*/{CARD}")))


def model_names() -> tuple[str, ...]:
    """Return the names of the zoo's files."""
    return tuple(entry.name for card in zoo_cards() for entry in card.files)


def load_model(spec: str) -> Model:
    """Load a model.

    Args:
        spec: a name of the zoo (``s0-ptq``; ``s1`` or ``S1`` is short for ``s1-ptq``), or the path of a .tflite or
            .espdl file.
            The preprocessing of a file of one's own is in ``STEM.card.toml`` or in a ``card.toml`` that names the file,
            beside it; without a card it is assumed to be pixel / 255.

    Raises:
        UnknownNameError: neither a name of the zoo nor a file.
        ModelError: the file is not usable, its card is malformed, or it is not the file that the card describes.
    """
    name = spec.lower()
    entries = {entry.name: (card, entry) for card in zoo_cards() for entry in card.files}
    found = next(
        (entries[key] for key in (name, *(f"{name}-{kind}" for kind in DEFAULT_KINDS)) if key in entries), None
    )
    if found is not None:
        card, entry = found
        return replace(
            _load(card.path.parent / entry.file, entry.name, card.preprocess, entry, card.path), task=card.task
        )
    path = Path(spec)
    if not path.is_file():
        if path.suffix == "" and path.name == spec:
            raise UnknownNameError("model", spec, entries)
        folder = "is a folder; expected a .tflite file or an .espdl file"
        msg = f"{path}: {folder if path.is_dir() else 'no such model file'}"
        raise ModelError(msg)
    own = _own_card(path)
    if own is None:
        return _load(path, path.stem, PreprocessSpec(assumed=True), None, None)
    named = next((item for item in own.files if item.file == path.name), None)
    name = named.name if named else path.stem
    return replace(_load(path, name, own.preprocess, named, own.path), task=own.task)


def load_file(path: Path, name: str, preprocess: PreprocessSpec) -> Model:
    """Load a .tflite or .espdl file without looking for a card.

    Raises:
        ModelError: the file is not usable.
    """
    return _load(path, name, preprocess, None, None)


def list_models() -> tuple[ModelRow, ...]:
    """Return a row for each file of the zoo; sizes and input quantisation are read from the files.

    Raises:
        ModelError: a card or a file is not usable.
    """
    rows = []
    for card in zoo_cards():
        for entry in card.files:
            model = load_model(entry.name)
            rows.append(
                ModelRow(
                    name=entry.name,
                    system=card.system,
                    kind=entry.kind,
                    parameters=card.parameters,
                    macs=entry.macs,
                    nbytes=len(model.data),
                    top1_ratio=entry.top1,
                    preprocess=describe_preprocess(card.preprocess),
                    input_scale=model.input.scale,
                    input_zero_point=model.input.zero_point,
                )
            )
    return tuple(rows)


def models_table(rows: Iterable[ModelRow]) -> str:
    """Render rows as a text table for a terminal."""
    head = ("name", "kind", "params", "MACs", "bytes", "top-1", "preprocessing", "input scale", "zero", "system")
    cells = [
        (
            row.name,
            row.kind,
            f"{row.parameters:,}",
            f"{row.macs:,}",
            f"{row.nbytes:,}",
            "-" if row.top1_ratio is None else f"{row.top1_ratio:.2%}",
            row.preprocess,
            f"{row.input_scale:.8f}" if row.input_scale else "-",
            str(row.input_zero_point) if row.input_scale else "-",
            row.system,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (head, *cells)) for column in range(len(head))]
    numbers = {2, 3, 4, 5, 7, 8}
    lines = []
    for line in (head, tuple("-" * width for width in widths), *cells):
        padded = (
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def describe_preprocess(spec: PreprocessSpec) -> str:
    """Say in a few words how pixels become a model's input, e.g. ``pixel / 255``."""
    if spec.kind == "l2axis1":
        return "L2 norm, axis 1"
    if spec.kind == "none":
        return "none"
    divisor = 1.0 / spec.scale
    if spec.scale == 1.0:
        text = "pixel"
    elif abs(divisor - round(divisor)) < 1e-9:  # noqa: PLR2004 - far below what a float32 scale can tell apart
        text = f"pixel / {round(divisor)}"
    else:
        text = f"pixel * {spec.scale:.6g}"
    suffix = f" {'+' if spec.offset > 0 else '-'} {abs(spec.offset):.6g}" if spec.offset else ""
    return f"{text}{suffix}{' (assumed)' if spec.assumed else ''}"


def _own_card(path: Path) -> Card | None:
    beside = path.with_name(f"{path.stem}.card.toml")
    if beside.is_file():
        return read_card(beside)
    shared = path.with_name(CARD)
    if shared.is_file():
        card = read_card(shared)
        if any(entry.file == path.name for entry in card.files):
            return card
    return None


def _load(path: Path, name: str, preprocess: PreprocessSpec, entry: CardFile | None, card: Path | None) -> Model:
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise ModelError(msg) from error
    sha256 = hashlib.sha256(data).hexdigest()
    if entry is not None and entry.sha256 and entry.sha256 != sha256:
        msg = f"{path}: is not the file that {card} describes: expected SHA-256 {entry.sha256}, got {sha256}"
        raise ModelError(msg)
    form, graph = _parse(data, path)
    return Model(
        name=name,
        path=path,
        data=data,
        sha256=sha256,
        input=graph.input,
        output=graph.output,
        preprocess=preprocess,
        operators=graph.operators,
        card_top1=None if entry is None else entry.top1,
        format=form,
    )


def _parse(data: bytes, path: Path) -> tuple[Literal["tflite", "espdl"], Graph | EspdlGraph]:
    """Read a file by what it says that it is; what says nothing is taken for what its name says."""
    if data[:4] in {ESPDL_IDENTIFIER, *PACKAGES} or (path.suffix == ".espdl" and data[4:8] != TFLITE_IDENTIFIER):
        return "espdl", read_espdl(data, path)
    return "tflite", read_graph(data, path)
