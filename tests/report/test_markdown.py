"""A run as Markdown: tables stay tables, and the page fits GitHub's limit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.report.jobpage import add_to_job_page
from pytest_tinyml.report.markdown import LIMIT, code, markdown
from tests.report.made import EVIL

if TYPE_CHECKING:
    from pathlib import Path


EVERYTHING = {
    "passed": False,
    "problems": ["test_regression: top-1 is 12.50 pp worse", "test_room: too warm"],
    "gates": [
        {"metric": "arena", "limit": "1%", "status": "passed", "text": "the same"},
        {"metric": "top1", "limit": "0.2pp", "status": "failed", "text": "top-1 is 12.50 pp worse"},
    ],
    "statistics": {
        "top1_board": {"value": 1.0, "low": 0.675, "high": 1.0},
        "top1_reference": {"value": 0.875, "low": 0.529, "high": 0.978},
        "agreement": {"value": 0.875, "low": 0.529, "high": 0.978},
    },
    "explanation": {
        "cause": "kernel",
        "text": "operator 3 CONV_2D, tensor conv2d/Relu",
        "operator": {"dtype": "int8", "shape": (1, 8), "scale": 0.5, "zero_point": -1},
        "where": [0, 3],
        "sample": 7,
        "complete": True,
    },
}
PAGE = """
### ❌ FAILED: `own` on `desk-1`

8 of 8 samples of `own-data`, against `tflm 9.8`.

#### Gates

| gate |  | what was found |
|---|---|---|
| `top1:0.2pp` | ❌ failed | `top-1 is 12.50 pp worse` |
| `arena:1%` | ✅ passed | `the same` |

#### Problems

- `test_room: too warm`

#### Cause: `kernel`

- `operator 3 CONV_2D, tensor conv2d/Relu`
- `its output is int8 [1, 8], scale 0.5, zero point -1; most at [0, 3] of sample 7`

#### Figures

|  | board | host |
|---|---|---|
| top-1 | 100.00% (67.50% to 100.00%) | 87.50% (52.90% to 97.80%) |
| agreement | 87.50% (52.90% to 97.80%) |  |
| label flips | 1 |  |
| bit-exact | 87.50% |  |
| largest difference | 8 LSB |  |
| latency, median | 1,250.5 us |  |
| arena | 922 B |  |
| flash | 70,000 B |  |
| static RAM | 9,000 B |  |
| throughput | 500 samples/s |  |

#### Label flips

| sample | host | board | label |
|---|---|---|---|
| `#3` | 1 | 0 | 0 |

#### The board

|  |  |
|---|---|
| chip | `STM32F446` |
| engine | `aot` |
| link | `serial` |
| commit | `cccccccccccc` on `work` |
| model | `sha256 eeeeeeeeeeee` |
| pytest-tinyml | `1.2.3` |
"""


def test_page(results: dict[str, Any]) -> None:
    """The verdict comes first, then gates with the failed one first, problems, cause and figures."""
    assert PAGE == markdown(results | EVERYTHING)


def test_passed(results: dict[str, Any]) -> None:
    """What was not asked for is not there, and a number that was not measured is no number."""
    results["metrics"] |= {"max_lsb": None, "max_abs": None, "top1_board": None, "top1_reference": None}
    results["latency"] |= {"gated": False}
    text = markdown(results | {"git": None})
    assert text.startswith("\n### ✅ passed: ")
    assert "| largest difference | - |" in text
    assert "| latency, median | 1,250.5 us, clock of this computer |" in text
    for absent in ("Gates", "Problems", "Cause", "top-1", "commit"):
        assert absent not in text


def _cells(line: str) -> int:
    """Count a row's cells as GitHub does: a bar that is not escaped ends one, in code too."""
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def test_any_text(results: dict[str, Any]) -> None:
    """Whatever is said elsewhere stands in code spans of one line, and tables keep their columns."""
    gates = [
        {"metric": "top1", "limit": EVIL, "status": status, "text": f"{EVIL} gate"} for status in ("failed", "skipped")
    ]
    results["model"]["name"] = results["board"]["chip"] = results["board"]["id"] = EVIL
    results["git"]["branch"] = EVIL
    text = markdown(results | {"passed": False, "problems": [EVIL] * 3, "gates": gates})
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert 1 == len({_cells(line) for line in table.splitlines()})
    # Without its code spans (https://spec.commonmark.org/0.31.2/#code-spans), nothing of it is left.
    outside = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    for part in ("img", "@", "#12", "[31m", "$1", "ü"):
        assert part in text
        assert part not in outside
    text.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "`plain`"),
        ("", "`-`"),
        ("two\n lines", "`two lines`"),
        ("a `b`", "`` a `b` ``"),
        ("``", "``` `` ```"),
        ("x" * 601, f"`{'x' * 600} ...`"),
    ],
)
def test_code(text: str, expected: str) -> None:
    """A code span is on one line, and its fence is longer than any in it."""
    assert expected == code(text)


def test_many_problems(results: dict[str, Any]) -> None:
    """Ten are listed, the others counted."""
    text = markdown(results | {"passed": False, "problems": [f"problem {k}" for k in range(12)]})
    assert text.count("- `problem ") == 10
    assert "- and 2 more\n" in text


def test_it_always_fits(results: dict[str, Any]) -> None:
    """Thousands of flips, long messages and many gates make a short page; a smaller limit cuts whole sections off."""
    gate = {"metric": "top1", "limit": "1%", "status": "failed", "text": "ü|`" * 100_000}
    flip = {"id": 1, "reference": 2, "board": 3, "label": None}
    results["metrics"] |= {"flip_details": [flip] * 100_000, "flips": [1] * 100_000}
    large = results | {"problems": ["€" * 100_000] * 1000, "passed": False, "gates": [gate] * 10_000}
    assert len(markdown(large).encode()) < LIMIT / 8
    whole = markdown(results | EVERYTHING).encode()
    for limit in range(0, len(whole) + 60, 41):
        text = markdown(results | EVERYTHING, limit)
        assert len(text.encode()) <= limit
        assert (
            whole.decode() == text
            or not text
            or text.endswith("\n_The rest did not fit here: see the report's files._\n")
        )
        assert not text or text.startswith("\n### ❌ FAILED")


def test_job_page(results: dict[str, Any], tmp_path: Path) -> None:
    """Runs are appended to what the step has written; without the variable there is nothing to append to."""
    page = tmp_path / "page.md"
    page.write_text("before\n", encoding="utf-8")
    variables = {"GITHUB_STEP_SUMMARY": str(page)}
    assert None is add_to_job_page([results, results], variables)
    assert f"before\n{markdown(results)}{markdown(results)}" == page.read_text(encoding="utf-8")
    for nowhere in ({}, {"GITHUB_STEP_SUMMARY": ""}):
        assert None is add_to_job_page([results], nowhere)


@pytest.mark.parametrize(("pages", "cut"), [(0.0, 3), (0.4, 3), (1.4, 2), (9.0, 0)])
def test_a_job_page_that_is_nearly_full(results: dict[str, Any], tmp_path: Path, pages: float, cut: int) -> None:
    """GitHub shows nothing of a page above its limit: what does not fit is left out, and that is said."""
    page = tmp_path / "page.md"
    room = int(pages * len(markdown(results).encode()))
    page.write_bytes(b"x" * (LIMIT - room))
    said = add_to_job_page([results] * 3, {"GITHUB_STEP_SUMMARY": str(page)})
    assert LIMIT - room <= page.stat().st_size <= LIMIT
    assert (b"did not fit" in page.read_bytes()) == (0 < pages < 3)
    why = f"GITHUB_STEP_SUMMARY: {cut} of the runs are not whole there, as GitHub shows 1 MiB of a step"
    expected = why if cut else None
    assert expected == said


def test_a_job_page_that_cannot_be_written(results: dict[str, Any], tmp_path: Path) -> None:
    """That is said, and is no failure of the board."""
    said = add_to_job_page([results], {"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert f"cannot append to GITHUB_STEP_SUMMARY, {tmp_path}: Is a directory" == said
