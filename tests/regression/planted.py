"""Boards with an error planted into the C that is generated for a model, or around it."""

from __future__ import annotations

import re
import shutil
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml import firmware as builds
from pytest_tinyml.boards import native
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.records import CanaryResult, Clock, Encoding, Identity
from tests.unit.enginelib import tflm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.engines.sources import EngineSources
    from pytest_tinyml.firmware import Firmware
    from pytest_tinyml.records import Model

_ARRAY = re.compile(r"(const int\w+ bknn_model_constant_\w+\[\d+\] = \{)(.*?)(\};)", re.DOTALL)


class PlantedBoard(native.NativeBoard):
    """The native board with other generated sources than it should have; the cache keeps the right ones."""

    def __init__(self, request: BoardRequest, edit: Callable[[str], str]) -> None:
        """Keep the edit for when it is built."""
        super().__init__(request)
        self._edit = edit

    def build(self, generated: EngineSources) -> Firmware:
        """Compile an edited copy."""
        folder = self.request.work_dir / f"planted-{self.request.model.name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return super().build(replace(generated, vendor_sources=tuple(self._edited(generated, folder))))

    def _edited(self, generated: EngineSources, folder: Path) -> list[Path]:
        copies = []
        for path in generated.vendor_sources:
            copies.append(folder / path.name)
            copies[-1].write_text(self._edit(path.read_text()))
        return copies


class StaleBoard(native.NativeBoard):
    """It runs an older build than the sources give."""

    def command(self, transport: list[str]) -> list[str]:
        """Start the older build."""
        current = self._firmware
        sources = sources_for(self.request.model)
        self._firmware = builds.build_native(
            [*sources.own_sources, *sources.vendor_sources],
            [*sources.include_dirs, sources.engine_dir],
            {"OLDER_BUILD": "1"},
        )
        try:
            return super().command(transport)
        finally:
            self._firmware = current


class OtherModelBoard(native.NativeBoard):
    """It was built for another model, or for another preprocessing, than it is asked for."""

    def __init__(self, request: BoardRequest, other: Callable[[Model], Model]) -> None:
        """Keep what makes the model that it has of the one that is asked for."""
        super().__init__(request)
        self._other = other

    def prepare(self) -> str:
        """Build as if that had been asked for."""
        asked = self.request
        self.request = replace(asked, model=self._other(asked.model))
        try:
            return super().prepare()
        finally:
            self.request = asked


class TamperedBoard:
    """TensorFlow Lite Micro in this process, with outputs that a function changes.

    Args:
        request: what it shall be.
        tamper: is given the model and what it really gives, int64 [1, elements].

    Attributes:
        inferences: since the board was opened.
        clock: what its ticks are, 1,000 for each operator.
    """

    clock = Clock.INSTRUCTIONS
    console_tail: tuple[str, ...] = ()

    def __init__(self, request: BoardRequest, tamper: Callable[[Model, Any], Any]) -> None:
        """Start nothing."""
        self.name, self.engine = "planted", "aot"
        self.inferences = 0
        self._request, self._tamper = request, tamper

    def prepare(self) -> str:
        """Build nothing."""
        return "0" * 64

    def open(self) -> Identity:
        """Say what was asked for."""
        self.inferences = 0
        model = self._request.model
        return Identity(
            clock=self.clock, tick_hz=0, encodings=frozenset({Encoding.TENSOR}), rx_window=0, max_frame=0,
            arena_used=0, arena_capacity=0, flash_bytes=0, ram_bytes=0, firmware_sha256=self.prepare(),
            model_sha256=model.sha256, input=model.input, output=model.output, firmware_version="", board=self.name,
            chip="", engine=self.engine, model=model.name, preprocess="none",
        )  # fmt: skip

    def canary(self, encoding: Encoding, sample: int, data: bytes) -> CanaryResult:
        """See `Board.canary`."""
        del encoding
        self.inferences += 1
        model = self._request.model
        tensor = np.frombuffer(data, dtype=model.input.dtype).reshape(model.input.shape)
        scores = self._tamper(model, tflm(model, [tensor]).astype(np.int64))
        ticks = len(model.operators) * 1000
        output = scores.astype(model.output.dtype).tobytes()
        return CanaryResult(id=sample, ticks=ticks, input_crc=zlib.crc32(data), scores=output)

    def close(self) -> None:
        """Nothing was started."""


class PlantedKind(native.NativeKind):
    """A kind of board for a test's registry.

    Args:
        make: the board.
    """

    name = "planted"

    def __init__(self, make: Callable[[BoardRequest], Any]) -> None:
        """Keep how boards are made."""
        self._make = make

    def create(self, request: BoardRequest) -> Any:
        """See `BoardKind.create`."""
        return self._make(request)


def edited(old: str, new: str) -> Callable[[str], str]:
    """Return an edit of generated C that replaces one text; a model that has no such code stays as it is."""
    return lambda text: text.replace(old, new)


def with_constants(values: list[int], planted: list[int]) -> Callable[[str], str]:
    """Return an edit that replaces the array of constants with these very values."""

    def edit(text: str) -> str:
        def swap(found: re.Match[str]) -> str:
            numbers = [int(number) for number in re.findall(r"-?\d+", found[2])]
            return f"{found[1]}{', '.join(map(str, planted))}{found[3]}" if numbers == values else found[0]

        return _ARRAY.sub(swap, text)

    return edit


def at_place(count: int, place: int, bit: int) -> Callable[[str], str]:
    """Return an edit that flips a bit of one constant in an array of so many, whatever is in it."""

    def edit(text: str) -> str:
        def swap(found: re.Match[str]) -> str:
            numbers = [int(number) for number in re.findall(r"-?\d+", found[2])]
            if len(numbers) == count:
                numbers[place] ^= bit
            return f"{found[1]}{', '.join(map(str, numbers))}{found[3]}"

        return _ARRAY.sub(swap, text)

    return edit
