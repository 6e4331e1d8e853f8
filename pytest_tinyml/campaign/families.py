"""Networks of any size with random weights: what is tried when the largest that fits is looked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.stores.models import load_file

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.engines.flatbuild import Builder
    from pytest_tinyml.records import Model

FamilyName: TypeAlias = Literal["mlp", "cnn"]
Grow: TypeAlias = Literal["width", "input"]
CLASSES: Final = 10
HIDDEN: Final = 64
"""Neurons of the layer behind the convolutions."""
_WIDE: Final = 16
_SMALLEST_SIDE: Final = 4
"""Two max-pools halve each side twice."""
_PIXELS_RMS: Final = 1 / math.sqrt(3)
"""Root mean square of pixels that are uniform in 0 .. 1."""
_DENSE_STEP, _CONV_STEP = 0.003, 0.006
"""Mean scale of the weights that `flatbuild` draws."""
_WEIGHTS_RMS: Final = 127 / math.sqrt(3)
"""Root mean square of integers that are uniform in -127 .. 127."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One step of a network.

    Attributes:
        kind: ``conv`` (3x3, padded, ReLU), ``pool`` (2x2 maximum), ``flatten`` or ``dense`` (ReLU, except the last).
        outputs: channels or neurons; 0 for a pool and a flatten.
        inputs: values that each output is a sum over; 0 for a pool and a flatten.
    """

    kind: Literal["conv", "pool", "flatten", "dense"]
    outputs: int = 0
    inputs: int = 0

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return (self.inputs + 1) * self.outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Networks that differ in one number, their size.

    Attributes:
        name: ``mlp``: W - W - 10 neurons, as S1 and S2 have; ``cnn``: a 3x3 convolution with W channels, max-pool, one
            with 2 W, max-pool, 64 neurons, 10 neurons, as the larger ones of S3's staircase have.
        bits: of weights and activations, 8 or 16.
        grow: the number: ``width`` is W, ``input`` the side of a square input.
        height: of the input in pixels, unless that grows.
        width: likewise.
        channels: of the input.
        units: W, unless that grows.
    """

    name: FamilyName
    bits: int
    grow: Grow = "width"
    height: int = 28
    width: int = 28
    channels: int = 1
    units: int = 16

    @property
    def smallest(self) -> int:
        """The least size that makes a network."""
        return _SMALLEST_SIDE if self.grow == "input" and self.name == "cnn" else 1

    def shape(self, size: int) -> tuple[int, int, int]:
        """Return height, width and channels of the input of one network."""
        return (size, size, self.channels) if self.grow == "input" else (self.height, self.width, self.channels)

    def layers(self, size: int) -> tuple[Layer, ...]:
        """Return one network's layers."""
        units = self.units if self.grow == "input" else size
        height, width, channels = self.shape(size)
        if self.name == "mlp":
            head = [Layer(kind="flatten")]
            widths = [height * width * channels, units, units, CLASSES]
        else:
            head = [
                *(Layer(kind="conv", outputs=units, inputs=9 * channels), Layer(kind="pool")),
                *(Layer(kind="conv", outputs=2 * units, inputs=9 * units), Layer(kind="pool"), Layer(kind="flatten")),
            ]
            widths = [(height // 2 // 2) * (width // 2 // 2) * 2 * units, HIDDEN, CLASSES]
        tail = [Layer(kind="dense", outputs=n, inputs=m) for m, n in pairwise(widths)]
        return (*head, *tail)

    def parameters(self, size: int) -> int:
        """Return the number of weights and biases of one network."""
        return sum(layer.parameters for layer in self.layers(size))

    def describe(self, size: int) -> str:
        """Return one network as text, e.g. ``28x28x1 conv 8 pool conv 16 pool dense 64 dense 10``."""
        shape = "x".join(map(str, self.shape(size)))
        layers = (
            f"{layer.kind} {layer.outputs or ''}".strip() for layer in self.layers(size) if layer.kind != "flatten"
        )
        return " ".join([shape, *layers])

    def make(self, size: int, folder: Path) -> Model:
        """Write one network's file and return it; the same size gives the same bytes.

        Its input is pixels / 255. A file of 8 bits is a .tflite with int8 weights and activations, quantised as
        TensorFlow 2.21 does (a scale for each channel or neuron); one of 16 bits is an .espdl with int16 weights and
        activations.
        """
        name = f"{self.name}-{self.bits}bit-{self.grow}-{size}"
        path = folder / f"{name}.{'espdl' if self.bits == _WIDE else 'tflite'}"
        path.write_bytes(_espdl(self, size) if self.bits == _WIDE else _tflite(self, size))
        return load_file(path, name, PreprocessSpec())


def _tflite(family: Family, size: int) -> bytes:
    """Return the .tflite of a network, its scales such that few activations are cut off."""
    from pytest_tinyml.engines import flatbuild  # noqa: PLC0415 - imports the schema

    net = flatbuild.Builder()
    result = source = net.tensor([1, *family.shape(size)], scale=1 / 255, zero=-128)
    rms = _PIXELS_RMS
    layers = family.layers(size)
    for seed, layer in enumerate(layers):
        if layer.kind == "pool":
            result = flatbuild.pool(net, result, "MAX_POOL_2D")
        elif layer.kind == "flatten":
            result = flatbuild.flatten(net, result)
        else:
            result, rms = _weighted(net, result, layer, seed, rms, last=layer is layers[-1])
    return net.finish(source, result)


def _espdl(family: Family, size: int) -> bytes:
    """Return the .espdl of a network."""
    from pytest_tinyml.engines.espdlbuild import EspdlBuilder  # noqa: PLC0415 - few need it

    net = EspdlBuilder((1, *family.shape(size)))
    layers = family.layers(size)
    for seed, layer in enumerate(layers):
        if layer.kind == "conv":
            net.convolution(layer.outputs, seed)
        elif layer.kind == "pool":
            net.pool()
        elif layer.kind == "flatten":
            net.flatten()
        else:
            net.dense(layer.outputs, seed, relu=layer is not layers[-1])
    return net.finish()


def _weighted(net: Builder, source: int, layer: Layer, seed: int, rms: float, *, last: bool) -> tuple[int, float]:
    """Add a layer with weights; returns its output tensor and the root mean square of its real values.

    The sum of n products of independent values with zero mean has the root mean square of one, times the root of n; a
    ReLU halves its square. Three times that is taken for the largest.
    """
    from pytest_tinyml.engines import flatbuild  # noqa: PLC0415

    step = _CONV_STEP if layer.kind == "conv" else _DENSE_STEP
    spread = rms * step * _WEIGHTS_RMS * math.sqrt(layer.inputs)
    scale = 3 * spread / (127 if last else 255)
    if layer.kind == "conv":
        result = flatbuild.convolution(net, source, seed, channels=layer.outputs, same=True, output_scale=scale)
    else:
        result = flatbuild.dense(net, source, layer.outputs, seed, output_scale=scale, relu=not last)
    return result, spread / math.sqrt(2)
