"""The graph that is rebuilt from the file alone computes what esp-ppq's own quantised graph does."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.engines.layers.fromespdl import read_espdl
from pytest_tinyml.engines.layers.generate import with_kernels, write
from pytest_tinyml.engines.modelfile import model_source
from pytest_tinyml.errors import ModelError, TinymlError, UsageError
from pytest_tinyml.references import get_reference, reference_for
from pytest_tinyml.stores.models import load_model
from tests.unit.enginelib import engine_of, load_engine, run

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.records import Model

pytestmark = [pytest.mark.espdl, pytest.mark.filterwarnings("default"), pytest.mark.xdist_group("reference")]

SAMPLES = 200


def quantised(target: str, bits: int, folder: Path) -> tuple[Any, Model]:
    """Quantise a network with all operators; returns esp-ppq's graph and the model of the file that it wrote."""
    from tests.espdl.staircase import model_of

    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        import torch
        from esp_ppq.api import espdl_quantize_torch

        torch.manual_seed(2)
        nn = torch.nn
        network = nn.Sequential(
            nn.Conv2d(2, 18, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(18, 18, 3, groups=18, stride=2),
            nn.Sigmoid(),
            nn.AvgPool2d(3, stride=1),
            nn.Conv2d(18, 7, 1),
            nn.Tanh(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
            nn.Linear(28, 5),
            nn.Softmax(-1),
        )
        path = folder / "network.espdl"
        batches = [torch.rand(1, 2, 12, 12) * 2 - 1 for _ in range(24)]
        graph = espdl_quantize_torch(
            network,
            str(path),
            batches,
            len(batches),
            [1, 2, 12, 12],
            target=target,
            num_of_bits=bits,
            error_report=False,
            export_config=False,
            metadata_props={"target": target},
        )
    return graph, model_of(path.read_bytes(), path)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A quantised network."""
    return quantised("esp32", 8, tmp_path_factory.mktemp("small"))[1]


@pytest.mark.parametrize("target", ["esp32", "esp32s3", "esp32p4"])
@pytest.mark.parametrize("bits", [8, 16])
def test_rebuilt_graph(target: str, bits: int, tmp_path: Path) -> None:
    """For each family of chips: esp-ppq's graph, the one rebuilt from the file, and the C, over the same inputs.

    The last two agree in every bit. esp-ppq's own works in float32, in which a sum of products of 16 bits is not exact:
    a few of its outputs are off by the rounding of one step.
    """
    graph, model = quantised(target, bits, tmp_path)
    info = np.iinfo(model.input.dtype)
    tensors = np.random.default_rng(1).integers(info.min, info.max + 1, (SAMPLES, 12, 12, 2)).astype(info.dtype)
    rebuilt = get_reference("espdl").scores(model, tensors)
    sources = with_kernels(write(read_espdl(model), model_source(model), tmp_path / "c"))
    in_c = run(engine_of(load_engine(sources, tmp_path / "o", strict=True)), model, tensors)
    assert np.array_equal(rebuilt, in_c)

    import torch
    from esp_ppq.executor import TorchExecutor

    real = torch.from_numpy(tensors.astype(np.float32) * np.float32(model.input.scale)).permute(0, 3, 1, 2)
    own = TorchExecutor(graph=graph, device="cpu").forward(real)[0].detach().numpy()
    assert np.abs(own - rebuilt).max() < (0.02 if bits == 8 else 0.0005)
    assert np.mean(own.argmax(axis=1) == rebuilt.argmax(axis=1)) >= 0.99


def test_damaged_model(small: Model) -> None:
    """What the process that runs esp-ppq refuses is told with its words."""
    broken = replace(small, data=small.data[:4] + b"\1" + small.data[5:])
    with pytest.raises(ModelError, match="is encrypted"):
        get_reference("espdl").scores(broken, np.zeros((1, 12, 12, 2), np.int8))


def test_closed_reference_computes_nothing(small: Model) -> None:
    """A reference that was closed says so."""
    reference = get_reference("espdl")
    reference.close()
    with pytest.raises(TinymlError, match="was closed"):
        reference.scores(small, np.zeros((1, 12, 12, 2), np.int8))


def test_default_by_format(small: Model) -> None:
    """Models are compared with what can run them, unless something else is asked for that can."""
    assert ("espdl", "tflm") == (reference_for(None, small), reference_for(None, load_model("s1-ptq")))
    with pytest.raises(UsageError, match=r"reference 'tflm' cannot run network, which is a \.espdl file: take espdl"):
        reference_for("tflm", small)
    with pytest.raises(UsageError, match="take tflm, litert or litert-ref"):
        reference_for("espdl", load_model("s1-ptq"))
