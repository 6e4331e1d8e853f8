"""Places in the arena: never two tensors over each other that are needed at the same time, and nothing wasted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tinyml.engines.layers.emit import _literal, network_source
from pytest_tinyml.engines.layers.ir import Network, Step, Value
from pytest_tinyml.engines.layers.plan import ALIGNMENT, lay_out


def activation(size: int) -> Value:
    """Return a tensor of so many bytes."""
    return Value(name=f"{size} bytes", dtype="int8", shape=(1, size))


def step(inputs: tuple[int, ...], output: int, *, alias: bool = False, again: bool = False, scratch: int = 0) -> Step:
    """Return a call."""
    function = "" if alias else "tml_call"
    return Step(
        index=output,
        operator="Call",
        function=function,
        inputs=inputs,
        output=output,
        params={},
        scratch_bytes=scratch,
        in_place=again,
    )


def network(sizes: list[int], steps: list[Step]) -> Network:
    """Return a network from its first tensor to its last step's output."""
    values = tuple(activation(size) for size in sizes)
    return Network(engine="test", headers=(), values=values, steps=tuple(steps), input=0, output=steps[-1].output)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Draw chains with skips, aliases, calls in place and scratch memory."""
    sizes, steps = [draw(st.integers(1, 500))], []
    for output in range(1, draw(st.integers(2, 9))):
        inputs = tuple(draw(st.lists(st.integers(0, output - 1), min_size=1, max_size=2, unique=True)))
        how = draw(st.sampled_from(["alias", "in place", "plain"]))
        sizes.append(sizes[inputs[0]] if how != "plain" else draw(st.integers(1, 500)))
        steps.append(
            step(
                inputs[:1] if how == "alias" else inputs,
                output,
                alias=how == "alias",
                again=how == "in place",
                scratch=draw(st.sampled_from([0, 0, 24])),
            )
        )
    return network(sizes, steps)


@given(networks())
def test_what_is_needed_is_not_overwritten(net: Network) -> None:
    """Executed with memory that remembers who wrote each byte, every step finds its inputs whole."""
    layout = lay_out(net)
    owner: list[object] = [None] * layout.arena_bytes
    contents: dict[int, object] = {net.input: "input"}

    def write(offset: int, size: int, what: object) -> None:
        assert offset % ALIGNMENT == 0
        assert offset + size <= layout.arena_bytes
        owner[offset : offset + size] = [what] * size

    def check(value: int) -> None:
        offset, size = layout.offsets[value], net.values[value].nbytes
        assert {contents[value]} == set(owner[offset : offset + size])

    write(layout.offsets[net.input], net.values[net.input].nbytes, "input")
    for position, call in enumerate(net.steps):
        for value in call.inputs:
            check(value)
        if not call.function:
            assert layout.offsets[call.output] == layout.offsets[call.inputs[0]]
            contents[call.output] = contents[call.inputs[0]]
            continue
        if call.scratch_bytes:
            write(layout.scratch[position], call.scratch_bytes, ("scratch", position))
            for value in call.inputs:
                check(value)
        others = call.inputs[1:] if call.in_place else call.inputs
        contents[call.output] = position
        write(layout.offsets[call.output], net.values[call.output].nbytes, position)
        for value in others:
            check(value)  # a kernel may still read them after it has begun to write
    check(net.output)


def test_a_chain_takes_its_two_largest_neighbours() -> None:
    """A chain needs no more than two neighbours at a time."""
    sizes = [784, 1600, 160, 320, 16]
    layout = lay_out(network(sizes, [step((n,), n + 1) for n in range(4)]))
    assert layout.arena_bytes == 784 + 1600


def test_memory_is_used_again_in_place() -> None:
    """What is computed in place needs no memory, unless its input is read again behind it."""
    once = network([160, 160, 16], [step((0,), 1, again=True), step((1,), 2)])
    again = network([160, 160, 16], [step((0,), 1, again=True), step((0, 1), 2)])
    assert lay_out(once).arena_bytes == 160 + 16
    assert lay_out(again).arena_bytes == 160 + 160 + 16


def test_memory_that_is_read_twice_is_not_written_in_place() -> None:
    """A call of a tensor and the same one under another shape does not write over what it still reads."""
    net = network([160, 160, 160], [step((0,), 1, alias=True), step((0, 1), 2, again=True)])
    assert lay_out(net).arena_bytes == 160 + 160


def test_a_step_without_its_input_is_a_bug() -> None:
    """A front end that forgets a step is told."""
    with pytest.raises(ValueError, match="nothing has written"):
        lay_out(network([16, 16, 16], [step((1,), 2)]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"),
        (-(2**31), "(-2147483647 - 1)"),
        (2**31, "2147483648u"),
        (2**40, "INT64_C(1099511627776)"),
        (0.1, "0x1.99999a0000000p-4f"),
        ((1, -2), "{1, -2}"),
    ],
)
def test_constants_are_what_c_takes_them_for(value: object, expected: str) -> None:
    """No constant changes its value or its sign on the way."""
    assert _literal(value) == expected


def test_absent_tensors_are_null() -> None:
    """A bias that is not there is a null pointer."""
    net = network([16, 16], [step((0, -1), 1)])
    assert "NULL, (int8_t *)" in network_source(net, lay_out(net))
