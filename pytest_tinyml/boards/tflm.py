"""TensorFlow Lite Micro itself, its Python wheel in a process: float and quantised models, a real arena."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.base import Missing
from pytest_tinyml.boards.process import LINKS, ProcessBoard
from pytest_tinyml.engines.flatgraph import refuse_espdl
from pytest_tinyml.references.arena import probe_arena, tflm_available
from pytest_tinyml.references.tflm import MARGIN_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.records import Model

NAME: Final = "tflm"
_WORKER: Final = Path(__file__).with_name("tflm_worker.py")
_arena = lru_cache(maxsize=8)(probe_arena)


class TflmBoard(ProcessBoard):
    """One process with a TFLM interpreter.

    `BoardRequest.options` may hold ``fault``: a failure to plant, see `tflm_worker`.
    """

    def __init__(self, request: BoardRequest) -> None:
        """Start nothing."""
        super().__init__(NAME, request)
        self._settings = ""

    def prepare(self) -> str:
        """Find the arena that the model needs, and return a digest of the wheel's version and the worker's source."""
        model = self.request.model
        arena = _arena(model)
        digest = hashlib.sha256(f"tflite-micro {version('tflite-micro')}\n".encode())
        digest.update(_WORKER.read_bytes())
        settings = {
            "model": str(model.path),
            "name": model.name,
            "preprocess": asdict(model.preprocess),
            "input": asdict(model.input),
            "output": asdict(model.output),
            "arena_used": arena.used_bytes,
            "arena_capacity": 2 * arena.used_bytes + MARGIN_BYTES,
            "firmware_sha256": digest.hexdigest(),
            "fault": self.request.options.get("fault", ""),
        }
        self._settings = json.dumps(settings)
        return digest.hexdigest()

    def command(self, transport: list[str]) -> list[str]:
        """See `ProcessBoard.command`."""
        if not self._settings:
            self.prepare()
        return [sys.executable, "-m", "pytest_tinyml.boards.tflm_worker", *transport, self._settings]


class TflmKind:
    """See the module."""

    name = NAME
    summary = "TensorFlow Lite Micro's own interpreter on this computer"
    engine = "tflm"
    hardware = False
    clocks: tuple[str, ...] = ("wall",)
    options: Mapping[str, str] = {"fault": "a failure to plant, e.g. crash@100; boards/tflm_worker.py has all"}
    links: tuple[str, ...] = LINKS

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        if tflm_available():
            return []
        return [Missing(what="tflite-micro (Linux on x86-64 only)", install="pip install tflite-micro")]

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        refuse_espdl(model.data, model.name)
        _arena(model)

    def create(self, request: BoardRequest) -> TflmBoard:
        """See `BoardKind.create`."""
        return TflmBoard(request)


KIND: Final = TflmKind()
