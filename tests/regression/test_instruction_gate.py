"""A slower kernel is found without hardware: the emulated boards count instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_tinyml.boards import qemu_stm32f405, qemu_xtensa
from tests.boards.emulated import need_board
from tests.projects import output

if TYPE_CHECKING:
    from pytest_tinyml.boards.emulated import EmulatedKind
    from tests.projects import Project

RUN: Final = (
    *("--tinyml-model=s1-ptq", "--tinyml-limit=40", "--tinyml-clock=instructions", "--tinyml-compare"),
    *("--tinyml-fail-on=instructions:0.5%", "--tinyml-fail-on=top1:0pp"),
    # Each operator is built and counted, however slow this computer is.
    "--tinyml-explain-timeout=600",
)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [(qemu_stm32f405.KIND, 100.0, 140.0), (qemu_xtensa.KIND, 15.0, 25.0)],
    ids=["stm32f405", "xtensa"],
)
def test_slower_kernel(project: Project, kind: EmulatedKind, low: float, high: float) -> None:
    """Kernels that take more instructions fail the gate; the same ones count the same, and every label stays."""
    need_board(kind)
    run = (f"--board={kind.name}", *RUN)
    assert 0 == project.run(*run, "--tinyml-save=vendor", "--tinyml-explain=auto").ret
    counted = project.results()["operators"]
    assert ["FULLY_CONNECTED"] * 3 + ["SOFTMAX"] == [one["type"] for one in counted]
    assert 1.0 == pytest.approx(sum(one["share"] for one in counted))
    assert 0 == project.run(*run).ret
    (again, _) = project.results()["gates"]
    assert (0.0, "passed") == (again["change"], again["status"])
    result = project.run(*run, "--tinyml-option=kernels=portable", "--tinyml-explain=auto")
    assert 1 == result.ret
    slower, top1 = project.results()["gates"]
    assert ("failed", "passed") == (slower["status"], top1["status"])
    # In percent: 155,944 to 343,490, and 583,872 to 695,828 instructions.
    assert low < slower["change"] < high
    text = output(result)
    assert f"gate failed: {slower['text']}" in text
    now = project.results()["operators"]
    assert [one["instructions"] for one in counted] == [one["baseline"] for one in now]
    # By far the largest layer, and the one whose kernel is another.
    assert "  operator 0 FULLY_CONNECTED takes " in text
