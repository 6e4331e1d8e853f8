"""The C file that defines ``tml_the_model``: what a firmware's core knows of its model, whatever the engine."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.errors import ModelError
from pytest_tinyml.preprocess import l2_thresholds, lookup_table
from pytest_tinyml.wire import MAX_RANK

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from pytest_tinyml.records import DType, Model, TensorSpec

NAME_BYTES: Final = 63
"""Longest model name that ``tml_model`` carries."""
_ENUM: Final[dict[DType, str]] = {
    "int8": "TML_INT8",
    "uint8": "TML_UINT8",
    "int16": "TML_INT16",
    "float32": "TML_FLOAT32",
}
_IMAGE_RANK: Final = 3


def c_string(text: str, limit: int) -> str:
    """Return a C string literal of at most ``limit`` bytes of UTF-8, cut between characters."""
    data = text.encode()[:limit].decode(errors="ignore").encode()
    special = {ord('"'), ord("\\"), ord("?")}  # "?": two of them could begin a trigraph
    plain = (chr(b) if ord(" ") <= b <= ord("~") and b not in special else f"\\{b:03o}" for b in data)
    return '"' + "".join(plain) + '"'


def c_array(declaration: str, values: Iterable[Any]) -> str:
    """Return a C array definition, wrapped to lines of 100 columns."""
    body = textwrap.fill(", ".join(str(v) for v in values), 100, initial_indent="    ", subsequent_indent="    ")
    return f"{declaration} = {{\n{body},\n}};\n"


def _tensor(spec: TensorSpec) -> str:
    dims = ", ".join(f"{d}u" for d in spec.shape)
    # A hexadecimal constant is the float32 itself, without a rounding on the way.
    scale = float(np.float32(spec.scale)).hex()
    return (
        f"{{.dtype = {_ENUM[spec.dtype]}, .rank = {len(spec.shape)}, .dims = {{{dims}}}, "
        f".scale = {scale}f, .zero_point = {spec.zero_point}}}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What a board needs for a model's preprocessing (PROTOCOL.md section 5).

    Attributes:
        lut: one byte per pixel value, uint8 [256], or None.
        thresholds: of ``l2axis1``, uint64 ascending, or None. Without either, the host sends input tensors.
        row: elements of an image's row, for ``l2axis1``.
    """

    lut: npt.NDArray[np.uint8] | None = None
    thresholds: npt.NDArray[np.uint64] | None = None
    row: int = 0


def preprocess_tables(model: Model) -> Tables:
    """Return a lookup table (``scale`` with an 8-bit input), thresholds (``l2axis1`` with an int8 input), or neither.

    Raises:
        ModelError: ``l2axis1`` with a flat input, whose columns nobody knows.
    """
    kind, tensor = model.preprocess.kind, model.input
    if kind == "scale" and tensor.dtype in {"int8", "uint8"}:
        return Tables(lut=lookup_table(model.preprocess, tensor).view(np.uint8))
    if kind == "l2axis1" and tensor.dtype == "int8":
        if len(tensor.shape) < _IMAGE_RANK:
            msg = (
                f"{model.name}: preprocessing 'l2axis1' needs an input of shape [1, H, W] or [1, H, W, C] to know the "
                f"columns, not {list(tensor.shape)}"
            )
            raise ModelError(msg)
        return Tables(thresholds=l2_thresholds(tensor), row=int(np.prod(tensor.shape[2:])))
    return Tables()


def _preprocess(model: Model) -> tuple[str, str]:
    """Return the tables of a model's preprocessing as C, and the initialiser that refers to them."""
    tables = preprocess_tables(model)
    if tables.lut is not None:
        # The pointer is int8_t for both types: the bytes are what counts.
        lut = c_array("static const int8_t lut[256]", tables.lut.view(np.int8))
        return lut, "{.kind = TML_PRE_LUT, .lut = lut}"
    if tables.thresholds is not None:
        count = len(tables.thresholds)
        values = (f"UINT64_C({int(t)})" for t in tables.thresholds)
        text = c_array(f"static const uint64_t thresholds[{count}]", values)
        counts = f".threshold_count = {count}, .row = {tables.row}"
        return text, f"{{.kind = TML_PRE_L2AXIS1, .thresholds = thresholds, {counts}}}"
    return "", "{.kind = TML_PRE_NONE}"


def model_source(model: Model) -> str:
    """Return the text of ``tml_model.c``.

    It holds the SHA-256 of the model's file as the user has it, so that a board can be asked for it, the tensors,
    and the preprocessing compiled in: a lookup table (``scale`` with an 8-bit input), thresholds (``l2axis1`` with
    an int8 input), or none, in which case the host sends input tensors.

    Raises:
        ModelError: a tensor of more than 6 dimensions; ``l2axis1`` with a flat input, whose columns nobody knows.
    """
    for what, spec in (("input", model.input), ("output", model.output)):
        if not 1 <= len(spec.shape) <= MAX_RANK:
            msg = f"{model.name}: its {what} has {len(spec.shape)} dimensions; 1 to {MAX_RANK} are supported"
            raise ModelError(msg)
    tables, preprocess = _preprocess(model)
    digest = textwrap.fill(
        ", ".join(f"0x{b:02x}" for b in bytes.fromhex(model.sha256)),
        100,
        initial_indent=" " * 8,
        subsequent_indent=" " * 8,
    )
    return f"""/* Generated by pytest-tinyml from a model's card and tensors. */
#include "tml_model.h"

{tables}
const tml_model tml_the_model = {{
    .name = {c_string(model.name, NAME_BYTES)},
    .sha256 = {{
{digest},
    }},
    .input = {_tensor(model.input)},
    .output = {_tensor(model.output)},
    .preprocess = {preprocess},
}};
"""
