"""Rewriting a .tflite graph into the form that the C generator takes, without changing a result.

bakenn reads TensorFlow Lite's files strictly: it refuses what the converter of TensorFlow 2.21 writes for ordinary
Keras models. Each function below removes one such difference and says why the outputs stay the same, byte for byte.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.engines.flatgraph import Graph, dump, load, schema
from pytest_tinyml.engines.softmax import quantize_softmax
from pytest_tinyml.engines.support import refusal
from pytest_tinyml.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tinyml.engines.softmax import QuantizedSoftmax

ENGINE: Final = "aot"
SHAPE_OPERATORS: Final = frozenset({"SHAPE", "STRIDED_SLICE", "PACK"})
_PLAIN: Final = re.compile(r"[\w ./:;,()-]+", re.ASCII)
BIAS_TOLERANCE: Final = 1e-6
"""Relative error of a bias scale that TensorFlow Lite lets pass (kernel_util.cc, GetQuantizedConvolutionMultipler)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizedModel:
    """What is left for the generator, and what must run behind it.

    Attributes:
        data: the rewritten .tflite.
        origin: for each of its operators the operator's index in the original file.
        softmax: the softmax cut off its end, or None.
    """

    data: bytes
    origin: tuple[int, ...]
    softmax: QuantizedSoftmax | None


def _slice(options: Any, parts: list[list[int]]) -> list[int] | None:  # noqa: ANN401 - StridedSliceOptionsT
    """Evaluate a STRIDED_SLICE of [values, begin, end, stride]; None for what needs more than a plain slice."""
    if options.ellipsisMask or options.newAxisMask or any(len(part) != 1 for part in parts[1:]):
        return None
    values, (begin,), (end,), (stride,) = parts
    if options.shrinkAxisMask:
        return [values[begin]]
    return values[None if options.beginMask else begin : None if options.endMask else end : stride]


def _evaluate(graph: Graph, tensor: int, producers: dict[int, Any]) -> list[int] | None:
    """Return the value of a shape tensor computed by SHAPE, STRIDED_SLICE and PACK, or None if it is not such."""
    constant = graph.constant(tensor)
    if constant is not None:
        return [int(v) for v in constant]
    operator = producers.get(tensor)
    kind = None if operator is None else graph.kind(operator)
    if operator is None or kind not in SHAPE_OPERATORS:
        return None
    if kind == "SHAPE":
        return [int(n) for n in graph.sub.tensors[operator.inputs[0]].shape]
    parts = [part for part in (_evaluate(graph, int(i), producers) for i in operator.inputs) if part is not None]
    value = None
    if len(parts) == len(operator.inputs) and kind == "STRIDED_SLICE":
        value = _slice(operator.builtinOptions, parts)
    elif len(parts) == len(operator.inputs) and all(len(part) == 1 for part in parts):
        value = [part[0] for part in parts]  # PACK of scalars
    return value


def fold_shape_operators(graph: Graph) -> None:
    """Replace a RESHAPE's computed shape by a constant and drop the operators that computed it.

    Keras 3 with ``from_keras_model`` leaves the batch open, so a Flatten becomes SHAPE, STRIDED_SLICE and PACK
    before the RESHAPE. A board runs one sample at a time: with the batch fixed to the 1 that stands in ``shape``,
    what these operators compute is known now. They touch no activation.
    """
    fb = schema()
    producers = {int(out): op for op in graph.sub.operators for out in op.outputs}
    for operator in graph.sub.operators:
        if graph.kind(operator) != "RESHAPE" or len(operator.inputs) < 2:  # noqa: PLR2004 - data and shape
            continue
        shape_tensor = int(operator.inputs[1])
        if shape_tensor < 0 or graph.constant(shape_tensor) is not None:
            continue
        shape = _evaluate(graph, shape_tensor, producers)
        if shape is None:
            continue
        buffer = fb.BufferT()
        buffer.data = np.frombuffer(np.asarray(shape, dtype="<i4").tobytes(), dtype=np.uint8)
        graph.model.buffers.append(buffer)
        tensor = fb.TensorT()
        tensor.name = f"folded_shape_{shape_tensor}"
        tensor.type = fb.TensorType.INT32
        tensor.shape = np.asarray([len(shape)], dtype=np.int32)
        tensor.buffer = len(graph.model.buffers) - 1
        graph.sub.tensors.append(tensor)
        operator.inputs = np.asarray([operator.inputs[0], len(graph.sub.tensors) - 1], dtype=np.int32)
    _drop_unused(graph)


def _drop_unused(graph: Graph) -> None:
    """Drop shape operators whose results nothing reads any more."""
    while True:
        used = {int(i) for op in graph.sub.operators for i in op.inputs} | {int(o) for o in graph.sub.outputs}
        wanted = [
            position
            for position, op in enumerate(graph.sub.operators)
            if graph.kind(op) not in SHAPE_OPERATORS or any(int(o) in used for o in op.outputs)
        ]
        if len(wanted) == len(graph.sub.operators):
            return
        graph.keep(wanted)


@contextmanager
def folded(data: bytes, name: str) -> Iterator[Graph]:
    """Read a .tflite file whose shapes are all known, for a translator that goes over it in the body of this.

    Args:
        data: the file.
        name: the model's name, for messages.

    Raises:
        ModelError: not a .tflite; or damaged, which may show only as the translator follows its indices.
    """
    graph = load(data, name)
    fold_shape_operators(graph)
    complete_reshape_options(graph)
    try:
        yield graph
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # The reader checks nothing: indices and sizes of a damaged file lead anywhere.
        msg = f"{name}: the .tflite file is damaged: {type(error).__name__}: {error}"
        raise ModelError(msg) from error


def cut_trailing_softmax(graph: Graph) -> None:
    """Cut off a SOFTMAX that ends the graph; ``graph.softmax`` then says how to compute it behind the generated code.

    bakenn's own softmax uses a table and differs from TensorFlow Lite Micro's in the last bit, and its importer
    takes none. What ``tml_softmax_s8`` computes from these parameters equals TensorFlow Lite Micro's output byte
    for byte.

    Raises:
        UnsupportedOperatorError: its types or its quantisation are not those of an int8 softmax.
    """
    operators = graph.sub.operators
    if not operators or graph.kind(operators[-1]) != "SOFTMAX" or operators[-1].outputs[0] != graph.sub.outputs[0]:
        return
    operator, index = operators[-1], graph.origin[-1]
    source, result = (graph.sub.tensors[int(i)] for i in (operator.inputs[0], operator.outputs[0]))
    int8 = schema().TensorType.INT8
    if (source.type, result.type) != (int8, int8):
        raise refusal(graph.name, "int8", ENGINE, index, "SOFTMAX", "its input and output must be int8")
    scale, zero_point = float(result.quantization.scale[0]), int(result.quantization.zeroPoint[0])
    if (scale, zero_point) != (1 / 256, -128):
        reason = f"its output must have scale 1/256 and zero point -128, not {scale} and {zero_point}"
        raise refusal(graph.name, "int8", ENGINE, index, "SOFTMAX", reason)
    if len(operators) == 1:
        raise refusal(graph.name, "int8", ENGINE, index, "SOFTMAX", "the model has no other operator")
    shape = [int(n) for n in source.shape]
    try:
        graph.softmax = quantize_softmax(
            rows=math.prod(shape[:-1]),
            depth=shape[-1],
            input_scale=float(source.quantization.scale[0]),
            beta=float(operator.builtinOptions.beta),
        )
    except ValueError as error:
        raise refusal(graph.name, "int8", ENGINE, index, "SOFTMAX", str(error)) from error
    graph.sub.outputs = np.asarray([operator.inputs[0]], dtype=np.int32)
    graph.keep(list(range(len(operators) - 1)))
    # Signatures name the outputs again by tensor; only a runtime's signature API reads them.
    graph.model.signatureDefs = None


def fix_batch(graph: Graph) -> None:
    """Remove shape signatures whose only open dimension is the batch.

    ``shapeSignature`` [-1, ...] beside ``shape`` [1, ...] says that a caller may resize the batch. Inference at
    batch 1, all that a board does, reads ``shape`` only.
    """
    for tensor in graph.sub.tensors:
        if tensor.shapeSignature is None or tensor.shape is None or not len(tensor.shapeSignature):
            continue
        signature, shape = [int(n) for n in tensor.shapeSignature], [int(n) for n in tensor.shape]
        if signature[1:] == shape[1:] and signature[0] in {-1, shape[0]}:
            tensor.shapeSignature = None


def complete_reshape_options(graph: Graph) -> None:
    """Give a RESHAPE without options the options that say what its output's shape says.

    The converter leaves them out where the shape is an input. A runtime takes the shape from that input; the
    options are only read where it is missing.
    """
    fb = schema()
    for operator in graph.sub.operators:
        if graph.kind(operator) == "RESHAPE" and operator.builtinOptions is None:
            operator.builtinOptionsType = fb.BuiltinOptions.ReshapeOptions
            operator.builtinOptions = fb.ReshapeOptionsT()
            operator.builtinOptions.newShape = np.asarray(
                graph.sub.tensors[int(operator.outputs[0])].shape, dtype=np.int32
            )


def align_bias_scales(graph: Graph) -> None:
    """Set a bias's scales to exactly float32(input scale * weight scale).

    Models of quantisation-aware training are off by about 1e-7. TensorFlow Lite Micro adds the int32 bias to the
    accumulator and rescales by input scale * weight scale / output scale: the bias's own scale is at most checked,
    never used. Scales off by more than what TensorFlow Lite tolerates are left alone, and refused by the generator.
    """
    for operator in graph.sub.operators:
        if graph.kind(operator) not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
            continue
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:  # noqa: PLR2004 - data, weights and bias
            continue
        quantizations = [graph.sub.tensors[int(i)].quantization for i in operator.inputs[:3]]
        if any(q is None or q.scale is None for q in quantizations):
            continue
        data, weights, bias = (np.asarray(q.scale, dtype=np.float64) for q in quantizations)
        if len(data) != 1 or len(bias) != len(weights):
            continue
        product = data[0] * weights
        if np.all(np.abs(bias - product) <= BIAS_TOLERANCE * np.abs(product)):
            quantizations[2].scale = product.astype(np.float32)


def plain_names(graph: Graph) -> None:
    """Replace what is not plain in a tensor's name: bakenn writes names into comments of the C that it generates.

    A name with ``*/`` in it would end the comment, and the rest would be compiled.
    """
    for index, tensor in enumerate(graph.sub.tensors):
        name = tensor.name or b""
        text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        if _PLAIN.fullmatch(text) is None:
            tensor.name = f"tensor_{index}"


def normalize(data: bytes, name: str) -> NormalizedModel:
    """Apply every rewriting of this module.

    Args:
        data: an int8 .tflite file.
        name: the model's name, for messages.

    Raises:
        ModelError: not a .tflite, or several inputs or outputs.
        UnsupportedOperatorError: a softmax at the end that is not a plain int8 softmax.
    """
    graph = load(data, name)
    fold_shape_operators(graph)
    cut_trailing_softmax(graph)
    fix_batch(graph)
    complete_reshape_options(graph)
    align_bias_scales(graph)
    plain_names(graph)
    return NormalizedModel(data=dump(graph), origin=tuple(graph.origin), softmax=graph.softmax)
