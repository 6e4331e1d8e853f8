"""Cutting a .tflite file after one of its operators: a smaller model whose output is that operator's output tensor.

Such a file is executed as any other, by any engine, so an intermediate tensor can be seen on a board that has no way
to tell it. What the tensor does not depend on is not in the file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.engines.flatgraph import Graph, dump, load, schema
from pytest_tinyml.records import ITEM_BYTES
from pytest_tinyml.stores.tflite import read_graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.records import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place where a model can be cut: an output of one of its operators.

    Attributes:
        operator: 0-based index of the operator in the file.
        kind: its TensorFlow Lite name.
        tensor: index of the output tensor in the file.
        name: of that tensor.
        sources: tensors of other points that it depends on with no further point in between, in the file's numbers.
        needs: indices of all operators that the tensor depends on, this one included, ascending.
    """

    operator: int
    kind: str
    tensor: int
    name: str
    sources: tuple[int, ...]
    needs: tuple[int, ...]


def cut_points(model: Model) -> tuple[Point, ...]:
    """Return every output that a board could give of the operators that the model's output depends on, in their order.

    The last one is the model's own output. Shapes that are computed (SHAPE, PACK, ...) are no such outputs.

    Raises:
        ModelError: not a .tflite, or damaged.
    """
    graph = load(model.data, model.name)
    operators = graph.sub.operators or []
    producer = {int(out): index for index, operator in enumerate(operators) for out in operator.outputs}
    types = {getattr(schema().TensorType, name.upper()) for name in ITEM_BYTES}
    needs: list[tuple[int, ...]] = []
    seen: list[set[int]] = []
    for index, operator in enumerate(operators):
        read = {int(i) for i in operator.inputs if producer.get(int(i), index) < index}
        needs.append(tuple(sorted({index}.union(*(needs[producer[i]] for i in read)))))
        shown = {i for i in read if graph.sub.tensors[i].type in types}
        seen.append(shown.union(*(seen[producer[i]] for i in read - shown)))
    result = int(graph.sub.outputs[0])
    wanted = needs[producer[result]] if result in producer else ()
    points = [
        Point(
            operator=index,
            kind=graph.kind(operators[index]),
            tensor=int(out),
            name=_name(graph, int(out)),
            sources=tuple(sorted(seen[index])),
            needs=needs[index],
        )
        for index in wanted
        for out in operators[index].outputs
        if graph.sub.tensors[int(out)].type in types or int(out) == result
    ]
    return tuple(sorted(points, key=lambda point: (point.tensor == result, point.operator)))


def cut(model: Model, point: Point, folder: Path) -> Model:
    """Cut a model and write it as ``NAME-to-TENSOR.tflite``; the model's own output is the model itself.

    Args:
        model: a .tflite.
        point: one of its `cut_points`.
        folder: receives the file, because some boards and references are given its path.

    Returns:
        A model with the same input and preprocessing, whose output is not of classes.

    Raises:
        ModelError: no board could give this tensor: its type, its quantisation (per channel), or a shape with another
            batch than 1.
    """
    graph = load(model.data, model.name)
    if point.tensor == int(graph.sub.outputs[0]):
        return model
    graph.keep(list(point.needs))
    graph.sub.outputs = np.asarray([point.tensor], dtype=np.int32)
    _compact(graph)
    return _written(model, graph, f"{model.name}-to-{point.tensor}", folder)


def changed(model: Model, constants: Mapping[int, npt.NDArray[Any]], name: str, folder: Path) -> Model:
    """Return a model with other values in some of its constants, written like those of `cut`.

    Args:
        model: a .tflite.
        constants: values by index of their tensor, of its type and size.
        name: of the new model.
        folder: receives the file.

    Raises:
        ModelError: see `cut`.
        ValueError: other sizes.
    """
    graph = load(model.data, model.name)
    for tensor, values in constants.items():
        buffer = graph.model.buffers[graph.sub.tensors[tensor].buffer]
        data = np.frombuffer(np.ascontiguousarray(values).tobytes(), dtype=np.uint8)
        if len(data) != len(buffer.data):
            msg = f"{len(data)} bytes for tensor {tensor}, which has {len(buffer.data)}"
            raise ValueError(msg)
        buffer.data = data
    return _written(model, graph, name, folder)


def _written(model: Model, graph: Graph, name: str, folder: Path) -> Model:
    data = dump(graph)
    path = folder / f"{name}.tflite"
    read = read_graph(data, path)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return replace(
        model,
        name=name,
        path=path,
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        output=read.output,
        operators=read.operators,
        card_top1=None,
        task="regression",
    )


def _name(graph: Graph, tensor: int) -> str:
    name = graph.sub.tensors[tensor].name or b""
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def _renumbered(used: Iterable[int]) -> dict[int, int]:
    return {old: new for new, old in enumerate(sorted(used))}


def _compact(graph: Graph) -> None:
    """Drop tensors, buffers and operator codes that nothing refers to any more, and what refers to them by number.

    An unused constant would take flash, and strict readers refuse a tensor that nothing writes.
    """
    sub, model = graph.sub, graph.model
    lists = [getattr(operator, field) for operator in sub.operators for field in ("inputs", "outputs", "intermediates")]
    lists += [sub.inputs, sub.outputs]
    tensors = _renumbered({int(i) for numbers in lists if numbers is not None for i in numbers if int(i) >= 0})
    sub.tensors = [sub.tensors[old] for old in tensors]
    codes = _renumbered({int(operator.opcodeIndex) for operator in sub.operators})
    model.operatorCodes = [model.operatorCodes[old] for old in codes]
    # The format wants buffer 0 to be the empty one.
    buffers = _renumbered({0, *(int(tensor.buffer) for tensor in sub.tensors)})
    model.buffers = [model.buffers[old] for old in buffers]
    for tensor in sub.tensors:
        tensor.buffer = buffers[int(tensor.buffer)]
    for operator in sub.operators:
        operator.opcodeIndex = codes[int(operator.opcodeIndex)]
        for field in ("inputs", "outputs", "intermediates"):
            setattr(operator, field, _moved(getattr(operator, field), tensors))
    sub.inputs, sub.outputs = _moved(sub.inputs, tensors), _moved(sub.outputs, tensors)
    # These name tensors and buffers by number; a runtime does not need them.
    model.signatureDefs = model.metadata = model.metadataBuffer = None


def _moved(numbers: Any, moves: Mapping[int, int]) -> Any:  # noqa: ANN401 - an array of the schema's, or None
    if numbers is None:
        return None
    # -1 stands for an input that is left out.
    return np.asarray([moves.get(int(i), -1) for i in numbers], dtype=np.int32)
