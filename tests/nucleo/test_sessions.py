"""``pytest --board nucleo-f446re``, unmodified, on a stand-in: from a new part to a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.nucleo_f446re import KIND
from pytest_tinyml.campaign.handshake import canary_ids, check_canaries, run_canaries
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.contractsetup import cached_dataset
from pytest_tinyml.errors import CanaryError
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.stores.models import load_model
from pytest_tinyml.verdict.compare import Tolerance
from tests.processes import end_session

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nucleo.conftest import Plug
    from tests.nucleo.standin import StandIn
    from tests.projects import Project

_LIMIT_S = 300.0
SAMPLES = 60


def run(project: Project, stand_in: StandIn, *arguments: str) -> dict[str, Any]:
    """Run a session that has to pass; returns results.json."""
    process = project.spawn(
        "--board", "nucleo-f446re", f"--port={stand_in.port}", f"--tinyml-limit={SAMPLES}", *arguments
    )
    try:
        text, _ = process.communicate(timeout=_LIMIT_S)
    finally:
        end_session(process)
    assert process.returncode == 0, text
    return project.results()


@pytest.mark.parametrize("flasher", ["openocd", "pyocd"])
def test_flashed_once_and_measured(project: Project, plug: Plug, flasher: str) -> None:
    """A new part is flashed; the next session finds the right firmware there and writes nothing."""
    stand_in = plug()
    for session in ("first", "second"):
        results = run(project, stand_in, "--tinyml-model=s2-ptq", f"--tinyml-flasher={flasher}", "--tinyml-fresh")
        assert len(stand_in.flashed) == 1, session
        assert results["passed"]
        assert results["problems"] == []
        metrics = results["metrics"]
        assert (metrics["count"], metrics["differing"], metrics["failed"]) == (SAMPLES, 0, [])
        assert results["board"]["name"] == "nucleo-f446re"
        # It does not pass for the part: QEMU has neither its clock nor its identification.
        assert results["board"]["chip"] == "Cortex-M4, emulated by QEMU"
        assert results["latency"]["gated"] is False
    log = (project.path / "tinyml-report" / "logs" / "nucleo-f446re.console.log").read_text(encoding="utf-8")
    assert f"flashing with {flasher}: the board runs nothing that answers, not firmware " in log


def test_float_network_on_the_fpu(project: Project, plug: Plug) -> None:
    """S2 as floats, which the FPU computes: as the host does, within what its exponential may differ."""
    stand_in = plug()
    results = run(project, stand_in, "--tinyml-model=s2-float")
    assert results["passed"]
    assert results["board"]["engine"] == "aot-float"
    assert results["metrics"]["count"] == SAMPLES
    assert results["metrics"]["flips"] == []


@pytest.mark.parametrize("normalised", [True, False])
def test_pixels_that_are_not_normalised_are_named(normalised: bool, plug: Plug, tmp_path: Path) -> None:
    """The mistake of the failed reproduction of S2: a firmware that feeds pixels / 255 is found by the canaries."""
    model = load_model("s2-ptq")
    built_for = model if normalised else replace(model, preprocess=PreprocessSpec(kind="scale"))
    encoder = SampleEncoder(model, cached_dataset("mnist-28k", 40))
    ids = canary_ids(40)
    stand_in = plug()
    board = KIND.create(BoardRequest(model=built_for, work_dir=tmp_path, device=stand_in.device))
    try:
        identity = board.open()
        encoding = encoder.choose(identity.encodings, packed=True)
        rounds = [run_canaries(board, encoder, encoding, ids) for _ in range(2)]
        if normalised:
            check_canaries(rounds, encoder, model, None, board=board.name, reference="tflm", tolerance=Tolerance())
        else:
            with pytest.raises(CanaryError, match=r"'nucleo-f446re': preprocessing differs: for 8 of 8 .*'l2axis1'"):
                check_canaries(rounds, encoder, model, None, board=board.name, reference="tflm", tolerance=Tolerance())
    finally:
        board.close()
