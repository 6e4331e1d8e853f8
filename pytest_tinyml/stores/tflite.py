"""Read what the harness needs out of a .tflite file, and refuse what is not one.

A .tflite file is a FlatBuffer with the identifier ``TFL3`` (tensorflow/lite/schema/schema.fbs). The generated reader of
``ai_edge_litert`` trusts its input; here every length is checked against the file before it is followed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias, cast

from pytest_tinyml.errors import ModelError
from pytest_tinyml.records import ITEM_BYTES, DType, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

IDENTIFIER: Final = b"TFL3"
HEADER_BYTES: Final = 8
KERAS: Final = (b"\x89HDF", b"PK\3\4")
"""How files of Keras begin: .h5 is HDF5, .keras a ZIP archive."""
Table: TypeAlias = Any
"""A table of ai_edge_litert's generated reader, which has no types."""
MAX_RANK: Final = 6
FILTER_RANK: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What a .tflite file holds, as far as the harness is concerned.

    Attributes:
        input: the one input tensor, batch 1.
        output: the one output tensor, batch 1.
        operators: TensorFlow Lite operator names in order of execution; ``CUSTOM:NAME`` for custom ones.
        macs: multiply-accumulates of one inference in convolutions and fully connected layers.
    """

    input: TensorSpec
    output: TensorSpec
    operators: tuple[str, ...]
    macs: int


def read_graph(data: bytes, path: Path | str) -> Graph:
    """Parse a .tflite file.

    Args:
        data: the whole file.
        path: its name, for the messages.

    Raises:
        ModelError: not a .tflite, truncated or damaged; no subgraph; not exactly one input and one output; a shape that
            is dynamic or has another batch than 1; an element type or a quantisation that no board takes.
    """
    if len(data) < HEADER_BYTES or data[4:8] != IDENTIFIER:
        got = f"{data[4:8]!r} in {len(data)} bytes"
        msg = f"{path}: not a .tflite file: expected the identifier {IDENTIFIER!r} at offset 4, got {got}"
        if data[:4] in KERAS:
            msg += f"; a Keras file becomes one by: tinyml convert {path} --tflite float --out DIR"
        raise ModelError(msg)
    try:
        return _Reader(data, str(path)).graph()
    except ModelError:
        raise
    except (struct.error, IndexError, TypeError, ValueError, OverflowError, AttributeError) as error:
        # Offsets of a damaged file lead the generated reader anywhere; these are what it raises then.
        msg = f"{path}: damaged or truncated .tflite file ({len(data)} bytes): {error}"
        raise ModelError(msg) from error


class _Reader:
    """One pass over one file; ``schema`` is ai_edge_litert's generated module, which has no types."""

    def __init__(self, data: bytes, path: str) -> None:
        from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415 - only models need it

        self.data, self.path, self.schema = data, path, schema
        self.type_names = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
        self.model: Table = schema.Model.GetRootAs(data, 0)

    def graph(self) -> Graph:
        self._check_buffers()
        if self._bounded(self.model.SubgraphsLength()) == 0:
            self._fail("holds no subgraph")
        subgraph = self.model.Subgraphs(0)
        tensors = self._bounded(subgraph.TensorsLength())
        ends = []
        for noun, length, index in (
            ("input", subgraph.InputsLength(), subgraph.Inputs),
            ("output", subgraph.OutputsLength(), subgraph.Outputs),
        ):
            if length != 1:
                self._fail(f"has {length} {noun} tensors; exactly 1 can be fed and compared")
            if not 0 <= index(0) < tensors:
                self._fail(f"is damaged: {noun} tensor {index(0)} of {tensors}")
            ends.append(self._spec(noun, subgraph.Tensors(index(0))))
        count = self._bounded(subgraph.OperatorsLength())
        if count == 0:
            self._fail("holds no operator")
        names = self._operator_names()
        operators, macs = [], 0
        for number in range(count):
            operator = subgraph.Operators(number)
            code = operator.OpcodeIndex()
            if code >= len(names):
                self._fail(f"is damaged: operator {number} has code {code} of {len(names)}")
            operators.append(names[code])
            macs += self._macs(subgraph, operator, names[code], tensors)
        return Graph(input=ends[0], output=ends[1], operators=tuple(operators), macs=macs)

    def _fail(self, problem: str) -> NoReturn:
        msg = f"{self.path}: {problem}"
        raise ModelError(msg)

    def _bounded(self, length: int) -> int:
        """Return a vector's length, which takes 4 bytes per element: a damaged one must not be iterated over."""
        if length * 4 > len(self.data):
            self._fail(f"damaged or truncated .tflite file: a vector of {length} in {len(self.data)} bytes")
        return length

    def _check_buffers(self) -> None:
        """Check that the weights, which the reader would only look at later, lie within the file."""
        for number in range(self._bounded(self.model.BuffersLength())):
            buffer = self.model.Buffers(number)
            if buffer.DataLength() and not buffer.DataIsNone():
                table = buffer._tab  # noqa: SLF001 - the generated API copies the data instead of telling where it is
                end = table.Vector(table.Offset(4)) + buffer.DataLength()
                if end > len(self.data):
                    problem = f"buffer {number} ends at offset {end} of {len(self.data)}"
                    self._fail(f"truncated .tflite file: {problem}")

    def _operator_names(self) -> list[str]:
        builtin = {value: name for name, value in vars(self.schema.BuiltinOperator).items() if isinstance(value, int)}
        names = []
        for number in range(self._bounded(self.model.OperatorCodesLength())):
            code = self.model.OperatorCodes(number)
            # Old files have the code in an int8 only, new ones in an int32; the larger is meant (schema.fbs).
            value = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            name = builtin.get(value, f"BUILTIN_{value}")
            if name == "CUSTOM":
                name = f"CUSTOM:{(code.CustomCode() or b'').decode('utf-8', 'replace')}"
            names.append(name)
        return names

    def _shape(self, tensor: Table) -> tuple[int, ...]:
        return tuple(int(tensor.Shape(axis)) for axis in range(self._bounded(tensor.ShapeLength())))

    def _spec(self, noun: str, tensor: Table) -> TensorSpec:
        name = (tensor.Name() or b"").decode("utf-8", "replace")
        what = f"{noun} tensor {name!r}"
        shape = self._shape(tensor)
        signature = tuple(
            int(tensor.ShapeSignature(axis)) for axis in range(self._bounded(tensor.ShapeSignatureLength()))
        )
        if any(size < 0 for size in signature[1:]) or any(size <= 0 for size in shape):
            self._fail(f"{what} has the dynamic shape {list(signature or shape)}; convert with a fixed shape")
        if not 1 <= len(shape) <= MAX_RANK or shape[0] != 1:
            self._fail(f"{what} has the shape {list(shape)}; expected [1, ...] with 1 to {MAX_RANK} dimensions")
        dtype = self.type_names.get(tensor.Type(), f"type {tensor.Type()}").lower()
        if dtype not in ITEM_BYTES:
            self._fail(f"{what} has the element type {dtype}; expected one of {', '.join(ITEM_BYTES)}")
        if dtype == "float32":
            return TensorSpec(dtype="float32", shape=shape)
        quantisation = tensor.Quantization()
        scales = 0 if quantisation is None else quantisation.ScaleLength()
        points = 0 if quantisation is None else quantisation.ZeroPointLength()
        if scales != 1 or points > 1:
            self._fail(f"{what} is {dtype} with {scales} scales; expected 1 (quantisation per tensor)")
        scale = float(quantisation.Scale(0))
        # The comparison is false for NaN, too.
        if not 0.0 < scale < float("inf"):
            self._fail(f"{what} has the scale {scale}; expected a positive number")
        point = int(quantisation.ZeroPoint(0)) if points else 0
        return TensorSpec(dtype=cast("DType", dtype), shape=shape, scale=scale, zero_point=point)

    def _macs(self, subgraph: Table, operator: Table, name: str, tensors: int) -> int:
        if name not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
            return 0
        indices = (operator.Inputs(1), operator.Outputs(0))
        if not all(0 <= index < tensors for index in indices):
            self._fail(f"is damaged: {name} refers to tensors {list(indices)} of {tensors}")
        weights, output = (self._shape(subgraph.Tensors(index)) for index in indices)
        if name == "FULLY_CONNECTED":
            return prod(output) * weights[-1]
        # Filters are [out, h, w, in] of CONV_2D and [1, h, w, out] of DEPTHWISE_CONV_2D.
        per_element = prod(weights[1:FILTER_RANK]) if name == "CONV_2D" else prod(weights[1:3])
        return prod(output) * per_element
