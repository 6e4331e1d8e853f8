"""Predictions of clients that speak no frames: one request per image (firmware/HTTP.md, section 3)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.links.http.refusal import Reason, RefusedError
from pytest_tinyml.links.labels import label_outputs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_tinyml.links.http.served import ServedRun
    from pytest_tinyml.records import TensorSpec

BINARY: Final = "application/octet-stream"
TEXT: Final = "text/plain"
_CAPACITY: Final = 65_536
"""Predictions that may wait for the host; more are refused until it has worked some off."""


class Desk:
    """Where clients leave predictions, in the server's loop, and a board takes them, in its thread.

    Args:
        run: what is predicted.
        labels: clients post labels in place of scores.
    """

    def __init__(self, run: ServedRun, *, labels: bool) -> None:
        """Expect nothing: `expect` does."""
        self._run, self._labels = run, labels
        self._left: set[int] | None = None
        self._waiting: list[tuple[int, bytes]] = []
        self._changed = threading.Condition()
        self._heard: float | None = None
        self._done = False

    # For the board.

    def expect(self, ids: Iterable[int]) -> None:
        """Take predictions from now on; `ids` are those that are left, when this is first said."""
        with self._changed:
            if self._left is None:
                self._left = set(ids)

    def take(self, timeout_s: float) -> list[tuple[int, bytes]]:
        """Return samples and their output tensors, as soon as there are some."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting, timeout_s)
            taken, self._waiting = self._waiting, []
            return taken

    def silent_s(self, since: float) -> float:
        """Return for how many seconds no client has asked for anything, at most since `since` (monotonic)."""
        return time.monotonic() - max(self._heard or since, since)

    @property
    def heard(self) -> bool:
        """Whether a client has come at all."""
        return self._heard is not None

    def wait_done(self, timeout_s: float) -> bool:
        """Wait for a client to say that it is done."""
        with self._changed:
            return self._changed.wait_for(lambda: self._done, timeout_s)

    # For clients.

    def image(self, sample: int) -> bytes:
        """Return a sample."""
        self._heard = time.monotonic()
        return self._run.image(sample)

    def predict(self, sample: int, content_type: str, body: bytes) -> int:
        """Take one prediction and return how many samples are left.

        Raises:
            RefusedError: it is not one, or the run has not begun.
        """
        self._heard = time.monotonic()
        row = self._row(content_type, body)
        with self._changed:
            if self._left is None or len(self._waiting) >= _CAPACITY:
                raise RefusedError(Reason.NOT_READY, "the host does not take predictions yet; repeat this in a second")
            self._waiting.append((sample, row))
            self._left.discard(sample)
            self._changed.notify_all()
            return len(self._left)

    def finish(self) -> int:
        """Let a client say that it is done; returns 0.

        Raises:
            RefusedError: samples are left.
        """
        with self._changed:
            if self._left is None:
                raise RefusedError(Reason.NOT_READY, "the host does not take predictions yet; repeat this in a second")
            if self._left:
                text = f"{len(self._left)} samples have no prediction; the first is {min(self._left)}"
                raise RefusedError(Reason.LEFT, text, left=len(self._left))
            self._done = True
            self._changed.notify_all()
            return 0

    def _row(self, content_type: str, body: bytes) -> bytes:
        output = self._run.model.output
        if content_type == BINARY and not self._labels:
            if len(body) != output.nbytes:
                text = f"expected the {output.nbytes} bytes of {output.elements} {output.dtype} scores, got {len(body)}"
                raise RefusedError(Reason.MALFORMED, text)
            return body
        if content_type != TEXT:
            wanted = TEXT if self._labels else f"{BINARY} or {TEXT}"
            raise RefusedError(Reason.MALFORMED, f"the Content-Type of a prediction is {wanted} in this run")
        try:
            # Python takes 1_0 for ten.
            numbers = body.decode("ascii").replace("_", "?").split(",")
            return _label(numbers, output) if self._labels else _scores(numbers, output)
        except (ValueError, OverflowError) as error:
            raise RefusedError(Reason.MALFORMED, f"not a prediction: {error}") from error


def _scores(numbers: list[str], output: TensorSpec) -> bytes:
    if len(numbers) != output.elements:
        hint = "; labels alone need --tinyml-option answers=labels" if len(numbers) == 1 else ""
        msg = f"expected {output.elements} scores with commas between, got {len(numbers)}{hint}"
        raise ValueError(msg)
    if output.dtype == "float32":
        return np.array([float(number) for number in numbers], dtype="<f4").tobytes()
    values = [int(number) for number in numbers]
    limits = np.iinfo(output.dtype)
    wrong = [value for value in values if not limits.min <= value <= limits.max]
    if wrong:
        msg = f"{wrong[0]} is not an {output.dtype}: scores are posted as the engine leaves them"
        raise ValueError(msg)
    return np.array(values, dtype=np.dtype(output.dtype).newbyteorder("<")).tobytes()


def _label(numbers: list[str], output: TensorSpec) -> bytes:
    return label_outputs(int(numbers[0]) if len(numbers) == 1 else -1, output).tobytes()
