"""What a device says: lines, and the numbers in them.

A device answers a command with lines and, as the last one, ``m-ready``. What it measured is in lines with ``m-``, what
it refuses in ``e-[reason]``; anything else is the talk of its firmware.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.errors import WireError
from pytest_tinyml.links.labels import label_outputs
from pytest_tinyml.wire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pytest_tinyml.records import TensorSpec

READY: Final = "m-ready"
STARTED: Final = "m-init-done"
LOADED: Final = "m-load-done"
# Behind the rest of a line that was cut off, too.
NAME: Final = re.compile(r"m-name-\w+-\[([^\]]*)\]$")
PROFILE: Final = re.compile(r"m-(profile|model)-\[([^\]]*)\]")
LAP: Final = re.compile(r"m-lap-us-(\d+)")
RESULTS: Final = re.compile(r"m-results-\[([^\]]*)\]")
BUFFER: Final = re.compile(r"m-buffer-((?:[0-9a-fA-F]{2}-?)+)")
REFUSAL: Final = re.compile(r"e-\[(.*?)\]?$")
# The reference devices say these two without an "e-", and go on with what they have.
UNMARKED: Final = re.compile(
    r"Supplied buffer size \d+ exceeds maximum of \d+|Input db has \d+ element\w*, expected \d+"
)
_NUMBER: Final = re.compile(r"-?\d+(?:\.(\d*))?(?:[eE][-+]?\d+)?")
_WRAP: Final = 1 << 32
_LINE_BYTES: Final = 1 << 16
_EPSILON: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What ``infer`` gave.

    Attributes:
        microseconds: between the two time stamps; None of a device that has none on the line (energy mode).
        values: the outputs, as they were printed.
        digits: decimals of the value that has the fewest.
        waited_s: from the command to its answer, by the host's clock.
    """

    microseconds: int | None
    values: tuple[float, ...]
    digits: int
    waited_s: float = 0.0


class Lines:
    """Cuts received bytes into lines; what is not ASCII is replaced, so that it matches nothing."""

    def __init__(self) -> None:
        """Have nothing."""
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take bytes, return the lines that they complete, without line ends and empty ones."""
        *whole, rest = (self._rest + data).split(b"\n")
        # A device that never ends its line shall not fill the memory.
        self._rest = rest[-_LINE_BYTES:]
        texts = (line.strip(b"\r\0 ").decode("ascii", errors="replace") for line in whole)
        return [text for text in texts if text]

    def drop(self) -> None:
        """Forget a line that has begun."""
        self._rest = b""


def refusal(lines: Sequence[str]) -> str | None:
    """Return what the device refuses, if it does."""
    for line in lines:
        marked = REFUSAL.match(line)
        if marked:
            return marked[1]
        if UNMARKED.match(line):
            return line
    return None


def names(lines: Sequence[str]) -> list[str]:
    """Return the vendors in the names that the device has given."""
    return [found[1] for line in lines if (found := NAME.search(line))]


def read_inference(lines: Sequence[str], waited_s: float = 0.0) -> Inference:
    """Read the answer to ``infer`` (or ``results``), for which the host has waited so long.

    Raises:
        WireError: there is no result, or one that is no list of numbers.
    """
    laps = [int(found[1]) for line in lines if (found := LAP.fullmatch(line))]
    results = [found[1] for line in lines if (found := RESULTS.fullmatch(line))]
    if len(results) != 1:
        raise WireError(ErrorCode.BAD_PAYLOAD, f"{len(results)} results, expected one")
    # Reference devices end the list of two classes with a comma.
    words = [word.strip() for word in results[0].rstrip(", ").split(",")]
    numbers = [_NUMBER.fullmatch(word) for word in words]
    if not all(numbers):
        raise WireError(ErrorCode.BAD_PAYLOAD, f"results that are no numbers: [{results[0]}]")
    return Inference(
        # The device's counter may be of 32 bits.
        microseconds=(laps[1] - laps[0]) % _WRAP if len(laps) == 2 else None,  # noqa: PLR2004 - before and after
        values=tuple(float(word) for word in words),
        digits=min(len(found[1] or "") for found in numbers if found),
        waited_s=waited_s,
    )


def read_buffer(lines: Sequence[str]) -> bytes:
    """Read the answer to ``db print``."""
    found = [match[1] for line in lines if (match := BUFFER.fullmatch(line))]
    return bytes.fromhex("".join(found).replace("-", ""))


def nearest_outputs(values: Sequence[float], tensor: TensorSpec, resolution: float) -> npt.NDArray[Any]:
    """Return the outputs that were printed: the tensor's dtype, [elements].

    A quantised output has few values, ``scale * (q - zero_point)``: where half a step is more than `resolution`, the
    printed number says which it was.

    Args:
        values: as printed.
        tensor: the model's output.
        resolution: how far a printed number may be from the real one.

    Raises:
        WireError: other number of outputs, or a number that no output is printed as.
    """
    _check_count(values, tensor)
    printed = np.asarray(values, dtype=np.float64)
    if tensor.dtype == "float32":
        return printed.astype(np.float32)
    info = np.iinfo(tensor.dtype)
    steps = np.clip(np.round(printed / tensor.scale) + tensor.zero_point, info.min, info.max)
    off = np.abs((steps - tensor.zero_point) * tensor.scale - printed)
    worst = int(off.argmax())
    if off[worst] > resolution + _EPSILON:
        text = (
            f"output {worst} is printed as {values[worst]:g}, and no output of the model is within {resolution:g} of "
            f"it (they are {tensor.scale:g} apart): the device runs a model with other outputs"
        )
        raise WireError(ErrorCode.BAD_PAYLOAD, text)
    return steps.astype(tensor.dtype)


def one_of_labels(values: Sequence[float], tensor: TensorSpec) -> npt.NDArray[Any]:
    """Return outputs that say nothing but the label: the tensor's dtype, [elements].

    Raises:
        WireError: other number of outputs.
    """
    _check_count(values, tensor)
    # A single output is the probability of class 1.
    return label_outputs(int(np.argmax(values)) if len(values) > 1 else int(values[0] >= 0.5), tensor)  # noqa: PLR2004


def _check_count(values: Sequence[float], tensor: TensorSpec) -> None:
    if len(values) != tensor.elements:
        text = f"{len(values)} outputs, but the model has {tensor.elements}: the device runs another one"
        raise WireError(ErrorCode.BAD_PAYLOAD, text)
