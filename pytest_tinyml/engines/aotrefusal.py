"""Models that engine ``aot`` does not take, said in the user's terms: operator, index in the file, what to do."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.engines.flatgraph import Graph, dump, load
from pytest_tinyml.engines.graph import ENGINE, NormalizedModel
from pytest_tinyml.engines.support import family_of, refusal
from pytest_tinyml.errors import ModelError

if TYPE_CHECKING:
    from pytest_tinyml.records import Model

_INT8_ONLY: Final = (
    "engine 'aot' is int8 only; use --board tflm for this model, or convert it with full-integer int8 quantisation"
)


def refuse_types(model: Model, graph: Graph) -> None:
    """Refuse what is not int8 from end to end, naming the operator that converts if there is one.

    Raises:
        UnsupportedOperatorError: a QUANTIZE or DEQUANTIZE at an end.
        ModelError: another type at an end.
    """
    operators = graph.sub.operators or []
    ends = [(position, graph.kind(operators[position])) for position in (0, len(operators) - 1) if operators]
    for position, kind in ends:
        if kind in {"QUANTIZE", "DEQUANTIZE"}:
            reason = (
                f"the model's input is {model.input.dtype} and its output {model.output.dtype}; convert it with "
                "inference_input_type = inference_output_type = tf.int8"
            )
            raise refusal(model.name, family_of(model), ENGINE, position, kind, reason)
    for what, spec in (("input", model.input), ("output", model.output)):
        if spec.dtype != "int8":
            msg = f"{model.name}: its {what} is {spec.dtype}; {_INT8_ONLY}"
            raise ModelError(msg)


def _culprit(normalized: NormalizedModel, name: str, message: str) -> int | None:
    """Find which remaining operator a refusal is about; None if it is about none in particular.

    bakenn names the operator, or a tensor, or nothing. In the last case the operator is the last one of the shortest
    beginning of the graph that is refused with the same words.
    """
    import bakenn  # noqa: PLC0415 - 0.2 s that only a refusal or a generation needs

    named = re.search(r"operator\[(\d+)\]|tflite_(\d+)_", message)
    if named:
        return int(named[1] or named[2])
    graph = load(normalized.data, name)
    operators = list(graph.sub.operators)
    tensor = re.search(r"TFLite (?:constant )?tensor (\d+)", message)
    if tensor:
        touching = [i for i, op in enumerate(operators) if int(tensor[1]) in (*op.inputs, *op.outputs)]
        return touching[0] if touching else None
    for length in range(1, len(operators) + 1):
        graph.sub.operators = operators[:length]
        graph.sub.outputs = np.asarray([operators[length - 1].outputs[0]], dtype=np.int32)
        with tempfile.TemporaryDirectory() as scratch:
            try:
                bakenn.compile_tflite(dump(graph), Path(scratch) / "prefix", name="model")
            except bakenn.BakeNNError as error:
                if str(error) == message:
                    return length - 1
    return None


def translate(model: Model, normalized: NormalizedModel, message: str) -> ModelError:
    """Turn bakenn's refusal into an error that names the operator of the original graph."""
    position = _culprit(normalized, model.name, message)
    if position is None:
        return ModelError(f"{model.name}: refused by engine {ENGINE!r}: {message}")
    index = normalized.origin[position]
    graph = load(model.data, model.name)
    kind = graph.kind(graph.sub.operators[index])
    reason = re.sub(r"^(subgraph\[\d+\]/operator\[\d+\]|tflite_\d+_\w+): ", "", message)
    if kind == "SOFTMAX":
        reason = "a softmax is computed only where it is the last operator"
    elif "unsupported TFLite builtin operator code" in reason:
        reason = "the C generator has no such operator"
    return refusal(model.name, family_of(model), ENGINE, index, kind, reason)
