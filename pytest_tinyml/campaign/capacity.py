"""The largest network of a family that a board's memories hold, found by linking its firmware again and again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.boards.base import BoardRequest, LinkedKind
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.listwork import ListWork
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.errors import BoardError, DoesNotFitError, UsageError
from pytest_tinyml.records import Dataset
from pytest_tinyml.references import get_reference
from pytest_tinyml.references.arena import tflm_available

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_tinyml.boards.base import Board, BoardKind
    from pytest_tinyml.campaign.families import Family
    from pytest_tinyml.firmware import Firmware
    from pytest_tinyml.records import Model

NATIVE: Final = "native"
_SAMPLES: Final = 4
_ANSWER_S: Final = 60.0
"""The longest inference there may be."""
_FIRST: Final = 8
_POINTS: Final = 3
"""A quadratic: what weights and activations grow with, and what so many points determine."""
_STRIDE: Final = 8
"""How many times as large as what fits the next network may be."""
_PATIENCE: Final = 4
"""After so many guesses the middle is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One network, linked.

    Attributes:
        size: its number in the family.
        parameters: weights and biases.
        used: bytes of each memory that the firmware takes; if it does not fit, of those that are too small only.
        over: bytes by which it exceeds memories; empty if it fits.
        firmware: the image; None if the linker refused it.
    """

    size: int
    parameters: int
    used: Mapping[str, int]
    over: Mapping[str, int]
    firmware: Firmware | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a search found.

    Attributes:
        family: that was searched.
        memories: bytes of each memory, as the linker script or the user has it.
        best: the largest network that fits.
        beyond: the next one, which does not; its ``over`` names the memories that are the limit.
        probes: all that were linked, in their order.
    """

    family: Family
    memories: Mapping[str, int]
    best: Probe
    beyond: Probe
    probes: tuple[Probe, ...]


@dataclass(slots=True, kw_only=True)
class Search:
    """Looks for the largest network of a family on a kind of board.

    The need of each memory is taken for a quadratic of the size, through the three nearest networks that were linked:
    that guesses the answer, and what is linked decides. So a search is some six builds, however large the memory.

    Attributes:
        kind: of board.
        family: of networks.
        folder: for models and logs; exists.
        limits: bytes of memories, by the linker's names, where they shall be smaller than they are.
        report: told of each network as it was tried.
    """

    kind: BoardKind
    family: Family
    folder: Path
    limits: Mapping[str, int] = field(default_factory=dict)
    report: Callable[[Probe], object] = lambda _: None
    _memories: dict[str, int] = field(default_factory=dict)
    _probes: list[Probe] = field(default_factory=list)

    def run(self) -> Capacity:
        """Search.

        Raises:
            UsageError: the board has no memories to fill or cannot be linked without it, or a limit names none of
                them; what the engine says of the models.
            DoesNotFitError: not even the smallest network fits.
            BuildError: a firmware does not build for another reason.
        """
        best = self._first()
        beyond: Probe | None = None
        while beyond is None or beyond.size - best.size > 1:
            probe = self._try(self._next(best, beyond))
            if probe.over:
                beyond = probe
            else:
                best = probe
        return Capacity(
            family=self.family, memories=self._memories, best=best, beyond=beyond, probes=tuple(self._probes)
        )

    def _first(self) -> Probe:
        """Try the smallest network: what it links to tells the memories' names and sizes."""
        size = self.family.smallest
        firmware = self._link(size)
        sizes = {memory.name: memory.size for memory in firmware.memories}
        for name, limit in self.limits.items():
            if name not in sizes:
                msg = f"board {self.kind.name!r} has no memory {name!r}; it has {', '.join(sizes)}"
                raise UsageError(msg)
            if limit > sizes[name]:
                msg = f"{name} of board {self.kind.name!r} has {sizes[name]:,} B, which is less than {limit:,} B"
                raise UsageError(msg)
        self._memories = {**sizes, **self.limits}
        probe = self._told(size, {memory.name: memory.used for memory in firmware.memories}, firmware)
        if probe.over:
            parts = " and ".join(
                f"{name} ({self._memories[name]:,} B) by {over:,} B" for name, over in probe.over.items()
            )
            msg = f"not even the smallest network fits: {self.family.describe(size)} exceeds {parts}"
            raise DoesNotFitError(msg, {name: probe.used[name] for name in probe.over})
        return probe

    def _next(self, best: Probe, beyond: Probe | None) -> int:
        """Return the size to try next, between what fits and what does not."""
        if beyond is None and len(self._probes) < _POINTS:
            return max(_FIRST, 2 * best.size)
        behind = _STRIDE * best.size if beyond is None else beyond.size
        if beyond is not None and len(self._probes) % _PATIENCE == 0:
            return (best.size + behind) // 2
        return min(max(self._guess(best.size, behind), best.size + 1), behind - 1)

    def _guess(self, fits: int, behind: int) -> int:
        """Return the largest size in fits .. behind - 1 whose predicted need is within all memories."""
        curves = {name: self._points(name, fits) for name in self._memories}
        while behind - fits > 1:
            middle = (fits + behind) // 2
            if all(_curve(points, middle) <= self._memories[name] for name, points in curves.items()):
                fits = middle
            else:
                behind = middle
        return fits

    def _points(self, memory: str, near: int) -> list[tuple[int, int]]:
        known = {probe.size: probe.used[memory] for probe in self._probes if memory in probe.used}
        return sorted(sorted(known.items(), key=lambda point: abs(point[0] - near))[:_POINTS])

    def _try(self, size: int) -> Probe:
        """Make, compile and link one network."""
        try:
            firmware = self._link(size)
        except DoesNotFitError as error:
            return self._told(size, error.needed, None)
        return self._told(size, {memory.name: memory.used for memory in firmware.memories}, firmware)

    def _link(self, size: int) -> Firmware:
        kind = self.kind
        if not isinstance(kind, LinkedKind):
            reason = (
                "its firmware is not linked by pytest-tinyml alone"
                if getattr(kind, "memories", {})
                else "it has no memories of a fixed size"
            )
            msg = f"the capacity of board {kind.name!r} cannot be found: {reason}"
            raise UsageError(msg)
        model = self.family.make(size, self.folder)
        try:
            return kind.linked(model, self.folder)
        finally:
            model.path.unlink()

    def _told(self, size: int, used: Mapping[str, int], firmware: Firmware | None) -> Probe:
        probe = Probe(
            size=size,
            parameters=self.family.parameters(size),
            used=used,
            over={name: used[name] - self._memories[name] for name in used if used[name] > self._memories[name]},
            firmware=firmware,
        )
        self._probes.append(probe)
        self.report(probe)
        return probe


def _curve(points: Sequence[tuple[int, int]], at: int) -> Fraction:
    """Return the value at a place of the polynomial through points, at least one (Lagrange's form)."""
    total = Fraction(0)
    for x, y in points:
        factors = [Fraction(at - other, x - other) for other, _ in points if other != x]
        total += y * prod(factors, start=Fraction(1))
    return total


def try_largest(found: Capacity, kind: BoardKind, folder: Path, device: Mapping[str, str]) -> str:
    """Run the largest network that fits on a board, on random inputs, and compare the bytes with the host's.

    Args:
        found: by a search with this kind of board.
        kind: of board.
        folder: for the model and logs; exists.
        device: where the board is, see `BoardRequest.device`.

    Returns:
        What was run, and what it was compared with.

    Raises:
        BoardError: the board cannot be started or used, or answers otherwise.
        TinymlError: likewise, of the host's runtime.
    """
    size = found.best.size
    model = found.family.make(size, folder)
    images = np.random.default_rng(size).integers(0, 256, (_SAMPLES, *found.family.shape(size))).astype(np.uint8)
    data = Dataset(name="random", images=images, labels=None, sha256=hashlib.sha256(images.tobytes()).hexdigest())
    request = BoardRequest(model=model, work_dir=folder, timeout_s=_ANSWER_S, device=device)
    got = _answers(kind.create(request), model, data)
    if model.format == "tflite":
        reference = get_reference("tflm" if tflm_available() else "litert")
        name = reference.name
        try:
            expected = reference.scores(model, SampleEncoder(model, data).tensors(range(_SAMPLES))).tobytes()
        finally:
            reference.close()
    else:
        # The same integers by another compiler, for another processor; without PyTorch nothing else here computes them.
        name = f"board {NATIVE!r}"
        expected = _answers(Registry().get(NATIVE).create(replace(request, device={})), model, data)
    if got != expected:
        msg = f"the largest network gives other bytes than {name}: {got.hex()} instead of {expected.hex()}"
        raise BoardError(msg, board=kind.name)
    return f"ran {_SAMPLES} random inputs on the board: the same bytes as {name}"


def _answers(board: Board, model: Model, data: Dataset) -> bytes:
    """Return the output tensors of all samples, one behind the other."""
    work = ListWork(SampleEncoder(model, data), range(len(data)))
    try:
        board.prepare()
        board.open()
        board.stream(work)
        if work.failed:
            sample, reason = min(work.failed.items())
            msg = f"sample {sample} failed: {reason}"
            raise BoardError(msg, board=board.name)
        return b"".join(work.scores[sample] for sample in range(len(data)))
    finally:
        board.close()
