"""What an .espdl file holds, as records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from pytest_tinyml.records import TensorSpec

ElementType: TypeAlias = Literal["float32", "uint8", "int8", "uint16", "int16", "int32", "int64"]
Family: TypeAlias = Literal["esp32", "esp32s3", "esp32p4"]
Attribute: TypeAlias = int | float | str | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A tensor whose value is in the file.

    Attributes:
        name: unique in the file.
        dtype: element type.
        dims: as the file says; of weights, see `layout`.
        exponents: real = q * 2^exponent; one, or one per output channel.
        data: little-endian, in the file's order.
        layout: how weights are ordered, e.g. ``NHWC`` or ``(N/16)HWC16``; empty or ``UNK`` for others.
    """

    name: str
    dtype: ElementType
    dims: tuple[int, ...]
    exponents: tuple[int, ...]
    data: bytes
    layout: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """A tensor that is computed: type, exponent, and dimensions, which are only reliable for input and output."""

    name: str
    dtype: ElementType
    dims: tuple[int, ...]
    exponent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An operator: ONNX's type and attributes, besides ``quant_type``, ``activation`` and ``lut``."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EspdlGraph:
    """What an .espdl file holds.

    Attributes:
        nodes: in order of execution.
        constants: by name.
        activations: by name.
        input: the one input tensor, batch 1, channels last.
        output: the one output tensor, batch 1.
        input_name: its name in the file.
        output_name: its name in the file.
        family: chips whose kernels it was made for.
        family_known: the file says so; else nothing in it depends on the chip but the rounding, and esp32 is assumed.
        bits: of activations, 8 or 16.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, Constant]
    activations: dict[str, Activation]
    input: TensorSpec
    output: TensorSpec
    input_name: str
    output_name: str
    family: Family
    family_known: bool
    bits: int

    @property
    def operators(self) -> tuple[str, ...]:
        """Types of the nodes, ONNX's names."""
        return tuple(node.kind for node in self.nodes)
