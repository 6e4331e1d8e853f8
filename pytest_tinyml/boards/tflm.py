"""TensorFlow Lite Micro itself, as its Python wheel, in a process of its own: float and quantised models, a real arena."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.base import Missing
from pytest_tinyml.boards.process import LINKS, ProcessBoard
from pytest_tinyml.references import tflm as reference

if TYPE_CHECKING:
    from pytest_tinyml.boards.base import BoardRequest
    from pytest_tinyml.records import Model

NAME: Final = "tflm"
_WORKER: Final = Path(__file__).with_name("tflm_worker.py")


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
        arena = reference.probe_arena(model)
        digest = hashlib.sha256(f"tflite-micro {version('tflite-micro')}\n".encode())
        digest.update(_WORKER.read_bytes())
        settings = {
            "model": str(model.path),
            "name": model.name,
            "sha256": model.sha256,
            "preprocess": asdict(model.preprocess),
            "input": asdict(model.input),
            "output": asdict(model.output),
            "arena_used": arena.used_bytes,
            "arena_capacity": arena.capacity_bytes,
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
    links = LINKS

    def missing(self) -> list[Missing]:
        """See `BoardKind.missing`."""
        try:
            version("tflite-micro")
        except PackageNotFoundError:
            return [Missing(what="tflite-micro (Linux on x86-64 only)", install="pip install tflite-micro")]
        return []

    def check(self, model: Model) -> None:
        """See `BoardKind.check`."""
        reference.check(model)

    def create(self, request: BoardRequest) -> TflmBoard:
        """See `BoardKind.create`."""
        return TflmBoard(request)


KIND: Final = TflmKind()
