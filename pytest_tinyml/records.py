"""The words of the design as plain immutable records; imports nothing of the package and no numpy at run time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import prod
from typing import TYPE_CHECKING, Any, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

DType = Literal["int8", "uint8", "int16", "float32"]
Task = Literal["classification", "regression"]
TASKS: Final[tuple[Task, ...]] = ("classification", "regression")
ITEM_BYTES: Final[dict[DType, int]] = {"int8": 1, "uint8": 1, "int16": 2, "float32": 4}


class Clock(IntEnum):
    """What a tick of a board's clock is; values as on the wire (PROTOCOL.md, IDENTITY)."""

    WALL = 1
    CYCLES = 2
    INSTRUCTIONS = 3

    def microseconds(self, ticks: float, tick_hz: int) -> float | None:
        """Return the duration of ticks; None for a clock that has none (instructions)."""
        return ticks * 1e6 / tick_hz if self is not Clock.INSTRUCTIONS and tick_hz else None


class Encoding(IntEnum):
    """How a sample travels; values as on the wire (PROTOCOL.md section 4)."""

    PIXELS = 0
    PIXELS_DEFLATE = 1
    TENSOR = 2
    TENSOR_DEFLATE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Type, shape and quantisation of a model's input or output.

    Attributes:
        dtype: element type.
        shape: with the batch dimension first, which is 1.
        scale: real = scale * (q - zero_point), float32 value; 0.0 for float32 tensors.
        zero_point: see scale; 0 for float32 tensors.
    """

    dtype: DType
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the tensor that `dataclasses.asdict` has made into a record, e.g. in results.json."""
        return cls(
            dtype=record["dtype"],
            shape=tuple(record["shape"]),
            scale=record["scale"],
            zero_point=record["zero_point"],
        )

    @property
    def elements(self) -> int:
        """Number of elements of one sample."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of one sample."""
        return self.elements * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a board says it is (PROTOCOL.md, IDENTITY); hashes are lower-case hex, sizes are bytes, 0 is unknown."""

    clock: Clock
    tick_hz: int
    encodings: frozenset[Encoding]
    rx_window: int
    max_frame: int
    arena_used: int
    arena_capacity: int
    flash_bytes: int
    ram_bytes: int
    firmware_sha256: str
    model_sha256: str
    input: TensorSpec
    output: TensorSpec
    firmware_version: str
    board: str
    chip: str
    engine: str
    model: str
    preprocess: str
    session: int = 0
    loads_models: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One encoded sample on its way to a board: 0-based id, encoding and data as in PROTOCOL.md section 4."""

    id: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came back for one sample: its id, the inference's ticks, and the output tensor's bytes."""

    id: int
    ticks: int
    scores: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryResult:
    """A result together with the CRC-32 of the input tensor that the engine really read; None if it cannot be asked."""

    id: int
    ticks: int
    input_crc: int | None
    scores: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Ordered samples; a sample's id is its 0-based index.

    Attributes:
        name: short name, e.g. ``mnist-28k``.
        images: uint8 [N, H, W] or [N, H, W, C], row-major, 0 black .. 255 white; or float32 [N, ...], already
            preprocessed.
        labels: int64 [N], class index; None if unlabelled.
        sha256: hex digest of dtype, shape, images, labels and targets: the identity of the data set.
        source: the file or folder that it was read from.
        class_names: one name per class, if known.
        targets: float64 [N, K], what a regression should give; None if there are none.
        sample_names: one per sample where samples are files, relative to `source`; otherwise empty.
    """

    name: str
    images: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64] | None
    sha256: str
    source: str = ""
    class_names: tuple[str, ...] = ()
    targets: npt.NDArray[np.float64] | None = None
    sample_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of samples."""
        return int(self.images.shape[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessSpec:
    """How pixels become the real-valued input of a model; from its card.

    Attributes:
        kind: ``scale`` (x * scale + offset per pixel), ``l2axis1`` (each pixel over the L2 norm of its
            column, as ``tf.keras.utils.normalize(images, axis=1)`` does), or
            ``none`` (the data set already holds what the model takes).
        scale: factor of ``scale``; 1/255 unless the card says otherwise.
        offset: summand of ``scale``.
        assumed: no card said so; a default was taken, and the verdict says it.
    """

    kind: Literal["scale", "l2axis1", "none"] = "scale"
    scale: float = 1.0 / 255.0
    offset: float = 0.0
    assumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model file and what its card says.

    Attributes:
        name: e.g. ``s0-ptq``, or the file's stem.
        path: the file.
        format: ``tflite`` (TensorFlow Lite's) or ``espdl`` (ESP-DL's).
        data: its bytes.
        sha256: hex digest of data.
        input: the one input tensor, batch 1.
        output: the one output tensor, batch 1.
        preprocess: how pixels become its input.
        operators: names in order of execution, TensorFlow Lite's (``CONV_2D``) or ONNX's (``Conv``).
        card_top1: accuracy that the card states for the 28,000 test images, or None.
        task: ``classification``: the largest output is the class, or a single output the probability of class 1;
            ``regression``: the outputs are values.
    """

    name: str
    path: Path
    data: bytes
    sha256: str
    input: TensorSpec
    output: TensorSpec
    preprocess: PreprocessSpec
    operators: tuple[str, ...] = ()
    card_top1: float | None = None
    format: Literal["tflite", "espdl"] = "tflite"
    task: Task = "classification"
