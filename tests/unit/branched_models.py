"""A small network whose activations have several consumers, and an operator with two outputs."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as fb

from pytest_tinyml.engines.flatbuild import INT32, Builder, dense


def branched() -> bytes:
    """Return [1, 8] -> 0 dense 6 -> two branches (1 dense 6; 2 dense 6, 3 dense 6) -> 4 ADD -> 5 SPLIT -> 6 ADD of 3.

    Operator 0's output is read by 1 and 2.
    """
    net = Builder()
    source = net.tensor([1, 8], scale=1 / 255, zero=-128)
    trunk = dense(net, source, 6, 1, output_scale=0.02)
    left = dense(net, trunk, 6, 2, output_scale=0.02)
    right = dense(net, dense(net, trunk, 6, 3, output_scale=0.02), 6, 4, output_scale=0.02)
    total = _add(net, left, right, 6)
    axis = net.tensor([], kind=INT32, data=np.asarray(1, np.int32))
    halves = [net.tensor([1, 3], scale=0.04, zero=-4) for _ in range(2)]
    options = fb.SplitOptionsT()
    options.numSplits = 2
    net.operator("SPLIT", [axis, total], halves, options, version=2)
    return net.finish(source, _add(net, halves[0], halves[1], 3))


def _add(net: Builder, left: int, right: int, width: int) -> int:
    result = net.tensor([1, width], scale=0.04, zero=-4)
    net.operator("ADD", [left, right], [result], fb.AddOptionsT(), version=2)
    return result
