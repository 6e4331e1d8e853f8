"""The object form of a .tflite file: read, write, names of operators.

The schema's classes (``ModelT``, ``SubGraphT``, ...) ship with ``ai_edge_litert``; nothing here needs TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.errors import ModelError

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.engines.softmax import QuantizedSoftmax

_IDENTIFIER: Final = b"TFL3"
_ESPDL: Final = b"EDL2"


@dataclass(slots=True)
class Graph:
    """A model's only subgraph while it is rewritten.

    Attributes:
        name: the model's name, for messages.
        model: ``ModelT``.
        origin: for each remaining operator its index in the file.
        softmax: the trailing softmax, once it has been cut off.
    """

    name: str
    model: Any
    origin: list[int] = field(default_factory=list)
    softmax: QuantizedSoftmax | None = None

    @property
    def sub(self) -> Any:  # noqa: ANN401 - the schema's classes carry no types
        """The ``SubGraphT``."""
        return self.model.subgraphs[0]

    def kind(self, operator: Any) -> str:  # noqa: ANN401
        """Return an operator's TensorFlow Lite name."""
        return builtin_name(self.model.operatorCodes[operator.opcodeIndex])

    def constant(self, tensor: int) -> npt.NDArray[np.int32] | None:
        """Return the value of a constant int32 tensor, or None if it is not one."""
        record = self.sub.tensors[tensor]
        data = self.model.buffers[record.buffer].data
        if record.type != schema().TensorType.INT32 or data is None or not len(data):
            return None
        return np.frombuffer(np.asarray(data, dtype=np.uint8).tobytes(), dtype="<i4")

    def keep(self, wanted: list[int]) -> None:
        """Keep only the operators at these positions."""
        self.sub.operators = [self.sub.operators[i] for i in wanted]
        self.origin = [self.origin[i] for i in wanted]


def schema() -> Any:  # noqa: ANN401
    """Return the module of the flatbuffer schema's classes."""
    # Imported late: it costs 30 ms that a user of another engine need not pay.
    from ai_edge_litert import schema_py_generated  # noqa: PLC0415

    return schema_py_generated


def builtin_name(code: Any) -> str:  # noqa: ANN401
    """Return the TensorFlow Lite name of an ``OperatorCodeT``, e.g. ``CONV_2D``; a custom operator's own name."""
    # Codes above 127 do not fit the old field, which then holds a placeholder; the larger of the two is the code.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if code.customCode is not None:
        custom = code.customCode
        return custom.decode(errors="replace") if isinstance(custom, bytes) else str(custom)
    names = {value: key for key, value in vars(schema().BuiltinOperator).items() if key.isupper()}
    return str(names.get(number, f"BUILTIN_{number}"))


def refuse_espdl(data: bytes, name: str) -> None:
    """Say who executes an .espdl file.

    Args:
        data: a model file.
        name: the model's name, for the message.

    Raises:
        ModelError: it is one.
    """
    if data[:4] == _ESPDL:
        msg = (
            f"{name}: is an .espdl file, which only engines 'espdl-c' (boards native, qemu-stm32f405, qemu-xtensa) and "
            "'espdl' (board esp32-espdl) execute"
        )
        raise ModelError(msg)


def load(data: bytes, name: str) -> Graph:
    """Read a .tflite file into its object form.

    Args:
        data: the file.
        name: the model's name, for messages.

    Raises:
        ModelError: not a .tflite, or one with several subgraphs, inputs or outputs.
    """
    refuse_espdl(data, name)
    if data[4:8] != _IDENTIFIER:
        msg = f"{name}: not a .tflite file: bytes 4 to 7 are {data[4:8]!r}, expected {_IDENTIFIER!r}"
        raise ModelError(msg)
    fb = schema()
    try:
        model = fb.ModelT.InitFromObj(fb.Model.GetRootAsModel(data, 0))
        graph = Graph(name=name, model=model)
        counts = (len(model.subgraphs), len(graph.sub.inputs), len(graph.sub.outputs))
    except Exception as error:
        # The flatbuffer reader checks nothing: a damaged file can raise anything from struct.error to MemoryError.
        msg = f"{name}: the .tflite file is damaged: {type(error).__name__}: {error}"
        raise ModelError(msg) from error
    if counts != (1, 1, 1):
        msg = (
            f"{name}: {counts[0]} subgraphs, {counts[1]} inputs, {counts[2]} outputs; exactly one of each is supported"
        )
        raise ModelError(msg)
    graph.origin = list(range(len(graph.sub.operators or [])))
    return graph


def dump(graph: Graph) -> bytes:
    """Serialise a graph; the same graph gives the same bytes."""
    import flatbuffers  # noqa: PLC0415 - only engines need it

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(graph.model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())
