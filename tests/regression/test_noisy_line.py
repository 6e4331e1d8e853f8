"""A whole session over a noisy serial line: complete, right, and open about what was lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.projects import output

if TYPE_CHECKING:
    from tests.projects import Project

BOARD = """
from tests.lines.plug import LineKind, LineSettings

LINE = LineSettings(baud=3_000_000, bit_error=1e-4, dropped=1e-4, doubled=1e-4, cuts=((60_000, 2.0),), seed=5)


def pytest_tinyml_boards(registry):
    registry.register(LineKind(LINE))
"""


def test_a_session_over_a_noisy_line(project: Project) -> None:
    """Bit errors, dropped and doubled bytes at 1e-4 and a pulled cable: all tests pass, and losses are counted."""
    project.pytester.makeconftest(BOARD)
    result = project.run("--board=behind-line", "--tinyml-model=s1-ptq", "--tinyml-limit=1000")
    text = output(result)
    assert result.ret == 0, text
    results = project.results()
    assert results["metrics"]["differing_elements"] == 0
    assert results["metrics"]["count"] == 1000
    kinds = {fault["kind"] for fault in results["faults"]}
    assert {"dropped", "resend", "losses"} <= kinds
    (total,) = [fault["text"] for fault in results["faults"] if fault["kind"] == "losses"]
    counted = re.fullmatch(r"(\d+) damaged frames and (\d+) requests sent again in all", total)
    assert counted
    # A fifth of a thousand frames of one image, and of their answers.
    assert all(100 < int(number) < 600 for number in counted.groups())
    assert f"{len(results['faults'])} faults on the way" in text
    assert f"native: {total}" in text
