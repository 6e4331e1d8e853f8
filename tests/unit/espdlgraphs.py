"""Small .espdl graphs as records, and what they compute, written a second time in plain Python integers."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.records import TensorSpec
from pytest_tinyml.stores.espdlgraph import Activation, Attribute, Constant, ElementType, EspdlGraph, Family, Node

if TYPE_CHECKING:
    from collections.abc import Sequence


def packed(filters: Any, layout: str, lanes: int) -> tuple[bytes, tuple[int, ...]]:
    """Order filters [N, H, W, C] as esp-ppq does, one element at a time; returns bytes and the file's dimensions."""
    count, height, width, depth = filters.shape
    dims = (height, width, depth, count)
    if layout == "NHWC":
        return filters.tobytes(), dims
    flat: list[int] = []
    whole = count // lanes * lanes
    for block in range(0, whole, lanes):
        for place in np.ndindex(height, width, depth):
            flat += [int(filters[(n, *place)]) for n in range(block, block + lanes)]
    flat += [int(value) for value in filters[whole:].ravel()]
    return np.array(flat, dtype=filters.dtype).tobytes(), dims


def one_layer(  # noqa: PLR0913 - as much as there is to say
    kind: str,
    shape: tuple[int, ...],
    out: tuple[int, ...],
    attributes: dict[str, Attribute],
    constants: Sequence[Constant] = (),
    *,
    bits: int = 8,
    family: Family = "esp32",
    exponents: tuple[int, int] = (-5, -4),
    result: ElementType | None = None,
) -> EspdlGraph:
    """Return a network of one operator."""
    feature: Any = f"int{bits}"
    ends = (
        Activation(name="in", dtype=feature, dims=shape, exponent=exponents[0]),
        Activation(name="out", dtype=result or feature, dims=out, exponent=exponents[1]),
    )
    names = [item.name for item in constants if item.name != "table"]
    node = Node(
        kind=kind,
        name="node",
        inputs=("in", *names),
        outputs=("out",),
        attributes={"quant_type": f"S{bits}", **attributes},
    )
    return EspdlGraph(
        nodes=(node,),
        constants={item.name: item for item in constants},
        activations={item.name: item for item in ends},
        input=TensorSpec(dtype=feature, shape=shape, scale=2.0 ** exponents[0]),
        output=TensorSpec(dtype="float32", shape=out)
        if result == "float32"
        else TensorSpec(dtype=feature, shape=out, scale=2.0 ** exponents[1]),
        input_name="in",
        output_name="out",
        family=family,
        family_known=True,
        bits=bits,
    )


def rounded(value: Fraction, family: Family) -> int:
    """Round as the chip does: halves up, or to even on an ESP32-P4."""
    return round(value) if family == "esp32p4" else floor(value + Fraction(1, 2))


def clamped(value: int, bits: int, low: int | None = None) -> int:
    """Keep a number in the range of a type."""
    least = -(1 << (bits - 1)) if low is None else low
    return min(max(value, least), (1 << (bits - 1)) - 1)


def windows(size: int, kernel: int, stride: int, pads: tuple[int, int], *, ceil: bool = False) -> list[list[int]]:
    """Return for each window the places that it covers; those outside are there, too."""
    room = size + sum(pads) - kernel
    count = (-(-room // stride) if ceil else room // stride) + 1
    starts = [at * stride - pads[0] for at in range(count)]
    return [list(range(start, start + kernel)) for start in starts if start < size]


def convolved(  # noqa: PLR0913 - a convolution has as many
    x: Any,
    filters: Any,
    bias: Any,
    *,
    stride: int,
    pad: int,
    exponents: tuple[int, int],
    weights: Sequence[int],
    family: Family,
    bits: int,
    relu: bool,
    depthwise: bool = False,
) -> Any:
    """Convolve one sample [H, W, C] with filters [N, H, W, C] ([N, H, W, 1] with `depthwise`); exact."""
    height, width, _ = x.shape
    rows = windows(height, filters.shape[1], stride, (pad, pad))
    columns = windows(width, filters.shape[2], stride, (pad, pad))
    out = np.zeros((len(rows), len(columns), len(filters)), dtype=x.dtype)
    for y, ys in enumerate(rows):
        for c, xs in enumerate(columns):
            for n, one in enumerate(filters):
                total = int(bias[n])
                for ky, iy in enumerate(ys):
                    for kx, ix in enumerate(xs):
                        if 0 <= iy < height and 0 <= ix < width:
                            pixel = x[iy, ix, n : n + 1] if depthwise else x[iy, ix]
                            total += sum(int(a) * int(b) for a, b in zip(pixel, one[ky, kx], strict=True))
                exponent = exponents[0] + weights[n % len(weights)] - exponents[1]
                value = rounded(Fraction(total) * Fraction(2) ** exponent, family)
                out[y, c, n] = clamped(value, bits, 0 if relu else None)
    return out


def averaged(x: Any, kernel: int, *, shift: int, family: Family, bits: int) -> Any:
    """Return the means of windows [kernel, kernel] side by side of one sample [H, W, C]."""
    rows, columns = (windows(size, kernel, kernel, (0, 0)) for size in x.shape[:2])
    out = np.zeros((len(rows), len(columns), x.shape[2]), dtype=x.dtype)
    for y, ys in enumerate(rows):
        for c, xs in enumerate(columns):
            for n in range(x.shape[2]):
                total = sum(int(x[iy, ix, n]) for iy in ys for ix in xs)
                value = Fraction(total, len(ys) * len(xs)) / Fraction(2) ** shift
                out[y, c, n] = clamped(rounded(value, family), bits)
    return out
