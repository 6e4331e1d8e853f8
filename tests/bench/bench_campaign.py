"""What the harness costs beside the engine: S0 on native against its own ticks, and an engine that does nothing.

Both are ratios within one run, as these machines are shared and noisy. Run as ``python -m tests.bench.bench_campaign``.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml import firmware
from pytest_tinyml.assets import assets_dir
from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.native import NativeBoard
from pytest_tinyml.campaign import Campaign, CampaignSettings, ReferenceRun, SampleEncoder
from pytest_tinyml.records import TensorSpec
from pytest_tinyml.references.base import CHUNK
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.journal import Journal
from pytest_tinyml.stores.models import load_model

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Dataset, Model
    from pytest_tinyml.references.base import OnChunk

ROUNDS = 5
NULL_SHA256 = "63b41c7b0b5b95d13799" + "9ffdaf2a594d6d5f9d162c574d3663aa5f289c7b1816"


class NullReference:
    """Costs nothing, so that the board has the machine for itself."""

    name = "none"
    exact = True
    runtime_version = "0"

    def scores(self, model: Model, tensors: npt.NDArray[Any], *, on_chunk: OnChunk | None = None) -> npt.NDArray[Any]:
        """Return zeros."""
        scores = np.zeros((len(tensors), model.output.elements), dtype=model.output.dtype)
        for start in range(0, len(scores), CHUNK):
            if on_chunk is not None:
                on_chunk(start, scores[start : start + CHUNK])
        return scores

    def close(self) -> None:
        """Do nothing."""


class NullBoard(NativeBoard):
    """The native board with an engine that copies ten pixels."""

    def prepare(self) -> str:
        """Build the null engine."""
        folder = assets_dir("firmware") / "engines" / "null"
        self._firmware = firmware.build_native(sorted(folder.glob("*.c")), [folder])
        return self._firmware.sha256


def null_model() -> Model:
    """Return the model that the null engine pretends to be."""
    return replace(
        load_model("s0-ptq"),
        name="null",
        sha256=NULL_SHA256,
        input=TensorSpec(dtype="int8", shape=(1, 28, 28, 1), scale=float(np.float32(1 / 255)), zero_point=-128),
        output=TensorSpec(dtype="int8", shape=(1, 10), scale=1 / 256, zero_point=-128),
    )


def run_once(board: NativeBoard, model: Model, dataset: Dataset, engine: str, folder: Path) -> tuple[float, float]:
    """Run one campaign from data set to journal; returns wall seconds and the engine's own seconds."""
    link = board.link_name
    encoder = SampleEncoder(model, dataset)
    reference = ReferenceRun(NullReference(), model, dataset, encoder, samples=len(dataset))
    settings = CampaignSettings(kind="bench", engine=engine, link=link, samples=len(dataset), fresh=True)
    with Journal(folder / f"{time.monotonic_ns()}.sqlite") as journal:
        campaign = Campaign(
            model, dataset, [board], encoder=encoder, journal=journal, reference=reference, settings=settings
        )
        campaign.start()
        campaign.wait_for(range(len(dataset)), 600.0)
        campaign.end_threads()
        wall, engine_s = campaign.wall_s, float(campaign.run.ticks.sum()) / campaign.bench.identity.tick_hz
        campaign.close()
    return wall, engine_s


def main() -> int:
    """Print the table."""
    dataset = load_dataset("mnist-28k")
    print(f"| board | link | images | wall s | engine s | wall / engine | images/s | median of {ROUNDS} |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tinyml-bench-") as scratch:
        folder = Path(scratch)
        s0 = ("native, S0", load_model("s0-ptq"), NativeBoard, "aot")
        nothing = ("native, engine that does nothing", null_model(), NullBoard, "null")
        for (name, model, kind, engine), link in product((s0, nothing), ("socket", "http")):
            rounds = []
            for _ in range(ROUNDS):
                board = kind(BoardRequest(model=model, work_dir=folder, link=link))
                rounds.append(run_once(board, model, dataset, engine, folder))
            wall, engine_s = min(rounds, key=lambda pair: pair[0] / pair[1])
            ratios = [w / e for w, e in rounds]
            rates = [len(dataset) / w for w, _ in rounds]
            ratio = f"{wall / engine_s:.3f}" if engine == "aot" else "-"
            spread = (
                f"ratio {statistics.median(ratios):.3f}" if engine == "aot" else f"{statistics.median(rates):,.0f}/s"
            )
            best = f"{wall:.2f} | {engine_s:.2f} | {ratio} | {len(dataset) / wall:,.0f}"
            print(f"| {name} | {link} | {len(dataset):,} | {best} | {spread} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
