"""Windows of convolutions and poolings of an .espdl: ONNX's attributes, channels last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_tinyml.stores.espdlgraph import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What the kernels know of a window.

    Attributes:
        shape: of the output.
        sizes: by the names of the kernels' parameters; ``in_c`` and ``out_c`` are the channels.
    """

    shape: tuple[int, ...]
    sizes: dict[str, int]

    @property
    def convolution(self) -> dict[str, int]:
        """Parameters of ``tml_pot_conv``."""
        return self.sizes

    @property
    def pool(self) -> dict[str, int]:
        """Parameters of ``tml_pot_pool``."""
        renamed = {"channels" if name == "in_c" else name: value for name, value in self.sizes.items()}
        return {name: value for name, value in renamed.items() if name not in {"out_c", "dilation_h", "dilation_w"}}

    @classmethod
    def of_rows(cls, rows: int, depth: int, shape: tuple[int, ...]) -> Window:
        """Return the window of a fully connected layer: a convolution of 1 x 1 over its rows."""
        names = ("in_h", "out_h", "kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w")
        more = {"in_w": rows, "out_w": rows, "in_c": depth, "out_c": shape[-1], "pad_top": 0, "pad_left": 0}
        return cls(shape=shape, sizes=dict.fromkeys(names, 1) | more)


def _attribute(node: Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    value = node.attributes.get(name, default)
    if not isinstance(value, tuple) or len(value) != len(default):
        msg = f"its {name} are {value}"
        raise ValueError(msg)
    return value


def _window(node: Node, shape: tuple[int, ...], kernel: tuple[int, ...], channels: int) -> Window:
    if node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        msg = f"its auto_pad is {node.attributes['auto_pad']}"
        raise ValueError(msg)
    strides = _attribute(node, "strides", (1, 1))
    dilations = _attribute(node, "dilations", (1, 1))
    pads = _attribute(node, "pads", (0, 0, 0, 0))
    ceil = bool(node.attributes.get("ceil_mode", 0))
    sizes: dict[str, int] = {"in_c": shape[3], "out_c": channels}
    outs = []
    for axis, (suffix, pad) in enumerate((("h", "pad_top"), ("w", "pad_left"))):
        have, before, after = shape[1 + axis], pads[axis], pads[2 + axis]
        span = dilations[axis] * (kernel[axis] - 1) + 1
        room = have + before + after - span
        if min(strides[axis], dilations[axis], kernel[axis], have) < 1 or min(before, after, room) < 0:
            msg = f"a window of {span} does not fit {have} elements"
            raise ValueError(msg)
        out = (room + (strides[axis] - 1 if ceil else 0)) // strides[axis] + 1
        if ceil and (out - 1) * strides[axis] >= have + before:
            out -= 1  # ONNX: no window begins in the padding behind the input
        outs.append(out)
        sizes |= {
            f"in_{suffix}": have,
            f"out_{suffix}": out,
            f"kernel_{suffix}": kernel[axis],
            f"stride_{suffix}": strides[axis],
            f"dilation_{suffix}": dilations[axis],
            pad: before,
        }
    return Window(shape=(1, *outs, channels), sizes=sizes)


def convolution_window(node: Node, shape: tuple[int, ...], kernel: tuple[int, ...], channels: int) -> Window:
    """Return the window of a convolution.

    Args:
        node: the operator.
        shape: of its input, [1, H, W, C].
        kernel: height and width of its filters.
        channels: of its output.

    Raises:
        ValueError: attributes that make no sense, or automatic padding.
    """
    return _window(node, shape, kernel, channels)


def pool_window(node: Node, shape: tuple[int, ...]) -> Window:
    """Return the window of a pooling; a global one has the input's size.

    Raises:
        ValueError: attributes that make no sense, automatic padding or dilation, or not two dimensions.
    """
    if len(shape) != 4:  # noqa: PLR2004 - [1, H, W, C]
        msg = f"an input of {len(shape)} dimensions"
        raise ValueError(msg)
    whole = node.kind == "GlobalAveragePool"
    window = _window(node, shape, shape[1:3] if whole else _attribute(node, "kernel_shape", (0, 0)), shape[3])
    if (window.sizes["dilation_h"], window.sizes["dilation_w"]) != (1, 1):
        raise ValueError("it is dilated")
    sizes = window.sizes
    if sizes["pad_top"] >= sizes["kernel_h"] or sizes["pad_left"] >= sizes["kernel_w"]:
        raise ValueError("a window may lie in the padding")
    return window
