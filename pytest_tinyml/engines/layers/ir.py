"""A network as a list of calls to C kernels: what front ends make, and what the planner and the emitter take."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

ValueType: TypeAlias = Literal["int8", "int16", "int32", "int64", "float32"]
VALUE_BYTES: Final[dict[ValueType, int]] = {"int8": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A tensor: a constant of the network, or an activation that has a place in the arena.

    Attributes:
        name: from the model's file, for messages and comments.
        dtype: element type.
        shape: batch first, and 1; of constants as the kernel takes them.
        data: of a constant, little-endian, in the order that the kernel reads; None for an activation.
    """

    name: str
    dtype: ValueType
    shape: tuple[int, ...]
    data: bytes | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return prod(self.shape) * VALUE_BYTES[self.dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call: ``void FUNCTION(const FUNCTION_params *, const T *input.., T *output[, void *scratch])``.

    Attributes:
        index: 0-based position of the operator in the model's file.
        operator: its name there, e.g. ``CONV_2D`` or ``Conv``.
        function: the C function; empty where nothing is to be computed and the output is the input's memory under
            another shape (then there is one input).
        inputs: indices into `Network.values`, in the order of the arguments; -1 becomes a null pointer.
        output: likewise.
        params: initialisers of the fields of ``FUNCTION_params``, as C constants without suffix or braces; a tuple
            becomes an array.
        scratch_bytes: working memory of the call beside its tensors.
        in_place: the kernel may write its output over its first input.
    """

    index: int
    operator: str
    function: str
    inputs: tuple[int, ...]
    output: int
    params: Mapping[str, int | float | tuple[int, ...]]
    scratch_bytes: int = 0
    in_place: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A model, ready to be planned and emitted.

    Attributes:
        engine: what the firmware calls it, ``aot-float`` or ``espdl-c``.
        headers: of ``firmware/engines/layers`` that declare the functions.
        values: all tensors.
        steps: in order of execution.
        input: index of the one input.
        output: index of the one output.
    """

    engine: str
    headers: tuple[str, ...]
    values: tuple[Value, ...]
    steps: tuple[Step, ...]
    input: int
    output: int
