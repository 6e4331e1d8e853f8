"""Read an .espdl file: ESP-DL's networks, integers with scales that are powers of two.

A file is 16 bytes (``EDL2``, whether it is encrypted, the length of the rest, zero) before a FlatBuffer of ESP-DL's
schema (esp-dl/fbs_loader/espdl.fbs; its names follow ONNX). Every offset is checked before it is followed.
"""

from __future__ import annotations

import struct
from math import prod
from typing import TYPE_CHECKING, Final, NoReturn

from pytest_tinyml.errors import ModelError
from pytest_tinyml.records import ITEM_BYTES, TensorSpec
from pytest_tinyml.stores.espdlgraph import Activation, Attribute, Constant, ElementType, EspdlGraph, Family, Node
from pytest_tinyml.stores.flatbuffer import DamagedError, Table, root

if TYPE_CHECKING:
    from pathlib import Path

IDENTIFIER: Final = b"EDL2"
HEADER_BYTES: Final = 16
PACKAGES: Final = (b"PDL1", b"PDL2", b"PDL3")
MAX_RANK: Final = 6
MAX_EXPONENT: Final = 64
"""Scales beyond 2^64 and below 2^-64 are none that a quantiser writes; shifts by differences of them stay in range."""
_TYPES: Final[dict[int, ElementType]] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
}
_WIDTH: Final[dict[ElementType, int]] = {
    "float32": 4,
    "uint8": 1,
    "int8": 1,
    "uint16": 2,
    "int16": 2,
    "int32": 4,
    "int64": 8,
}
TARGET_KEY: Final = "target"
"""Metadata that `tinyml convert` adds: the chip, which a file else says only by the order of its weights."""
FAMILY_OF: Final[dict[str, Family]] = {
    **dict.fromkeys(("esp32", "esp32s2", "esp32c2", "esp32c3", "esp32c5", "esp32c6", "c"), "esp32"),
    "esp32s3": "esp32s3",
    **dict.fromkeys(("esp32p4", "esp32s31"), "esp32p4"),
}
"""Chips with the same kernels, thus the same order of weights and the same rounding, by esp-ppq's names of targets."""


def read_espdl(data: bytes, path: Path | str) -> EspdlGraph:
    """Parse an .espdl file.

    Args:
        data: the whole file.
        path: its name, for the messages.

    Raises:
        ModelError: not an .espdl, or a package of several; encrypted; truncated or damaged; not exactly one input and
            one output; a batch other than 1; an element type or a bit width that no board takes.
    """
    if data[:4] in PACKAGES:
        msg = f"{path}: is a package of .espdl files ({data[:4].decode()}); give one of the models that were packed"
        raise ModelError(msg)
    if len(data) < HEADER_BYTES or data[:4] != IDENTIFIER:
        got = f"{data[:4]!r} in {len(data)} bytes"
        msg = f"{path}: not an .espdl file: expected the identifier {IDENTIFIER!r} at offset 0, got {got}"
        raise ModelError(msg)
    encrypted, length = struct.unpack_from("<II", data, 4)
    if encrypted:
        msg = f"{path}: is encrypted; export it without encryption to compare it with the host"
        raise ModelError(msg)
    if HEADER_BYTES + length > len(data):
        msg = f"{path}: truncated .espdl file: {len(data)} bytes of {HEADER_BYTES + length}"
        raise ModelError(msg)
    try:
        return _Reader(data[HEADER_BYTES : HEADER_BYTES + length], str(path)).graph()
    except (DamagedError, RecursionError) as error:
        msg = f"{path}: damaged .espdl file ({len(data)} bytes): {error}"
        raise ModelError(msg) from error


def require_family(graph: EspdlGraph, chip: str, path: Path | str) -> None:
    """Refuse a model whose weights are in another chip's order.

    Raises:
        ModelError: with both chips, and the command that converts it.
    """
    wanted = FAMILY_OF.get(chip, "esp32")
    if graph.family_known and graph.family != wanted:
        msg = (
            f"{path}: was made for {graph.family}, whose kernels take other weights and rounding than those of {chip}: "
            f"convert the float model again, tinyml convert MODEL --espdl --bits {graph.bits} --target {wanted}"
        )
        raise ModelError(msg)


class _Reader:
    def __init__(self, data: bytes, path: str) -> None:
        self.path, self.model = path, root(data)

    def _fail(self, problem: str) -> NoReturn:
        msg = f"{self.path}: {problem}"
        raise ModelError(msg)

    def graph(self) -> EspdlGraph:
        graph = self.model.table(7)
        if graph is None:
            self._fail("holds no graph")
        constants = {tensor.name: tensor for tensor in map(self._constant, graph.tables(2))}
        ends = [tuple(map(self._activation, graph.tables(index))) for index in (4, 5)]
        for noun, end in zip(("input", "output"), ends, strict=True):
            if len(end) != 1:
                self._fail(f"has {len(end)} {noun} tensors; exactly 1 can be fed and compared")
        source, target = ends[0][0], ends[1][0]
        activations = {item.name: item for item in (*map(self._activation, graph.tables(6)), source, target)}
        nodes = tuple(map(self._node, graph.tables(0)))
        if not nodes:
            self._fail("holds no operator")
        metadata = {entry.text(0): entry.text(1) for entry in self.model.tables(8)}
        family = self._family(metadata, constants)
        return EspdlGraph(
            nodes=nodes,
            constants=constants,
            activations=activations,
            input=self._spec("input", source),
            output=self._spec("output", target),
            input_name=source.name,
            output_name=target.name,
            family=family or "esp32",
            family_known=family is not None,
            bits=self._bits(nodes),
        )

    def _bits(self, nodes: tuple[Node, ...]) -> int:
        found = {str(node.attributes.get("quant_type", "")) for node in nodes} - {"", "F32"}
        if found - {"S8", "S16"}:
            self._fail(f"is quantised as {', '.join(sorted(found))}; expected S8 (w8a8) or S16 (w16a16)")
        if not found:
            self._fail("is not quantised; expected 8 or 16 bits (tinyml convert --espdl --bits 8)")
        if len(found) > 1:
            self._fail("mixes 8 and 16 bits; expected one of them in the whole network")
        return 8 if found == {"S8"} else 16

    def _family(self, metadata: dict[str, str], constants: dict[str, Constant]) -> Family | None:
        target = metadata.get(TARGET_KEY, "")
        if target and target not in FAMILY_OF:
            self._fail(f"was made for the chip {target!r}; known are {', '.join(sorted(FAMILY_OF))}")
        layouts = {item.layout for item in constants.values()} - {"", "UNK"}
        packed = any(layout.startswith("(N/") for layout in layouts)
        if target:
            family = FAMILY_OF[target]
            if layouts and packed != (family != "esp32"):
                self._fail(f"is damaged: made for {target}, with weights ordered {', '.join(sorted(layouts))}")
            return family
        if not layouts:
            return None
        if not packed:
            return "esp32"
        # Only the quantiser for the ESP32-P4 gives every output channel a scale of its own.
        return "esp32p4" if any(len(item.exponents) > 1 for item in constants.values()) else "esp32s3"

    def _type(self, code: int, name: str) -> ElementType:
        if code not in _TYPES:
            self._fail(f"tensor {name!r} has the element type {code}; expected one of {', '.join(_TYPES.values())}")
        return _TYPES[code]

    def _exponents(self, table: Table, index: int, name: str) -> tuple[int, ...]:
        exponents = table.integers(index) or (0,)
        if any(abs(exponent) > MAX_EXPONENT for exponent in exponents):
            self._fail(f"tensor {name!r} has the scale 2^{max(exponents, key=abs)}")
        return exponents

    def _constant(self, table: Table) -> Constant:
        name = table.text(6)
        dtype = self._type(table.integer(1), name)
        dims = table.integers(0)
        if any(size < 0 for size in dims) or len(dims) > MAX_RANK:
            self._fail(f"tensor {name!r} has the shape {list(dims)}")
        # Integers of a parameter that is no tensor of the network, such as an axis, may be in a vector of their type.
        data = table.content(8, 16) or table.content(3, 4) or table.content(5, 8)
        nbytes = prod(dims) * _WIDTH[dtype]
        if nbytes > len(data):
            self._fail(f"tensor {name!r} of {nbytes} bytes has {len(data)}")
        return Constant(
            name=name,
            dtype=dtype,
            dims=dims,
            exponents=self._exponents(table, 13, name),
            data=data[:nbytes],
            layout=table.text(7).removeprefix("layout ==> "),
        )

    def _activation(self, table: Table) -> Activation:
        name = table.text(0)
        info = table.table(1)
        # TypeInfo's union: its tag, then the table, of which 1 is tensor_type.
        tensor = info.table(1) if info is not None and info.integer(0, "<B") == 1 else None
        if tensor is None:
            self._fail(f"{name!r} is not a tensor")
        shape = tensor.table(1)
        dims = []
        for dimension in () if shape is None else shape.tables(0):
            value = dimension.table(0)
            if value is None or value.integer(0, "<b") != 1:
                self._fail(f"tensor {name!r} has a dynamic shape; export with a fixed shape")
            dims.append(value.integer(1, "<q"))
        (exponent, *more) = self._exponents(table, 3, name)
        if more:
            self._fail(f"tensor {name!r} has {1 + len(more)} scales; expected 1 (quantisation per tensor)")
        return Activation(name=name, dtype=self._type(tensor.integer(0), name), dims=tuple(dims), exponent=exponent)

    def _node(self, table: Table) -> Node:
        attributes = {item.text(0): value for item in table.tables(5) if (value := _attribute(item)) is not None}
        return Node(
            kind=table.text(3),
            name=table.text(2),
            inputs=table.texts(0),
            outputs=table.texts(1),
            attributes=attributes,
        )

    def _spec(self, noun: str, tensor: Activation) -> TensorSpec:
        what = f"{noun} tensor {tensor.name!r}"
        if not 1 <= len(tensor.dims) <= MAX_RANK or tensor.dims[0] != 1 or any(size < 1 for size in tensor.dims):
            self._fail(f"{what} has the shape {list(tensor.dims)}; expected [1, ...] with 1 to {MAX_RANK} dimensions")
        if tensor.dtype not in ITEM_BYTES:
            self._fail(f"{what} has the element type {tensor.dtype}; expected one of {', '.join(ITEM_BYTES)}")
        dtype = tensor.dtype
        if dtype == "float32":
            return TensorSpec(dtype=dtype, shape=tensor.dims)
        return TensorSpec(dtype=dtype, shape=tensor.dims, scale=2.0**tensor.exponent)


def _attribute(table: Table) -> Attribute | None:
    """Return an attribute's value; None for kinds that no operator here has (tensors, graphs)."""
    kind = table.integer(3)
    if kind == 1:
        return table.real(4)
    if kind == 2:  # noqa: PLR2004 - AttributeType of the schema: INT, STRING, INTS
        return table.integer(5, "<q")
    if kind == 3:  # noqa: PLR2004
        return table.content(6).decode("utf-8", "replace")
    if kind == 7:  # noqa: PLR2004
        return table.integers(11)
    return None
