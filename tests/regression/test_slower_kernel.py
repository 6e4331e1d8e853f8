"""A slower kernel is found without hardware: the emulated Cortex-M4 counts instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards import qemu_stm32f405
from tests.boards.emulated import need_board
from tests.projects import output

if TYPE_CHECKING:
    from tests.projects import Project

RUN: Final = (
    *("--board=qemu-stm32f405", "--tinyml-model=s1-ptq", "--tinyml-limit=100", "--tinyml-clock=instructions"),
    *("--tinyml-compare", "--tinyml-fail-on=instructions:0.5%", "--tinyml-fail-on=top1:0pp"),
)


def test_slower_kernel(project: Project) -> None:
    """Kernels that take more instructions fail the gate; the same ones count the same, and every label stays."""
    need_board(qemu_stm32f405.KIND)
    assert 0 == project.run(*RUN, "--tinyml-save=cmsis-nn").ret
    assert 0 == project.run(*RUN).ret
    (again, _) = project.results()["gates"]
    assert (0.0, "passed") == (again["change"], again["status"])
    result = project.run(*RUN, "--tinyml-option=kernels=portable")
    assert 1 == result.ret
    slower, top1 = project.results()["gates"]
    assert ("failed", "passed") == (slower["status"], top1["status"])
    # 2.2 times as many: docs/benchmarks.md.
    assert 100.0 < slower["change"] < 140.0
    assert f"gate failed: {slower['text']}" in output(result)
