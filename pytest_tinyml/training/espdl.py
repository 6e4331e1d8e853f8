"""From a float network to an .espdl: esp-ppq's post-training quantisation, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from pytest_tinyml.errors import BuildError, DatasetError, MissingDependencyError, ModelError, UnknownNameError
from pytest_tinyml.preprocess import real_values
from pytest_tinyml.references.espdl import require_espdl
from pytest_tinyml.stores.espdl import FAMILY_OF, read_espdl
from pytest_tinyml.training.onnxfile import onnx_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Dataset, Model, PreprocessSpec

PURPOSE: Final = "quantising for ESP-DL"
TIMEOUT_S: Final = 1800.0
"""A network at an ESP32's limit takes minutes on a busy computer."""
SAMPLES: Final = 256
"""That calibrate the ranges of activations, unless another number is asked for."""
WORKER: Final = Path(__file__).with_name("espdl_worker.py")
_RANK: Final = 4
_FLOAT: Final = 1
"""``TensorProto.FLOAT``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatNetwork:
    """A network before it is quantised.

    Attributes:
        name: for messages.
        onnx: an ONNX file.
        shape: of its input, with the batch, which is 1, as ONNX has it: channels first where there are convolutions.
        preprocess: how pixels become its input.
    """

    name: str
    onnx: bytes
    shape: tuple[int, ...]
    preprocess: PreprocessSpec


def from_tflite(model: Model) -> FloatNetwork:
    """Return the network of a float .tflite.

    Raises:
        MissingDependencyError: the extra ``espdl`` is not installed.
        ModelError, UnsupportedOperatorError: it cannot be translated to ONNX.
    """
    _require()
    shape = model.input.shape
    front = (shape[0], shape[3], *shape[1:3]) if len(shape) == _RANK else shape
    return FloatNetwork(name=model.name, onnx=onnx_of(model), shape=front, preprocess=model.preprocess)


def from_onnx(path: Path, preprocess: PreprocessSpec) -> FloatNetwork:
    """Read an ONNX file; a batch of any size becomes one of 1.

    Raises:
        MissingDependencyError: the extra ``espdl`` is not installed.
        ModelError: not an ONNX file, or not exactly one float32 input of a fixed shape.
    """
    _require()
    import onnx  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - comes with onnx

    try:
        model = onnx.load_from_string(path.read_bytes())
        onnx.checker.check_model(model)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise ModelError(msg) from error
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        msg = f"{path}: not a usable ONNX file: {str(error).splitlines()[0] if str(error) else error!r}"
        raise ModelError(msg) from error
    constants = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in constants]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != _FLOAT:
        msg = f"{path}: has {len(inputs)} inputs; expected one, float32"
        raise ModelError(msg)
    dims = inputs[0].type.tensor_type.shape.dim
    if dims and dims[0].dim_value < 1:
        dims[0].dim_value = 1
    shape = tuple(int(dim.dim_value) for dim in dims)
    if not shape or shape[0] != 1 or min(shape) < 1:
        msg = f"{path}: its input has the shape {list(shape)} (0 is dynamic); expected [1, ...], fixed"
        raise ModelError(msg)
    return FloatNetwork(name=path.stem, onnx=bytes(model.SerializeToString()), shape=shape, preprocess=preprocess)


def _require() -> None:
    require_espdl(PURPOSE)
    from importlib.util import find_spec  # noqa: PLC0415

    if find_spec("onnx") is None:
        raise MissingDependencyError("onnx", "espdl", PURPOSE)


def calibration_of(network: FloatNetwork, dataset: Dataset, samples: int) -> npt.NDArray[np.float32]:
    """Return the first samples of a data set as the network takes them: float32 [n, *shape[1:]].

    Raises:
        DatasetError: its samples do not fit the network.
    """
    images = dataset.images[:samples]
    values = real_values(images, network.preprocess).astype(np.float32)
    wanted = network.shape[1:]
    if values.ndim == _RANK and values.shape[1:] != wanted and (values.shape[3], *values.shape[1:3]) == wanted:
        values = values.transpose(0, 3, 1, 2)
    if int(np.prod(values.shape[1:])) != int(np.prod(wanted)) or not len(values):
        raise DatasetError(
            dataset.source or dataset.name,
            f"its samples do not fit the input of {network.name}",
            expected=list(wanted),
            got=list(values.shape[1:]),
        )
    return np.ascontiguousarray(values.reshape(len(values), *wanted))


def quantise(
    network: FloatNetwork, calibration: npt.NDArray[np.float32], *, bits: Literal[8, 16], target: str
) -> bytes:
    """Quantise a network.

    Args:
        network: float.
        calibration: float32 [n, *network.shape[1:]]; each is run once.
        bits: of weights and activations.
        target: the chip, e.g. ``esp32``: decides about rounding and the order of weights.

    Returns:
        The .espdl, which names the chip.

    Raises:
        UnknownNameError: no such chip.
        MissingDependencyError: the extra ``espdl`` is not installed.
        BuildError: esp-ppq failed; with the log of what it printed.
        ModelError: it wrote what is not usable.
    """
    if target not in FAMILY_OF:
        raise UnknownNameError("chip", target, FAMILY_OF)
    _require()
    with tempfile.TemporaryDirectory(prefix="tinyml-espdl-") as scratch:
        folder = Path(scratch)
        source, samples, out = folder / "network.onnx", folder / "calibration.npy", folder / "network.espdl"
        source.write_bytes(network.onnx)
        np.save(samples, calibration)
        command: list[Any] = [sys.executable, "-P", WORKER, source, samples, str(bits), target, out]
        text = _run([str(part) for part in command], folder)
        if text is not None or not out.is_file():
            raise _failure(network.name, text or "it wrote no file")
        data = out.read_bytes()
    read_espdl(data, f"{network.name} ({bits} bits, {target})")
    return data


def _run(command: list[str], folder: Path) -> str | None:
    """Run the process; returns what it printed if it failed."""
    log = folder / "log"
    with log.open("wb") as stream:
        try:
            done = subprocess.run(
                command, stdout=stream, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, cwd=folder, check=False
            )
        except subprocess.TimeoutExpired:
            return f"it did not end within {TIMEOUT_S:.0f} s"
    return None if done.returncode == 0 else log.read_text(encoding="utf-8", errors="replace")


def _failure(name: str, text: str) -> BuildError:
    # Kept for the user, who can do nothing without it; the folder of the run is gone.
    with tempfile.NamedTemporaryFile("w", prefix="tinyml-espdl-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(text)
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")
    return BuildError(f"esp-ppq cannot quantise {name}: {last}", Path(log.name))
