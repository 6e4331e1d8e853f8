"""Whether an operator's constants are what is wrong on a board.

Two ways to know: one constant per wrong channel, changed in the model on the host, gives exactly what the board gives;
or the board is right as soon as the operator has other constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from pytest_tinyml.engines.flatgraph import load, schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from pytest_tinyml.engines.flatgraph import Graph
    from pytest_tinyml.records import Model

    Ints: TypeAlias = npt.NDArray[np.int64]

OPERATORS: Final = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
"""Those with weights."""
MAX_CHANNELS: Final = 4
"""More wrong channels than these are not put down to single constants."""
MIN_VALUES: Final = 3
"""Wrong values that a channel must have."""
_ROWS: Final = 512
_TRIES: Final = 8
"""Candidates per channel that are worth an exact computation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """The constants of the operator that gives a model's output.

    Attributes:
        kind: of operator.
        weights: int8 or float32, in the file's order: [out, h, w, in], of DEPTHWISE_CONV_2D [1, h, w, out], of
            FULLY_CONNECTED [out, in].
        bias: int32, int64 or float32 [out]; None if it has none.
        weights_tensor: index of their tensor in the model's file.
        bias_tensor: likewise; -1 without.
        low: smallest value that the operator gives, its activation included; quantised models only.
        high: largest.
    """

    kind: str
    weights: npt.NDArray[Any] | None
    bias: npt.NDArray[Any] | None
    weights_tensor: int
    bias_tensor: int
    low: int
    high: int

    @property
    def channel_axis(self) -> int:
        """The axis of the weights that is the output's channel."""
        return 3 if self.kind == "DEPTHWISE_CONV_2D" else 0

    def others(self) -> dict[int, npt.NDArray[Any]]:
        """Return other constants of the same kind, by tensor: weights mirrored within channels, biases moved on by one.

        The distribution of the outputs stays about what it is. Empty if nothing would change.
        """
        made: list[tuple[int, npt.NDArray[Any], npt.NDArray[Any]]] = []
        if self.weights is not None:
            axes = tuple(k for k in range(self.weights.ndim) if k != self.channel_axis)
            made.append((self.weights_tensor, self.weights, np.flip(self.weights, axes)))
        if self.bias is not None:
            made.append((self.bias_tensor, self.bias, np.roll(self.bias, 1)))
        return {tensor: new for tensor, old, new in made if not np.array_equal(new, old)}


def constants_of(model: Model) -> Constants:
    """Return the constants of the operator that gives a model's output; weights are None if it has none.

    Raises:
        ModelError: not a .tflite.
    """
    graph = load(model.data, model.name)
    operator = _last(graph)
    kind = graph.kind(operator)
    types = {schema().TensorType.INT8: "<i1", schema().TensorType.INT32: "<i4", schema().TensorType.INT64: "<i8"}
    types[schema().TensorType.FLOAT32] = "<f4"

    def constant(position: int) -> tuple[int, npt.NDArray[Any] | None]:
        if kind not in OPERATORS or position >= len(operator.inputs) or operator.inputs[position] < 0:
            return -1, None
        index = int(operator.inputs[position])
        tensor = graph.sub.tensors[index]
        data = graph.model.buffers[tensor.buffer].data
        if tensor.type not in types or data is None or not len(data):
            return -1, None
        values = np.frombuffer(np.asarray(data, dtype=np.uint8).tobytes(), dtype=types[tensor.type])
        return index, values.reshape([int(n) for n in tensor.shape])

    weights_tensor, weights = constant(1)
    bias_tensor, bias = constant(2)
    low, high = _limits(model, getattr(operator.builtinOptions, "fusedActivationFunction", 0) or 0)
    return Constants(
        kind=kind,
        weights=weights,
        bias=bias,
        weights_tensor=weights_tensor,
        bias_tensor=bias_tensor,
        low=low,
        high=high,
    )


def _limits(model: Model, activation: int) -> tuple[int, int]:
    """Return the smallest and the largest value of a quantised output behind an activation.

    As TensorFlow Lite's CalculateActivationRangeQuantized (kernel_util.cc) has them.
    """
    tensor = model.output
    if tensor.dtype == "float32":
        return 0, 0
    info = np.iinfo(tensor.dtype)
    kinds = schema().ActivationFunctionType
    real = {kinds.RELU: (0.0, np.inf), kinds.RELU6: (0.0, 6.0), kinds.RELU_N1_TO_1: (-1.0, 1.0)}
    low, high = real.get(activation, (-np.inf, np.inf))
    least = info.min if low == -np.inf else max(info.min, round(low / tensor.scale) + tensor.zero_point)
    most = info.max if high == np.inf else min(info.max, round(high / tensor.scale) + tensor.zero_point)
    return int(least), int(most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One constant that may have another value on the board.

    Attributes:
        tensor: index in the model's file.
        index: of the constant in its tensor.
        value: on the board.
        file_value: in the model's file.
    """

    tensor: int
    index: tuple[int, ...]
    value: int
    file_value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitter:
    """Finds constants that explain what a board gave, for an int8 operator with weights.

    Attributes:
        model: its output is the operator's.
        constants: of that operator.
        inputs: what it read, int64, zero point subtracted, [n, ...] in the shape of the tensor.
        input_scale: of that tensor.
        weight_scales: float64, one per channel or one.
    """

    model: Model
    constants: Constants
    inputs: Ints
    input_scale: float
    weight_scales: npt.NDArray[np.float64]

    def guesses(self, channel: int, board: Ints, host: Ints) -> Iterator[Guess]:
        """Yield the constants of a channel that explain its values best, the likeliest first.

        The estimate follows the operator's definition (out = zero + round(M * (bias + sum of weight * input)), M =
        input scale * weight scale / output scale; Jacob et al., Quantization and Training of Neural Networks for
        Efficient Integer-Arithmetic-Only Inference, CVPR 2018, equation 7) and is off by a rounding at most: who asks
        checks it with the reference.

        Args:
            channel: of the output.
            board: int64 [rows], its values on the board, in the order of `_patches`.
            host: likewise, on the host.
        """
        constants, output = self.constants, self.model.output
        assert constants.weights is not None  # noqa: S101 - checked by who makes this
        patches = self._patches(channel)
        weights = np.moveaxis(constants.weights, constants.channel_axis, 0)[channel].reshape(-1).astype(np.int64)
        bias = 0 if constants.bias is None else int(constants.bias[channel])
        scales = self.weight_scales
        factor = self.input_scale * float(scales[channel if len(scales) > 1 else 0]) / output.scale
        rows = _interesting(board, host)
        patches, board = patches[rows], board[rows]
        sums = patches @ weights + bias

        def errors(change: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
            """Sum the errors over rows, for changes of the sums [rows, candidates]."""
            values = np.clip(
                np.floor((sums[:, None] + change) * factor + 0.5) + output.zero_point, constants.low, constants.high
            )
            return np.asarray(np.maximum(np.abs(values - board[:, None]) - 1, 0).sum(axis=0), dtype=np.float64)

        found: list[tuple[float, int, int, int]] = []
        free = (board > constants.low) & (board < constants.high)
        wanted = (board - output.zero_point) / factor - sums
        if constants.bias is not None:
            bits = [(bias ^ (1 << k)) - bias for k in range(31)]
            deltas = [*bits, *([round(float(np.median(wanted[free])))] if free.any() else [])]
            totals = errors(np.asarray(deltas, dtype=np.float64)[None, :])
            found += [(float(total), 0, -1, delta) for total, delta in zip(totals, deltas, strict=True)]
        squares = np.square(patches[free].astype(np.float64)).sum(axis=0)
        fitted = np.rint((wanted[free] @ patches[free]) / np.maximum(squares, 1.0)).astype(np.int64)
        flipped = (weights.astype(np.int8).view(np.uint8)[None, :] ^ (1 << np.arange(8))[:, None]).astype(np.uint8)
        deltas_of = [*(flipped.view(np.int8).astype(np.int64) - weights), fitted, fitted - 1, fitted + 1]
        for rank, delta in enumerate(deltas_of):
            possible = (weights + delta >= -128) & (weights + delta <= 127) & (delta != 0)  # noqa: PLR2004 - int8
            totals = np.where(possible, errors(patches * delta[None, :]), np.inf)
            best = np.argsort(totals, kind="stable")[:_TRIES]
            found += [(float(totals[k]), 1 + rank, int(k), int(delta[k])) for k in best if np.isfinite(totals[k])]
        unchanged = float(errors(np.zeros((1, 1)))[0])
        better = sorted(item for item in found if item[0] < unchanged or unchanged == 0.0)
        for _, _, place, delta in better[:_TRIES]:
            yield self._guess(channel, place, delta)

    def _guess(self, channel: int, place: int, delta: int) -> Guess:
        constants = self.constants
        if place < 0:
            assert constants.bias is not None  # noqa: S101 - where the guess came from
            old = int(constants.bias[channel])
            return Guess(tensor=constants.bias_tensor, index=(channel,), value=old + delta, file_value=old)
        assert constants.weights is not None  # noqa: S101
        axis = constants.channel_axis
        shape = [n for k, n in enumerate(constants.weights.shape) if k != axis]
        index = [int(k) for k in np.unravel_index(place, shape)]
        index.insert(axis, channel)
        old = int(constants.weights[tuple(index)])
        return Guess(tensor=constants.weights_tensor, index=tuple(index), value=old + delta, file_value=old)

    def _patches(self, channel: int) -> Ints:
        """Return what each output of a channel is computed from: int64 [n * positions, weights of the channel]."""
        constants = self.constants
        assert constants.weights is not None  # noqa: S101
        if constants.kind == "FULLY_CONNECTED":
            return self.inputs.reshape(-1, constants.weights.shape[1])
        options = _last(load(self.model.data, self.model.name)).builtinOptions
        images = self.inputs
        if constants.kind == "DEPTHWISE_CONV_2D":
            source = channel // (constants.weights.shape[3] // images.shape[3])
            images = images[..., source : source + 1]
        kernel = constants.weights.shape[1:3]
        strides, spreads = (options.strideH, options.strideW), (options.dilationHFactor, options.dilationWFactor)
        out = self.model.output.shape[1:3]
        pads = []
        for have, size, stride, spread, wanted in zip(images.shape[1:3], kernel, strides, spreads, out, strict=True):
            # TensorFlow Lite's ComputePadding (padding.h): what the output lacks, the smaller half before.
            lacks = max(0, (wanted - 1) * stride + (size - 1) * spread + 1 - have)
            pads.append((lacks // 2, lacks - lacks // 2))
        padded = np.pad(images, ((0, 0), *pads, (0, 0)))
        parts = [
            padded[:, y * spreads[0] :, x * spreads[1] :][:, :: strides[0], :: strides[1]][:, : out[0], : out[1]]
            for y in range(kernel[0])
            for x in range(kernel[1])
        ]
        return np.concatenate(parts, axis=3).reshape(-1, kernel[0] * kernel[1] * images.shape[3])


def _last(graph: Graph) -> Any:  # noqa: ANN401 - of the schema
    result = int(graph.sub.outputs[0])
    return next(each for each in graph.sub.operators if result in each.outputs)


def fitter(model: Model, inputs: npt.NDArray[Any]) -> Fitter | None:
    """Return what finds wrong constants; None for an operator that is not an int8 one with weights.

    Args:
        model: its output is the operator's.
        inputs: what the operator reads, [n, elements], of its tensor's dtype.
    """
    constants = constants_of(model)
    if constants.weights is None or constants.weights.dtype != np.int8 or inputs.dtype != np.int8:
        return None
    graph = load(model.data, model.name)
    source, weights = (graph.sub.tensors[int(k)] for k in _last(graph).inputs[:2])
    return Fitter(
        model=model,
        constants=constants,
        inputs=inputs.astype(np.int64).reshape(-1, *[int(n) for n in source.shape[1:]])
        - int(source.quantization.zeroPoint[0]),
        input_scale=float(source.quantization.scale[0]),
        weight_scales=np.asarray(weights.quantization.scale, dtype=np.float64),
    )


def _interesting(board: Ints, host: Ints) -> npt.NDArray[np.int64]:
    """Return at most `_ROWS` rows: those that differ first, then others, evenly spread."""
    order = np.argsort(board == host, kind="stable")
    differing = int((board != host).sum())
    half = min(differing, _ROWS // 2)
    some = order[:differing][np.linspace(0, differing - 1, half).astype(np.int64)] if half else order[:0]
    rest = order[differing:]
    more = min(len(rest), _ROWS - half)
    return np.concatenate([some, rest[np.linspace(0, len(rest) - 1, more).astype(np.int64)]]) if more else some
