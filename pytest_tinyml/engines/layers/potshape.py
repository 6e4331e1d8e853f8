"""Operators of an .espdl that only change the shape or the order of an activation."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_tinyml.stores.espdlgraph import Node

RANK: Final = 4
"""Dimensions that the kernel for transposition takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transposed:
    """Another order of dimensions.

    Attributes:
        shape: of the output.
        dims: the same with `RANK` dimensions.
        strides: of the input in elements, in the order of `dims`.
    """

    shape: tuple[int, ...]
    dims: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def in_order(self) -> bool:
        """Whether only dimensions of size 1 change places, so that the memory is the same."""
        moved = [stride for size, stride in zip(self.dims, self.strides, strict=True) if size > 1]
        return moved == sorted(moved, reverse=True)


def transposed(node: Node, shape: tuple[int, ...]) -> Transposed:
    """Return what a Transpose makes of an activation.

    Raises:
        ValueError: an order that is none, or more than `RANK` dimensions.
    """
    order = node.attributes.get("perm", tuple(reversed(range(len(shape)))))
    if not isinstance(order, tuple) or sorted(order) != list(range(len(shape))) or len(order) > RANK:
        msg = f"the order {order} of {len(shape)} dimensions"
        raise ValueError(msg)
    result = tuple(shape[axis] for axis in order)
    strides = tuple(prod(shape[axis + 1 :]) for axis in order)
    pad = RANK - len(order)
    return Transposed(shape=result, dims=(1,) * pad + result, strides=(0,) * pad + strides)


def reshaped(node: Node, shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that Flatten, Reshape, Squeeze, Unsqueeze or Identity makes.

    Args:
        node: the operator.
        shape: of its input.
        wanted: of its output, 0 for the input's and -1 for what is left; Flatten knows it better.

    Raises:
        ValueError: a shape with another number of elements.
    """
    if node.kind == "Flatten":
        axis = node.attributes.get("axis", 1)
        if not isinstance(axis, int) or not -len(shape) <= axis <= len(shape):
            msg = f"the axis {axis} of {len(shape)} dimensions"
            raise ValueError(msg)
        at = axis if axis >= 0 else axis + len(shape)
        return prod(shape[:at]), prod(shape[at:])
    sizes = [shape[at] if size == 0 else size for at, size in enumerate(wanted)]
    known = prod(size for size in sizes if size != -1)
    result = tuple(prod(shape) // max(known, 1) if size == -1 else size for size in sizes)
    if min(result, default=1) < 1 or prod(result) != prod(shape):
        msg = f"{list(wanted)} of {list(shape)}"
        raise ValueError(msg)
    return result
