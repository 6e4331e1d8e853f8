"""Two runs beside each other: over the samples that both answered, with a verdict at a stated error rate."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from pytest_tinyml.cli import main
from pytest_tinyml.errors import UsageError
from pytest_tinyml.report.comparison import compare_runs, comparison_lines
from pytest_tinyml.report.html.compare import write_comparison
from pytest_tinyml.stores.journal import Journal
from tests.browser import PHONE
from tests.report.made import make_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.report.base import Report
    from tests.browser import OpenTab

pytestmark = pytest.mark.xdist_group("comparison")
SAMPLES: Final = 40
# The first class of three, by far.
RIGHT: Final = np.tile(np.array([[100, 0, -100]], dtype=np.int8), (SAMPLES, 1))
LABELS: Final = np.zeros(SAMPLES, dtype=np.int64)


def wrong(count: int) -> npt.NDArray[np.int8]:
    """Return outputs of which the first so many are wrong."""
    outputs = RIGHT.copy()
    outputs[:count] = outputs[:count, ::-1]
    return outputs


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A new journal."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield journal


def run(journal: Journal, outputs: npt.NDArray[Any], **more: Any) -> Report:
    """Record a run whose host gives what is right."""
    host = RIGHT if outputs.dtype == np.int8 else ((RIGHT.astype(np.float32) + 1) * np.float32(0.5))
    ((earlier,),) = journal.execute("SELECT count(*) FROM run")
    return make_run(journal, outputs, host, firmware=f"{earlier:x}", **({"truth": LABELS} | more))


def other(report: Report, part: str, **more: Any) -> Report:
    """Return a report whose results say something else in a part."""
    return replace(report, results=report.results | {part: report.results[part] | more})


@pytest.mark.parametrize(
    ("before", "after", "finding", "said"),
    [
        (0, 0, "same", "The outputs are the same for each of 40 samples."),
        (0, 3, "noise", "3 of 40 samples have another class: 3 became wrong, 0 became right. That is noise"),
        (
            0,
            6,
            "regression",
            "6 of 40 samples have another class: 6 became wrong, 0 became right. That is a regression",
        ),
        (20, 0, "improvement", "20 of 40 samples have another class: 0 became wrong, 20 became right. That is an impr"),
    ],
)
def test_findings(journal: Journal, before: int, after: int, finding: str, said: str) -> None:
    """The verdict is McNemar's, on the samples that only one of the runs has right."""
    found = compare_runs(run(journal, wrong(before)), run(journal, wrong(after)))
    assert finding == found.finding
    line = comparison_lines(found)[0]
    assert line.startswith(said)
    assert line.endswith(" Run 1 and run 2, own-data:")
    assert ("p = 0.031" in line, "p < 0.001" in line) == (finding == "regression", finding == "improvement")


def test_without_labels(journal: Journal) -> None:
    """Other classes are counted, and nobody says which are right."""
    found = compare_runs(run(journal, wrong(0), truth=None), run(journal, wrong(2), truth=None))
    assert "different" == found.finding
    assert "2 of 40 samples have another class; without labels nobody can say which are right." in "".join(
        comparison_lines(found)
    )


def test_other_quantisation(journal: Journal) -> None:
    """An int8 model beside the float model that it was made from is compared in real values."""
    real = (wrong(4).astype(np.float32) + 1) * np.float32(0.5)
    found = compare_runs(run(journal, wrong(0)), run(journal, real))
    assert ("float32", 4, [0, 1, 2, 3]) == (found.tensor.dtype, found.metrics["differing"], found.metrics["flips"])


def test_regression(journal: Journal) -> None:
    """Of values it says how far they are apart."""
    values = RIGHT.astype(np.float32)
    sides = [run(journal, one, truth=values.astype(np.float64), task="regression") for one in (values, values + 2)]
    found = compare_runs(*sides)
    assert "Outputs differ for 40 of 40 samples, by at most 2." in comparison_lines(found)[0]
    assert ("RMSE", "0", "2", "+2", False) == next(
        (row.title, row.first, row.second, row.change, row.better) for row in found.rows if row.title == "RMSE"
    )


def test_only_what_both_answered(journal: Journal) -> None:
    """Of unfinished runs the samples count that are in both."""
    first = run(journal, wrong(10), answered=np.arange(0, 30))
    second = run(journal, wrong(0), answered=np.arange(5, 40))
    found = compare_runs(first, second)
    assert (25, (5, 10), [5, 6, 7, 8, 9]) == (found.metrics["compared"], found.answered, found.metrics["flips"])


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (
            "dataset",
            {"sha256": "a" * 64, "name": "other"},
            "data sets: run 1 has own-data (SHA-256 dddddddddddd), run 2 has other (SHA-256 aaaaaaaaaaaa)",
        ),
        (
            "model",
            {"task": "regression"},
            "models: run 1 has own (classification, 3 outputs), run 2 has own (regression, 3 outputs)",
        ),
    ],
)
def test_refused(journal: Journal, part: str, change: dict[str, Any], message: str) -> None:
    """Runs that have no samples or no outputs in common are not put beside each other."""
    first = run(journal, wrong(0))
    with pytest.raises(UsageError) as caught:
        compare_runs(first, other(run(journal, wrong(0)), part, **change))
    what, colon, runs = message.partition(": ")
    assert f"runs of different {what} cannot be compared{colon}{runs}" == str(caught.value)


def test_nothing_in_common(journal: Journal) -> None:
    """Two runs that answered other samples are refused."""
    sides = [run(journal, wrong(0), answered=ids) for ids in (np.arange(10), np.arange(10, 40))]
    with pytest.raises(UsageError, match="runs 1 and 2 cannot be compared: no sample was answered in both"):
        compare_runs(*sides)


@pytest.mark.parametrize(
    ("sides", "word"), [((0, 6), "Regression"), ((6, 6), "The same outputs"), ((0, 1), "No change in accuracy shown")]
)
def test_the_page(journal: Journal, open_tab: OpenTab, tmp_path: Path, sides: tuple[int, int], word: str) -> None:
    """It says the verdict first, asks nobody for anything, and everybody can read it."""
    first, second = (run(journal, wrong(count)) for count in sides)
    path = tmp_path / "compare.html"
    write_comparison(compare_runs(first, second), path)
    tab = open_tab(path.as_uri(), width=PHONE, scheme="dark" if sides[0] else "light")
    assert word == tab.page.inner_text("h1").strip()
    assert ([], [path.as_uri()], [], 0) == (tab.errors, tab.requests, tab.inaccessible(), tab.overflow_px())
    assert ["firmware's SHA-256\t0000000000000000\t1111111111111111"] == tab.page.locator(
        "#apart tbody tr"
    ).all_inner_texts()


def test_the_command(journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`tinyml report --compare` writes the page, and prints what it found."""
    for count in (0, 6):
        report = run(journal, wrong(count))
        statement = "INSERT INTO verdict (run, at, results) VALUES (?, 0, ?)"
        journal.write([(statement, [(report.run.id, json.dumps(report.results))])])
    command = ["report", "--journal", str(journal.path), "--output", str(tmp_path / "out"), "--compare"]
    assert 0 == main([*command, "1", "2"])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("6 of 40 samples have another class: 6 became wrong, 0 became right.")
    page = tmp_path / "out" / "compare-1-2.html"
    assert f"  written: {page}" == said[-1]
    assert "Regression" in page.read_text(encoding="utf-8")
    assert 2 == main([*command, "1", "3"])
    assert f"tinyml: no run '3' in {journal.path}; newest first: 2, 1\n" == capsys.readouterr().err
    assert 2 == main([*command, "1", "2", "1"])
    assert "tinyml: --compare names the runs: leave out '1'\n" == capsys.readouterr().err
