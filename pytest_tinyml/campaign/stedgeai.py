"""ST's own validation of a model over samples of a data set, in the words of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.campaign.samples import SampleEncoder, check_shapes
from pytest_tinyml.engines.stedgeai import find_tool, report_of, run_tool
from pytest_tinyml.engines.stedgeaireport import read_validation

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.engines.stedgeaireport import Validation
    from pytest_tinyml.records import Dataset, Model

INPUTS: Final = "inputs.npy"
OUTPUTS: Final = "outputs.npy"


def validate(model: Model, data: Dataset, samples: int, folder: Path, *, description: str = "") -> Validation:
    """Let ST's tool run the C network and the original model, and compare them.

    Args:
        model: a .tflite.
        data: where samples come from; its labels, if it has some, are what both are judged by.
        samples: how many, from the first.
        folder: for the samples and what the tool writes; exists.
        description: of a part with ST's validation firmware, as the tool wants it (``serial:/dev/ttyACM0:921600``);
            empty runs the C network on this computer.

    Raises:
        DatasetError, UsageError: the samples do not fit the model.
        MissingToolError: the tool is not installed.
        ModelError: it refuses the model.
        BuildError: it fails, or its report cannot be read.
    """
    tool = find_tool()
    check_shapes(model, data)
    np.save(folder / INPUTS, SampleEncoder(model, data).tensors(slice(0, samples)))
    words = ["validate", "--valinput", str(folder / INPUTS)]
    if data.labels is not None and model.task == "classification":
        # One output per class, 1 for the label: what the tool calls the ground truth.
        truth = np.zeros((samples, *model.output.shape[1:]), dtype=np.float32)
        truth.reshape(samples, -1)[np.arange(samples), data.labels[:samples]] = 1.0
        np.save(folder / OUTPUTS, truth)
        words += ["--valoutput", str(folder / OUTPUTS)]
    words += ["--mode", "target", "--desc", description] if description else ["--mode", "host"]
    output = run_tool(tool, words, model, folder)
    return read_validation(report_of(output, "validate"))
