"""Writing small .espdl files: networks with 16-bit weights and activations, in esp-ppq's own layout for the ESP32."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from pytest_tinyml.stores.espdl import HEADER_BYTES, IDENTIFIER, TARGET_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

Builder: TypeAlias = Any
"""``flatbuffers.Builder``, which carries no types."""
Attribute: TypeAlias = int | str | tuple[int, ...]
_INT16: Final = 5
_INT64: Final = 7
_ALIGNED: Final = 16
"""Bytes of the schema's struct ``AlignedBytes``, of which constants are vectors."""
EXPONENT: Final = -14
"""Of all activations: int16 for -2 .. 2."""


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a table: its number in the schema, and how it is written.

    Attributes:
        number: counted from 0.
        write: called while the table is open.
    """

    number: int
    write: Callable[[Builder, int], None]


def _offset(place: int) -> Callable[[Builder, int], None]:
    return lambda builder, slot: builder.PrependUOffsetTRelativeSlot(slot, place, 0)


def _int64(value: int) -> Callable[[Builder, int], None]:
    return lambda builder, slot: builder.PrependInt64Slot(slot, value, 0)


def _table(builder: Builder, *fields: _Field) -> int:
    """Write a table; what its offsets lead to has been written before."""
    builder.StartObject(1 + max(one.number for one in fields))
    for one in fields:
        one.write(builder, one.number)
    return int(builder.EndObject())


def _integers(builder: Builder, values: Sequence[int]) -> int:
    return int(builder.CreateNumpyVector(np.asarray(values, dtype=np.int64)))


def _offsets(builder: Builder, places: Sequence[int]) -> int:
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())


def _aligned(builder: Builder, data: bytes) -> int:
    """Write a vector of `AlignedBytes`: the data, filled up with zeros."""
    data += bytes(-len(data) % _ALIGNED)
    builder.StartVector(_ALIGNED, len(data) // _ALIGNED, _ALIGNED)
    head = builder.head - len(data)
    builder.head = head
    builder.Bytes[head : head + len(data)] = data
    return int(builder.EndVector())


@dataclass
class EspdlBuilder:
    """One network under construction; its input is int16 [1, H, W, C] or [1, N] with scale 2^-14.

    Args:
        shape: of the input, batch first.
    """

    shape: tuple[int, ...]
    _writer: Builder = field(init=False)
    _nodes: list[int] = field(init=False, default_factory=list)
    _constants: list[int] = field(init=False, default_factory=list)
    _activations: list[int] = field(init=False, default_factory=list)
    _source: int = field(init=False)
    _name: str = field(init=False, default="input")

    def __post_init__(self) -> None:
        """Begin with the input."""
        import flatbuffers  # noqa: PLC0415 - only writing needs it

        self._writer = flatbuffers.Builder(1 << 16)
        self._source = self._activation("input", self.shape)

    def convolution(self, channels: int, seed: int) -> None:
        """Add a Conv of 3 x 3 with padding, ReLU and random weights."""
        depth = self.shape[3]
        names = self._weights((3, 3, depth, channels), seed)
        window: dict[str, Attribute] = {"dilations": (1, 1), "kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}
        more: dict[str, Attribute] = {"activation": "Relu", "group": 1, "strides": (1, 1)}
        self._node("Conv", (*self.shape[:3], channels), names, window | more)

    def pool(self) -> None:
        """Add a MaxPool of 2 x 2."""
        _, height, width, depth = self.shape
        window: dict[str, Attribute] = {"dilations": (1, 1), "kernel_shape": (2, 2), "pads": (0, 0, 0, 0)}
        more: dict[str, Attribute] = {"ceil_mode": 0, "strides": (2, 2)}
        self._node("MaxPool", (1, height // 2, width // 2, depth), (), window | more)

    def flatten(self) -> None:
        """Add what a PyTorch network's Flatten becomes: behind convolutions, a Transpose to channels first and it."""
        if self._nodes:
            _, height, width, depth = self.shape
            self._node("Transpose", (1, depth, height, width), (), {"perm": (0, 3, 1, 2)})
        self._node("Flatten", (1, int(np.prod(self.shape))), (), {"axis": 1})

    def dense(self, units: int, seed: int, *, relu: bool) -> None:
        """Add a Gemm with random weights."""
        names = self._weights((1, 1, self.shape[-1], units), seed)
        self._node("Gemm", (1, units), names, {"activation": "Relu" if relu else "Linear", "transB": 0})

    def finish(self) -> bytes:
        """Return the file; the same network gives the same bytes."""
        writer = self._writer
        result = self._activations[-1]
        graph_fields = {
            0: _offsets(writer, self._nodes),
            2: _offsets(writer, self._constants),
            4: _offsets(writer, [self._source]),
            5: _offsets(writer, [result]),
            6: _offsets(writer, self._activations),
        }
        graph = _table(writer, *(_Field(number, _offset(place)) for number, place in graph_fields.items()))
        key, value = writer.CreateString(TARGET_KEY), writer.CreateString("esp32")
        entry = _table(writer, _Field(0, _offset(key)), _Field(1, _offset(value)))
        metadata = _offsets(writer, [entry])
        writer.Finish(_table(writer, _Field(7, _offset(graph)), _Field(8, _offset(metadata))))
        content = bytes(writer.Output())
        return IDENTIFIER + struct.pack("<II", 0, len(content)) + bytes(HEADER_BYTES - 12) + content

    def _weights(self, dims: tuple[int, int, int, int], seed: int) -> tuple[str, str]:
        """Add weights for as many sums as `dims` ends with, and their biases; returns the names.

        Their scale is such that the sums have about the root mean square of the inputs.
        """
        height, width, depth, count = dims
        rng = np.random.default_rng(seed)
        weights = rng.integers(-32767, 32768, (count, height, width, depth)).astype(np.int16)
        spread = 32767 / np.sqrt(3) * np.sqrt(height * width * depth)
        exponent = -int(np.ceil(np.log2(spread)))
        bias = rng.integers(-(1 << 20), 1 << 20, count)
        name = f"{len(self._constants)}"
        self._constant(f"{name}.weight", weights, _INT16, dims, exponent, "layout ==> NHWC")
        self._constant(f"{name}.bias", bias, _INT64, (count,), EXPONENT + exponent, "")
        return f"{name}.weight", f"{name}.bias"

    def _constant(
        self, name: str, data: npt.NDArray[Any], kind: int, dims: tuple[int, ...], exponent: int, layout: str
    ) -> None:
        writer = self._writer
        places = {
            0: _integers(writer, dims),
            6: writer.CreateString(name),
            7: writer.CreateString(layout),
            8: _aligned(writer, data.tobytes()),
            13: _integers(writer, [exponent]),
        }
        fields = [_Field(number, _offset(place)) for number, place in places.items()]
        self._constants.append(
            _table(writer, *fields, _Field(1, lambda builder, slot: builder.PrependInt32Slot(slot, kind, 0)))
        )

    def _activation(self, name: str, shape: tuple[int, ...]) -> int:
        writer = self._writer
        dimensions = []
        for size in shape:
            value = _table(
                writer, _Field(0, lambda builder, slot: builder.PrependInt8Slot(slot, 1, 0)), _Field(1, _int64(size))
            )
            dimensions.append(_table(writer, _Field(0, _offset(value))))
        dims = _table(writer, _Field(0, _offset(_offsets(writer, dimensions))))
        tensor = _table(
            writer,
            _Field(0, lambda builder, slot: builder.PrependInt32Slot(slot, _INT16, 0)),
            _Field(1, _offset(dims)),
        )
        info = _table(
            writer, _Field(0, lambda builder, slot: builder.PrependUint8Slot(slot, 1, 0)), _Field(1, _offset(tensor))
        )
        text, exponents = writer.CreateString(name), _integers(writer, [EXPONENT])
        return _table(writer, _Field(0, _offset(text)), _Field(1, _offset(info)), _Field(3, _offset(exponents)))

    def _node(
        self, kind: str, shape: tuple[int, ...], constants: Sequence[str], attributes: Mapping[str, Attribute]
    ) -> None:
        """Add an operator behind the last one."""
        writer = self._writer
        name = f"{len(self._nodes)}_{kind}"
        lists = [
            _offsets(writer, [writer.CreateString(text) for text in texts])
            for texts in ((self._name, *constants), (name,))
        ]
        places = {
            0: lists[0],
            1: lists[1],
            2: writer.CreateString(name),
            3: writer.CreateString(kind),
            5: _offsets(writer, [self._attribute(*item) for item in {**attributes, "quant_type": "S16"}.items()]),
        }
        self._nodes.append(_table(writer, *(_Field(number, _offset(place)) for number, place in places.items())))
        self._activations.append(self._activation(name, shape))
        self._name, self.shape = name, shape

    def _attribute(self, name: str, value: Attribute) -> int:
        writer = self._writer
        text = writer.CreateString(name)
        if isinstance(value, int):

            def write(builder: Builder, slot: int) -> None:
                builder.Prep(8, 0)
                builder.PrependInt64(value)
                builder.PrependStructSlot(slot, builder.Offset(), 0)

            code, content = 2, _Field(5, write)
        elif isinstance(value, str):
            code, content = 3, _Field(6, _offset(writer.CreateByteVector(value.encode())))
        else:
            code, content = 7, _Field(11, _offset(_integers(writer, value)))
        kind = _Field(3, lambda builder, slot: builder.PrependInt32Slot(slot, code, 0))
        return _table(writer, content, _Field(0, _offset(text)), kind)
