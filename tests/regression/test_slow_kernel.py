"""Instructions of each operator on emulated boards, and a kernel that became slower: the operator is named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from pytest_tinyml.boards import emulated, qemu_stm32f405, qemu_xtensa
from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.operators import operator_costs
from pytest_tinyml.campaign.plan import make_plans
from pytest_tinyml.campaign.probe import Answers, Probe, TimeLimit
from pytest_tinyml.cli import main
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.errors import ModelError
from pytest_tinyml.records import Clock
from tests.boards.emulated import need_board
from tests.regression.planted import PlantedKind, TamperedBoard
from tests.regression.test_culprit import DATA, network
from tests.unit.tflite_models import convnet

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.boards.base import BoardKind
    from pytest_tinyml.campaign.operators import Costs
    from pytest_tinyml.engines.sources import EngineSources
    from pytest_tinyml.records import Dataset, Model

ACCUMULATOR: Final = "int32_t accumulator = bias[channel];"
"""Once per output of a layer, in the portable kernel."""
WAIT: Final = f"{ACCUMULATOR} for (volatile int32_t wait = 0; output_count == 12u && wait < 100; wait += 1) {{ }}"


KIND: Final = PlantedKind(lambda request: TamperedBoard(request, lambda _, scores: scores))
"""Its boards are right, and take 1,000 ticks per operator."""


def _probe(kind: BoardKind, folder: Path, data: bytes, dataset: Dataset = DATA, **options: str) -> Probe:
    registry = Registry()
    if kind.name == "planted":
        registry.register(kind)
    path = folder / "net.tflite"
    path.write_bytes(data)
    (plan,) = make_plans(registry, boards=[kind.name], model=str(path), dataset=dataset, reference=None)
    clock = "instructions" if kind.name != "planted" else None
    return Probe(replace(plan, clock=clock, options=options), folder)


def _costs(probe: Probe, limit_s: float = 300.0) -> Costs:
    return operator_costs(probe, range(3), TimeLimit(limit_s), lambda _: None)


@pytest.mark.parametrize("kind", [qemu_stm32f405.KIND, qemu_xtensa.KIND], ids=lambda kind: kind.name)
def test_slower_kernel(kind: BoardKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts add up to the whole model's, repeat exactly, and a slower kernel shows in its operator alone."""
    need_board(kind)
    before = _costs(_probe(kind, tmp_path, network(), kernels="portable"))
    counts = [cost.ticks for cost in before.operators]
    assert None not in counts
    assert sum(filter(None, counts)) == pytest.approx(before.total)
    assert [cost.kernel for cost in before.operators] == ["bknn_model_linear_s8"] * 3
    assert counts == [cost.ticks for cost in _costs(_probe(kind, tmp_path, network(), kernels="portable")).operators]

    def slower(model: Model, kernels: str) -> EngineSources:
        generated = sources_for(model, kernels)
        (source,) = generated.vendor_sources
        text = source.read_text()
        assert ACCUMULATOR in text
        edited = tmp_path / f"slower-{model.name}.c"
        edited.write_text(text.replace(ACCUMULATOR, WAIT))
        return replace(generated, vendor_sources=(edited,))

    monkeypatch.setattr(emulated, "sources_for", slower)
    after = _costs(_probe(kind, tmp_path, network(), kernels="portable"))
    more = [(new.ticks or 0) - (old.ticks or 0) for new, old in zip(after.operators, before.operators, strict=True)]
    # 12 outputs wait 100 times each; the other two layers only ask whether they have to.
    assert more[1] > 12 * 100 * 3
    assert max(more[0], more[2]) < more[1] / 10
    assert after.total - before.total == pytest.approx(sum(more))


def test_board_that_refuses_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be measured by itself is in the next operator's cost, and nothing is lost."""
    images = np.zeros((3, 9, 9, 3), np.uint8)
    probe = _probe(KIND, tmp_path, convnet(), replace(DATA, images=images))
    usual = probe.check

    def check(model: Model) -> None:
        if model.operators[-1] == "AVERAGE_POOL_2D":
            raise ModelError("not at the end")
        usual(model)

    monkeypatch.setattr(probe, "check", check)
    costs = _costs(probe)
    # Three operators compute a shape, and are no places to cut at.
    assert [(cost.type, cost.ticks) for cost in costs.operators] == [
        ("CONV_2D", 1000),
        ("MAX_POOL_2D", 1000),
        ("DEPTHWISE_CONV_2D", 1000),
        ("CONV_2D", 1000),
        ("CONV_2D", 1000),
        ("AVERAGE_POOL_2D", None),
        ("RESHAPE", 5000),
        ("FULLY_CONNECTED", 1000),
        ("FULLY_CONNECTED", 1000),
        ("FULLY_CONNECTED", 1000),
    ]
    assert costs.complete


def test_no_time(tmp_path: Path) -> None:
    """Without time, what was measured is given, and that it is not all."""
    costs = _costs(_probe(KIND, tmp_path, network()), limit_s=1e-9)
    assert (costs.complete, [cost.ticks for cost in costs.operators]) == (False, [None, None, costs.total])


def test_clock_that_is_not_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One disturbed inference does not spoil an operator's time: the median counts."""
    monkeypatch.setattr(TamperedBoard, "clock", Clock.WALL)
    probe = _probe(KIND, tmp_path, network())
    usual = probe.answers

    def disturbed(model: Model, ids: Any) -> Answers:
        answers = usual(model, ids)
        return replace(answers, ticks=answers.ticks + np.array([0, 10_000, 0]))

    monkeypatch.setattr(probe, "answers", disturbed)
    assert [cost.ticks for cost in _costs(probe).operators] == [1000, 1000, 1000]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``tinyml explain --operators`` prints a line per operator, or JSON."""
    need_board(qemu_stm32f405.KIND)
    path = tmp_path / "net.tflite"
    path.write_bytes(network())
    np.savez(tmp_path / "net.npz", images=DATA.images)
    command = ["explain", "--operators", "--board=qemu-stm32f405", f"--dataset={tmp_path / 'net.npz'}", str(path)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "net on qemu-stm32f405: instructions per inference"
    assert lines[1].split() == ["operator", "instructions", "share", "computed", "by"]
    assert [line.split()[:2] for line in lines[2:]] == [
        ["0", "FULLY_CONNECTED"],
        ["1", "FULLY_CONNECTED"],
        ["2", "FULLY_CONNECTED"],
        ["whole", "model"],
    ]
    assert main([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["board"], record["model"], record["unit"]) == ("qemu-stm32f405", "net", "instructions")
    assert sum(one["ticks"] for one in record["operators"]) == pytest.approx(record["total"])
    assert f"{record['total']:,.0f}" == lines[-1].split()[2]


def test_command_explains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``tinyml explain`` looks for a difference itself, and its exit code says whether there is one."""
    path = tmp_path / "net.tflite"
    path.write_bytes(network())
    np.savez(tmp_path / "net.npz", images=DATA.images)
    command = ["explain", str(path), f"--dataset={tmp_path / 'net.npz'}"]
    assert main(command) == 0
    assert capsys.readouterr().out == "nothing differs from tflm in 32 samples\n"
    assert main([*command, "--option=fault=weights", "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert (record["cause"], record["operator"]["index"], record["max_lsb"]) == ("rounding", 0, 1)
    assert main([*command, "--option=fault=state"]) == 1
    out, said = capsys.readouterr()
    assert out.startswith("the board carries state from one inference to the next")
    assert "tinyml: input tensors: right for 8 of 8 samples\n" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit=0"], "--limit and --timeout must be positive"),
        (["--timeout=nan"], "--limit and --timeout must be positive"),
        (["--option=fault"], "--option: 'fault' is not KEY=VALUE"),
        (["--option=falt=state"], "no option of board 'native' named 'falt'; did you mean 'fault'? Known: "),
        (["--clock=sun"], "no clock of board 'native' named 'sun'. Known: wall"),
        (["--board=http-client"], "board 'http-client' takes no single samples, so no experiment can be made with it"),
    ],
)
def test_command_refuses(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong request is told in a line, before anything is built."""
    assert main(["explain", "s1-ptq", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"tinyml: {message}")
