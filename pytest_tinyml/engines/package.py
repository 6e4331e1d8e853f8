"""A package: a model file and what a board has to know of it, for uploading (PROTOCOL.md section 6)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from pytest_tinyml.engines.modelfile import NAME_BYTES, preprocess_tables
from pytest_tinyml.errors import ModelError
from pytest_tinyml.wire import DTYPE_CODES, MAX_RANK

if TYPE_CHECKING:
    from pytest_tinyml.records import Model, TensorSpec

_MAGIC: Final = b"TML1"
_HEAD: Final = struct.Struct(f"<4sIBBHI32s{NAME_BYTES + 1}s")
_TENSOR: Final = struct.Struct(f"<BBHfi{MAX_RANK}I")
_NONE, _LUT, _L2AXIS1 = 0, 1, 2
_ALIGNMENT: Final = 16


def encode_package(model: Model) -> bytes:
    """Return the package of a model: its description, padded to a multiple of 16 bytes, and its file.

    Raises:
        ModelError: a tensor of more than 6 dimensions; ``l2axis1`` with a flat input.
    """
    tables = preprocess_tables(model)
    kind, count, table = _NONE, 0, b""
    if tables.lut is not None:
        kind, table = _LUT, tables.lut.tobytes()
    elif tables.thresholds is not None:
        kind, count, table = _L2AXIS1, len(tables.thresholds), tables.thresholds.astype("<u8").tobytes()
    name = model.name.encode()[:NAME_BYTES].decode(errors="ignore").encode()
    digest = bytes.fromhex(model.sha256)
    head = _HEAD.pack(_MAGIC, len(model.data), kind, 0, count, tables.row, digest, name)
    description = head + _tensor(model, model.input) + _tensor(model, model.output) + table
    return description + bytes(-len(description) % _ALIGNMENT) + model.data


def _tensor(model: Model, tensor: TensorSpec) -> bytes:
    rank = len(tensor.shape)
    if not 1 <= rank <= MAX_RANK:
        msg = f"{model.name}: a tensor of {rank} dimensions cannot be described to a board; 1 to {MAX_RANK} can"
        raise ModelError(msg)
    dims = [*tensor.shape, *[0] * (MAX_RANK - rank)]
    return _TENSOR.pack(DTYPE_CODES[tensor.dtype], rank, 0, tensor.scale, tensor.zero_point, *dims)
