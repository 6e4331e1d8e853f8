"""Accuracy of the .tflite file that was written, never of the Keras network in its place."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from pytest_tinyml.preprocess import input_tensors
from pytest_tinyml.verdict.compare import predictions

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Dataset, Model


def count_correct(model: Model, dataset: Dataset) -> tuple[int, str]:
    """Classify a labelled data set and count the samples whose class, as in a verdict, is the label.

    Args:
        model: int8 models are run by TensorFlow Lite Micro, float models by LiteRT.
        dataset: labelled.

    Returns:
        The count, and the runtime with its version.
    """
    inputs = input_tensors(dataset.images, model.preprocess, model.input)
    inputs = inputs.reshape(len(dataset), *model.input.shape)
    if model.input.dtype == "float32":
        scores, runtime = _litert(model.data, inputs), f"litert {version('ai-edge-litert')}"
    else:
        scores, runtime = _tflm(model.data, inputs), f"tflm {version('tflite-micro')}"
    return int(np.sum(predictions(scores, model.output) == dataset.labels)), runtime


def _tflm(data: bytes, inputs: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    from tflite_micro import runtime  # noqa: PLC0415

    interpreter = runtime.Interpreter.from_bytes(data)
    outputs = []
    for one in inputs:
        interpreter.set_input(one, 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).copy())
    return np.stack(outputs)


def _litert(data: bytes, inputs: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    outputs = []
    for one in inputs:
        interpreter.set_tensor(source, one)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target))
    return np.stack(outputs)
