"""The numbers of an .espdl in the order of their meaning: filters, biases and tables as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.stores.espdlgraph import Constant

_FILTER_RANK: Final = 4


def array_of(constant: Constant) -> npt.NDArray[Any]:
    """Return a constant with the shape and the order of the file."""
    dtype = np.dtype(constant.dtype).newbyteorder("<")
    return np.frombuffer(constant.data, dtype=dtype).reshape(constant.dims)


def filters_of(constant: Constant, *, depthwise: bool) -> npt.NDArray[Any]:
    """Return the filters of a convolution or a fully connected layer.

    The file's dimensions are those of [H, W, C, N] (of [H, W, N, 1] for one filter per channel) whatever the order of
    its bytes: that of esp-ppq's ``reset_conv_filter_layout``, for the chips' vector instructions. ``NHWC`` and ``HWCN``
    are plain; in ``(N/16)HWC16``, 16 filters are interleaved (8 with 16 bits), and what is left of them is plain again.

    Returns:
        The constant's type, [N, H, W, C]; [H, W, N] with `depthwise`.

    Raises:
        ValueError: an order or a number of dimensions that is not known.
    """
    if len(constant.dims) != _FILTER_RANK:
        msg = f"weights of {len(constant.dims)} dimensions"
        raise ValueError(msg)
    height, width = constant.dims[:2]
    count, depth = (constant.dims[2], constant.dims[3]) if depthwise else (constant.dims[3], constant.dims[2])
    flat = np.frombuffer(constant.data, dtype=np.dtype(constant.dtype).newbyteorder("<"))
    if constant.layout == "NHWC" and not depthwise:
        return flat.reshape(count, height, width, depth)
    if constant.layout == "HWCN" and depthwise:
        return flat.reshape(height, width, count)
    for lanes in (16, 8):
        if constant.layout.removesuffix("_UNALIGNED") == f"(N/{lanes})HWC{lanes}":
            break
    else:
        msg = f"weights in the order {constant.layout!r}"
        raise ValueError(msg)
    whole = count // lanes * lanes
    split = whole * height * width * depth
    packed = flat[:split].reshape(whole // lanes, height, width, depth, lanes)
    first = packed.transpose(0, 4, 1, 2, 3).reshape(whole, height, width, depth)
    if depthwise:
        rest = flat[split:].reshape(height, width, count - whole)
        return np.concatenate([first[..., 0].transpose(1, 2, 0), rest], axis=2)
    return np.concatenate([first, flat[split:].reshape(count - whole, height, width, depth)])


def table_of(constant: Constant, bits: int) -> tuple[npt.NDArray[Any], int]:
    """Return the table of a function, and how many inputs, as a power of two, each of its entries is for.

    Args:
        constant: 256 entries from input -128 on; with 16 bits one for every 2^n-th input from -32768 to 32768.
        bits: of the input, 8 or 16.

    Raises:
        ValueError: a table of another size or type.
    """
    table, span = array_of(constant).ravel(), 1 << bits
    step = 1 if bits == 8 else span // max(1, len(table) - 1)  # noqa: PLR2004 - 8 or 16
    entries = span if bits == 8 else span // step + 1  # noqa: PLR2004
    if table.dtype.name != f"int{bits}" or len(table) != entries or step & (step - 1):
        msg = f"a table of {len(table)} entries of type {table.dtype.name}"
        raise ValueError(msg)
    return table, step.bit_length() - 1


def overflows(weights: npt.NDArray[Any], bias: npt.NDArray[np.int64], shifts: tuple[int, ...], bits: int) -> bool:
    """Whether some input makes a sum that ESP-DL's accumulator, or the kernel's shift to the left, does not hold.

    Args:
        weights: [N, K], those of each output channel.
        bias: [N].
        shifts: from the sum to the output; negative is to the left.
        bits: of activations: 8 with sums of 32, or 16 with sums of 64 bits.
    """
    largest = np.abs(weights.astype(np.float64)).sum(axis=1) * 2.0 ** (bits - 1) + np.abs(bias.astype(np.float64))
    peak = float(largest.max(initial=0.0))
    left = max(0, -min(shifts))
    # float64 is not exact here: two bits are kept free.
    return peak >= (2.0**31 if bits == 8 else 2.0**61) or peak * 2.0**left >= 2.0**61  # noqa: PLR2004
