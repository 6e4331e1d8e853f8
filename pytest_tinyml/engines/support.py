"""Which engine executes which operator: so that a refusal can say who would take the model.

An engine that has an operator may still refuse a variant of it; only the engine itself knows that. ST's engine
``stedgeai`` is not here: what it takes depends on the version that the user has, whose documentation lists it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pytest_tinyml.errors import UnsupportedOperatorError

if TYPE_CHECKING:
    from pytest_tinyml.records import Model

Family: TypeAlias = Literal["int8", "int16", "float32", "espdl"]
"""What an engine takes: .tflite by the type of its tensors, or .espdl."""
TFLM: Final = "tflm"
_AOT_NAMES: Final = """
    ADD AVERAGE_POOL_2D CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED MAX_POOL_2D PAD PADV2 RESHAPE SOFTMAX
"""
_AOT: Final = frozenset(_AOT_NAMES.split())
"""bakenn's (``frontends/tflite/importer.py`` of 1.0.0), and a SOFTMAX at the end."""
_ESPDL_NAMES: Final = """
    Add AveragePool Clip Concat Conv DepthToSpace DequantizeLinear Div Elu Equal Exp Flatten GRU Gather Gelu Gemm
    GlobalAveragePool Greater GreaterOrEqual HardSigmoid HardSwish Identity InsertZeros LSTM LUT LayerNormalization
    LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization MatMul MaxPool Mod Mul Neg PRelu Pad Pow
    QuantizeLinear RMSNormalization ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu RequantizeLinear Reshape Resize ReverseSequence ScatterND Sigmoid
    Slice Softmax SpaceToDepth Split Sqrt Squeeze StreamingCache Sub Swish Tanh Transpose Unsqueeze
"""
_ESPDL: Final = frozenset(_ESPDL_NAMES.split())
"""What ESP-DL 3.3.9 registers (``dl/module/include/dl_module_creator.hpp``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """What an engine executes.

    Attributes:
        engine: its name.
        families: kinds of models.
        operators: TensorFlow Lite's names, or ONNX's for ``espdl``.
        how: command line that gets a board with this engine.
    """

    engine: str
    families: frozenset[Family]
    operators: frozenset[str]
    how: str


def engines() -> tuple[Support, ...]:
    """Return all engines whose operators are known, in the order in which they are to be tried."""
    # The front ends take numpy and the schema along, which the loader of a model need not wait for.
    from pytest_tinyml.engines import tflmops  # noqa: PLC0415
    from pytest_tinyml.engines.layers import AOT_FLOAT, ESPDL_C, fromespdl, fromfloat  # noqa: PLC0415

    tflite: frozenset[Family] = frozenset({"int8", "int16", "float32"})
    espdl: frozenset[Family] = frozenset({"espdl"})
    return (
        Support(engine="aot", families=frozenset({"int8"}), operators=_AOT, how="--board native"),
        Support(
            engine=AOT_FLOAT,
            families=frozenset({"float32"}),
            operators=fromfloat.OPERATORS,
            how="--board native",
        ),
        Support(engine=ESPDL_C, families=espdl, operators=fromespdl.OPERATORS, how="--board native"),
        Support(engine=TFLM, families=tflite, operators=tflmops.operators_with_a_kernel(), how="--board tflm"),
        Support(engine="espdl", families=espdl, operators=_ESPDL, how="--board esp32-espdl"),
    )


def family_of(model: Model) -> Family:
    """Return what engines have to take to take a model."""
    if model.format == "espdl":
        return "espdl"
    dtype = model.input.dtype
    # uint8 is int8 with another zero point, for this question.
    return "int8" if dtype == "uint8" else dtype


def elsewhere(operator: str, family: Family, engine: str) -> str:
    """Say which engines other than one have an operator, and how to get there."""
    others = [
        support
        for support in engines()
        if support.engine != engine and family in support.families and operator in support.operators
    ]
    if not others:
        return "no other engine has it"
    named = " and ".join(repr(support.engine) for support in others)
    verb = "engine {} has it" if len(others) == 1 else "engines {} have it"
    return f"{verb.format(named)}: {' or '.join(support.how for support in others)}"


def refusal(name: str, family: Family, engine: str, index: int, operator: str, reason: str) -> UnsupportedOperatorError:
    """Return the error for an operator that an engine does not execute, with the engines that have it.

    Args:
        name: of the model.
        family: of the model.
        engine: that refuses it.
        index: 0-based position of the operator in the file.
        operator: its name there.
        reason: what exactly is not supported.
    """
    return UnsupportedOperatorError(name, engine, index, operator, f"{reason}; {elsewhere(operator, family, engine)}")
