"""How much work a network is."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_tinyml.engines.layers.ir import Network


def macs_of(network: Network) -> int:
    """Return the multiply-accumulates of one inference of an .espdl's network: in convolutions and dense layers.

    Padding counts, as it does in `stores.tflite`.
    """
    total = 0
    for step in network.steps:
        if not step.function.startswith(("tml_pot_conv", "tml_pot_depthwise")):
            continue
        filters = network.values[step.inputs[1]].shape
        # [N, H, W, C] of a convolution, and [H, W, C] of one filter per channel.
        per_element = prod(filters[:2]) if "depthwise" in step.function else prod(filters[1:])
        total += prod(network.values[step.output].shape) * per_element
    return total
