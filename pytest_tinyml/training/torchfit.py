"""Training with PyTorch: repeatable, and from there to ONNX."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.errors import MissingDependencyError
from pytest_tinyml.training.espdl import FloatNetwork

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import PreprocessSpec
    from pytest_tinyml.training.stairs import Stair, Torch

THREADS: Final = 1
"""Several would wait for each other wherever other programs run, and networks as small as these gain nothing."""
OPSET: Final = 18


def load_torch() -> Torch:
    """Import PyTorch and make it repeatable.

    Raises:
        MissingDependencyError: the extra ``espdl`` is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own deprecations
            import torch  # noqa: PLC0415 - seconds
    except ImportError as error:
        package = "torch"
        raise MissingDependencyError(package, "espdl", "training a model for ESP-DL") from error
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(mode=True)
    return torch


def fit(
    torch: Torch,
    stair: Stair,
    inputs: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    *,
    bits: int,
    seed: int,
) -> Torch:
    """Train a network from the beginning.

    Args:
        torch: the module.
        stair: the network and how long it is trained.
        inputs: float32 [N, *stair.shape], preprocessed.
        labels: int64 [N], class index.
        bits: that it will be quantised to.
        seed: of weights and shuffling.

    Returns:
        The network, in evaluation mode.
    """
    torch.manual_seed(seed)
    network = stair.build(torch, bits)
    # The last layer makes probabilities, of which the loss would be a worse one than of what goes into it.
    body, single = network[:-1], isinstance(network[-1], torch.nn.Sigmoid)
    steps = stair.epochs * -(-len(inputs) // stair.batch_size)
    optimizer = torch.optim.Adam(network.parameters(), lr=stair.peak)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    x, y = torch.from_numpy(np.ascontiguousarray(inputs)), torch.from_numpy(labels)
    for _ in range(stair.epochs):
        for part in torch.randperm(len(x)).split(stair.batch_size):
            logits = body(x[part])
            functions = torch.nn.functional
            loss = (
                functions.binary_cross_entropy_with_logits(logits[:, 0], y[part].float())
                if single
                else functions.cross_entropy(logits, y[part])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def run(torch: Torch, network: Torch, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a float network's probabilities: float32 [N, classes]."""
    with torch.no_grad():
        parts = [network(part).numpy() for part in torch.from_numpy(np.ascontiguousarray(inputs)).split(500)]
    return np.concatenate(parts)


def exported(
    torch: Torch, network: Torch, name: str, shape: tuple[int, ...], preprocess: PreprocessSpec
) -> FloatNetwork:
    """Return a network as ONNX.

    Args:
        torch: the module.
        network: in evaluation mode.
        name: for messages.
        shape: of one sample, channels first.
        preprocess: how pixels become the input.
    """
    stream = io.BytesIO()
    arguments: dict[str, Any] = {"opset_version": OPSET, "dynamo": False, "input_names": ["pixels"]}
    with warnings.catch_warnings():
        # The exporter without dynamo is announced for removal; esp-ppq itself uses it, for its plain graphs.
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.zeros((1, *shape)),), stream, output_names=["scores"], **arguments)
    return FloatNetwork(name=name, onnx=stream.getvalue(), shape=(1, *shape), preprocess=preprocess)
