"""One step of S3's staircase, from float to the integers in C; run as a program, it prints the table of all."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pytest_tinyml.engines.layers.fromespdl import read_espdl
from pytest_tinyml.engines.layers.generate import with_kernels, write
from pytest_tinyml.engines.modelfile import model_source
from pytest_tinyml.preprocess import input_tensors, real_values
from pytest_tinyml.records import Model, PreprocessSpec
from pytest_tinyml.references import get_reference
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.espdl import read_espdl as parse
from pytest_tinyml.training import toys
from pytest_tinyml.training.espdl import SAMPLES, quantise
from pytest_tinyml.training.stairs import load_torch_recipe
from pytest_tinyml.training.torchfit import exported, fit, load_torch, run
from pytest_tinyml.verdict.metrics import dequantize
from tests.unit.enginelib import engine_of, load_engine
from tests.unit.enginelib import run as run_c

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Dataset
    from pytest_tinyml.training.espdl import FloatNetwork
    from pytest_tinyml.training.stairs import Stair

Bits = Literal[8, 16]
TRAINED, TESTED = 1500, 1000
"""Pictures of each step but the zoo's."""
RECIPE = load_torch_recipe("s3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one step.

    Attributes:
        title: of the network.
        bits: 8 or 16.
        parameters: of the network.
        nbytes: size of the .espdl.
        arena_bytes: working memory of the C.
        mean_percent: of the differences of all probabilities between the integers and float, in points of percent.
        max_percent: the largest of them.
        accuracy: of float and of the integers, 0 .. 1.
        same_class: samples with the same largest output (the same side of one half for one output), 0 .. 1.
        c_differing: outputs that differ between the reference and the C, of `outputs`.
        outputs: how many there are.
    """

    title: str
    bits: int
    parameters: int
    nbytes: int
    arena_bytes: int
    mean_percent: float
    max_percent: float
    accuracy: tuple[float, float]
    same_class: float
    c_differing: int
    outputs: int

    def row(self, step: int) -> str:
        """Return the line of the table."""
        mean, largest = f"{self.mean_percent:.3f} %", f"{self.max_percent:.2f} %"
        accuracy = " | ".join(f"{ratio:.2%}" for ratio in self.accuracy)
        return (
            f"| {step} {self.title} | {self.bits} | {self.parameters:,} | {self.nbytes:,} | {self.arena_bytes:,} | "
            f"{accuracy} | {self.same_class:.2%} | {mean} | {largest} | {self.c_differing} of {self.outputs:,} |"
        )


HEADER = (
    "| step | bits | parameters | .espdl, B | arena of the C, B | top-1 float | top-1 integers | same class | "
    "mean difference | largest | C against reference |\n|" + "---|" * 11
)


def climb(step: int, bits: Bits, folder: Path) -> Outcome:
    """Train, quantise and run one step."""
    stair = RECIPE.stair(step)
    network, scores, images, labels, calibration, parameters = _trained(step, bits if step == 21 else 8)
    data = quantise(network, calibration, bits=bits, target="esp32")
    model = model_of(data, folder / f"step{step}.espdl")
    tensors = input_tensors(images, RECIPE.preprocess, model.input)
    integers = get_reference("espdl").scores(model, tensors)
    sources = with_kernels(write(read_espdl(model), model_source(model), folder / "c"))
    in_c = run_c(engine_of(load_engine(sources, folder / "o", strict=True)), model, tensors)
    real = dequantize(integers, model.output)
    difference = np.abs(real - scores)
    return Outcome(
        title=stair.title,
        bits=bits,
        parameters=parameters,
        nbytes=len(data),
        arena_bytes=sources.arena_bytes,
        mean_percent=100 * float(difference.mean()),
        max_percent=100 * float(difference.max()),
        accuracy=(float(np.mean(classes(scores) == labels)), float(np.mean(classes(real) == labels))),
        same_class=float(np.mean(classes(scores) == classes(real))),
        c_differing=int(np.sum(in_c != integers)),
        outputs=integers.size,
    )


def classes(scores: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the class of each sample: the largest output, or which side of one half a single one is on."""
    return (scores[:, 0] > 0.5).astype(np.int64) if scores.shape[1] == 1 else scores.argmax(axis=1)


def model_of(data: bytes, path: Path) -> Model:
    """Return the model of an .espdl's bytes, which are written to a file."""
    path.write_bytes(data)
    graph = parse(data, path)
    return Model(
        name=path.stem,
        path=path,
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        input=graph.input,
        output=graph.output,
        preprocess=PreprocessSpec(),
        operators=graph.operators,
        format="espdl",
    )


def pictures(stair: Stair) -> tuple[Dataset | None, npt.NDArray[Any], npt.NDArray[Any]]:
    """Return labelled pictures for a step: those to train on come first."""
    if stair.data != "mnist":
        return None, *toys.make(stair.data, TRAINED + TESTED, stair.shape, seed=stair.step)
    digits = load_dataset("mnist-28k")
    assert digits.labels is not None
    return digits, digits.images[: TRAINED + TESTED], digits.labels[: TRAINED + TESTED]


@cache
def _trained(step: int, bits: int) -> tuple[FloatNetwork, Any, Any, Any, Any, int]:
    """Return a float network, what it answers to pictures that it has not seen, those, and what calibrates it."""
    torch = load_torch()
    stair = RECIPE.stair(step)
    _, images, labels = pictures(stair)
    values = real_values(images, RECIPE.preprocess).astype(np.float32).reshape(len(images), *stair_shape(stair))
    inputs = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    network = fit(torch, stair, inputs[:TRAINED], labels[:TRAINED], bits=bits, seed=RECIPE.seed)
    parameters = sum(int(item.numel()) for item in network.parameters())
    made = exported(torch, network, f"step{step}", stair.shape, RECIPE.preprocess)
    scores = run(torch, network, inputs[TRAINED:])
    return made, scores, images[TRAINED:], labels[TRAINED:], inputs[:SAMPLES], parameters


def stair_shape(stair: Stair) -> tuple[int, int, int]:
    """Return a step's input with the channels last."""
    channels, height, width = stair.shape
    return height, width, channels


if __name__ == "__main__":
    wanted = {int(number) for number in sys.argv[1:]} or {one.step for one in RECIPE.stairs}
    sys.stdout.write(HEADER + "\n")
    for one in (stair for stair in RECIPE.stairs if stair.step in wanted):
        for width in (8, 16):
            with tempfile.TemporaryDirectory() as scratch:
                sys.stdout.write(climb(one.step, width, Path(scratch)).row(one.step) + "\n")
                sys.stdout.flush()
