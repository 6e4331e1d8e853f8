"""Boards with an error planted into the C that is generated for a model, or around it."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_tinyml import firmware as builds
from pytest_tinyml.boards import native
from pytest_tinyml.engines.select import sources_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.engines.sources import EngineSources
    from pytest_tinyml.firmware import Firmware
    from pytest_tinyml.records import PreprocessSpec

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


class OtherInputBoard(native.NativeBoard):
    """It was built with another preprocessing than the model's card says."""

    preprocess: PreprocessSpec

    def prepare(self) -> str:
        """Build as if the card said something else."""
        asked = self.request
        self.request = replace(asked, model=replace(asked.model, preprocess=self.preprocess))
        try:
            return super().prepare()
        finally:
            self.request = asked


class PlantedKind(native.NativeKind):
    """A kind of board for a test's registry.

    Args:
        make: the board.
    """

    name = "planted"

    def __init__(self, make: Callable[[BoardRequest], native.NativeBoard]) -> None:
        """Keep how boards are made."""
        self._make = make

    def create(self, request: BoardRequest) -> native.NativeBoard:
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
