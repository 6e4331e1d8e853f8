"""Places in one arena for all activations of a network, none over another that is still needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_tinyml.engines.layers.ir import Network

ALIGNMENT: Final = 16
"""Of every tensor, in bytes: what vectorised kernels like best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where activations are.

    Attributes:
        arena_bytes: of the arena, a multiple of `ALIGNMENT`.
        offsets: of each activation by its index in `Network.values`, in bytes.
        scratch: of each step's working memory by the step's position, likewise; only of those that have some.
    """

    arena_bytes: int
    offsets: dict[int, int]
    scratch: dict[int, int]


@dataclass(slots=True)
class _Block:
    """Memory that one or several tensors have, one after the other or under several shapes.

    Attributes:
        nbytes: of the largest.
        first: position of the step that writes it; -1 for the network's input.
        last: position of the last step that reads it.
        values: indices of the tensors.
        scratch: position of the step whose working memory it is, or -1.
    """

    nbytes: int
    first: int
    last: int
    values: list[int] = field(default_factory=list)
    scratch: int = -1
    offset: int = 0

    def overlaps(self, other: _Block) -> bool:
        """Whether both are needed at some time."""
        return self.first <= other.last and other.first <= self.last


def lay_out(network: Network) -> Layout:
    """Give every activation its place.

    The largest block is placed first, each at the lowest offset where it fits between those placed that are needed at
    the same time (Y. Pisarchyk, J. Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020: greedy by
    size). The network's output stays untouched by what runs after it is written, its input until it was last read.

    Raises:
        ValueError: a step reads an activation that nothing has written.
    """
    blocks = _blocks(network)
    placed: list[_Block] = []
    for block in sorted(blocks, key=lambda block: (-block.nbytes, block.first)):
        block.offset = 0
        for other in sorted((b for b in placed if b.overlaps(block)), key=lambda b: b.offset):
            if block.offset + block.nbytes <= other.offset:
                break
            block.offset = max(block.offset, _aligned(other.offset + other.nbytes))
        placed.append(block)
    return Layout(
        arena_bytes=_aligned(max(block.offset + block.nbytes for block in blocks)),
        offsets={value: block.offset for block in blocks for value in block.values},
        scratch={block.scratch: block.offset for block in blocks if block.scratch >= 0},
    )


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _blocks(network: Network) -> list[_Block]:
    values, steps = network.values, network.steps
    last_use = {index: position for position, step in enumerate(steps) for index in step.inputs}
    last_use[network.output] = len(steps)
    first = _Block(
        nbytes=values[network.input].nbytes, first=-1, last=last_use.get(network.input, 0), values=[network.input]
    )
    block_of = {network.input: first}
    blocks = [first]
    for position, step in enumerate(steps):
        for index in step.inputs:
            if index >= 0 and values[index].data is None and index not in block_of:
                msg = f"step {position} ({step.operator}) reads {values[index].name!r}, which nothing has written"
                raise ValueError(msg)
        source = block_of.get(step.inputs[0]) if step.inputs else None
        # Not where another input is the same memory: the kernel may read it after it has begun to write.
        alone = all(block_of.get(index) is not source for index in step.inputs[1:])
        reused = source is not None and (not step.function or (step.in_place and alone and source.last <= position))
        size = values[step.output].nbytes
        if source is not None and reused:
            block = source
            block.nbytes = max(block.nbytes, size)
        else:
            block = _Block(nbytes=size, first=position, last=position)
            blocks.append(block)
        block.values.append(step.output)
        block_of[step.output] = block
        # Of all the names that the memory has had: a RESHAPE's input may be read again behind it.
        block.last = max(block.last, position, *(last_use.get(value, position) for value in block.values))
        if step.scratch_bytes:
            blocks.append(_Block(nbytes=step.scratch_bytes, first=position, last=position, scratch=position))
    return blocks
