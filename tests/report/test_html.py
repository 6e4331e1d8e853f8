"""The HTML report in a browser: what it says, that it asks nobody for anything, and that everybody can read it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from pytest_tinyml.report.base import Report
from pytest_tinyml.report.html.page import write_html
from pytest_tinyml.report.statistics import statistics
from pytest_tinyml.report.view import results_of
from pytest_tinyml.stores.archive import Archive, RunRecord
from pytest_tinyml.stores.journal import Journal
from pytest_tinyml.stores.runs import RunJournal
from tests.browser import PHONE
from tests.report.made import EVIL, INT8, facts, make_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.browser import OpenTab, Tab

# One browser for all of them.
pytestmark = pytest.mark.xdist_group("html")
SAMPLES: Final = 60
HOST: Final = np.random.default_rng(5).integers(-128, 127, (SAMPLES, 3)).astype(np.int8)
LABELS: Final = np.argmax(HOST, axis=1).astype(np.int64)
REAL: Final = np.random.default_rng(6).normal(size=(SAMPLES, 3)).astype(np.float32)
PICTURES: Final = {k: np.full((28, 28), 4 * k, dtype=np.uint8) for k in range(12)}
FLIPPED: Final = (0, 3, 40)


def flipped() -> Any:
    """Return the host's outputs, but for three samples: another class, and for two more a step or two."""
    board = HOST.copy()
    for sample in FLIPPED:
        board[sample] //= 2
        board[sample, (LABELS[sample] + 1) % 3] = 127
    board[7, 0] ^= 1
    board[9, 1] ^= 2
    return board


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A new journal."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield journal


def with_pictures(report: Report) -> Report:
    """Keep what the first samples look like, as a session does."""
    key, archive = report.run.key, report.archive
    archive.journal.write([("UPDATE run SET finished = NULL", [()])])
    run = RunJournal(archive.journal, report.run.id, key, 3)
    run.keep_pictures(PICTURES)
    return report


def changed(report: Report, **more: Any) -> Report:
    """Return a report with other results."""
    return replace(report, results=report.results | more)


def passed(journal: Journal) -> Report:
    """Every byte is the host's."""
    return with_pictures(make_run(journal, HOST, HOST, truth=(LABELS + (np.arange(SAMPLES) % 5 == 0)) % 3))


def failed(journal: Journal) -> Report:
    """Three flips and two small differences."""
    report = with_pictures(make_run(journal, flipped(), HOST, truth=LABELS))
    return changed(
        report, passed=False, problems=["test_samples[0-59]: too many", "5 of 60 samples differ from tflm"],
        statistics=statistics(report.results["metrics"]),
    )  # fmt: skip


def unlabelled(journal: Journal) -> Report:
    """There are no labels."""
    return make_run(journal, flipped(), HOST, truth=None)


def unfinished(journal: Journal) -> Report:
    """The process was killed after fifty of sixty samples."""
    report = make_run(journal, HOST, HOST, truth=LABELS, answered=np.arange(50), compared=40)
    return replace(report, results=results_of(report.archive, report.run))


def never_begun(journal: Journal) -> Report:
    """The board was refused before the first sample."""
    results = facts(INT8, SAMPLES)
    results |= {"problems": ["CanaryError: engine differs"], "latency": dict.fromkeys(results["latency"])}
    results["latency"] |= {"unit": "us", "gated": False}
    return Report(results=results, archive=Archive(journal), run=RunRecord.never_begun(results))


def floats(journal: Journal) -> Report:
    """Outputs are float32; one is not a number, and one is infinite."""
    board = REAL.copy()
    board[::3] += np.float32(1e-6)
    board[5], board[6, 1] = np.nan, np.inf
    with np.errstate(all="ignore"):
        return make_run(journal, board, REAL, truth=LABELS)


def regression(journal: Journal) -> Report:
    """Values with targets."""
    board = REAL + np.float32(0.01)
    return make_run(journal, board, REAL, truth=REAL.astype(np.float64) * 1.1, task="regression")


def regression_without_targets(journal: Journal) -> Report:
    """Values without targets."""
    return make_run(journal, REAL, REAL, truth=None, task="regression")


def everything(journal: Journal) -> Report:
    """All that a report can hold, and names that try to break out of the page."""
    report = failed(journal)
    history = [
        {"name": f"b{k}", "number": k, "created": "2026-01-01T00:00:00Z", "commit": None, "top1": 0.98 + k / 1000,
         "agreement": 1.0, "latency_p50": 1200.0 + k, "arena_bytes": 900 + k, "flash_bytes": 70_000, "rmse": None,
         "instructions": None}
        for k in range(1, 5)
    ]  # fmt: skip
    gate = {"limit": "0.2pp", "baseline": 1.0, "now": 0.95, "change": -5.0, "unit": "pp", "worse_is": "lower"}
    return changed(
        report,
        problems=[f"test_regression: {EVIL}", *(f"test_{k}: {EVIL}" for k in range(20))],
        extra={"note": EVIL},
        board=report.results["board"] | {"chip": EVIL, "verified": False, "lost": [EVIL]},
        boards=[{"name": f"b{k}", "samples": 30, "samples_per_s": 1.0, "lost": k == 1} for k in range(2)],
        git={"commit": "c" * 40, "dirty": True, "branch": EVIL},
        faults=[{"at": report.run.started + 0.1, "board": EVIL, "kind": "restart", "text": EVIL}] * 60,
        conflicts=[3],
        server={"tasks": 3, "refused_token": 1},
        build={"compiler": "gcc", "kernels": "cmsis-nn", "kernels_used": [
            {"index": 0, "operator": "CONV_2D", "function": "arm_convolve", "vendor": True},
            {"index": 1, "operator": "RESHAPE", "function": "", "vendor": False},
        ]},
        submission={"competition": "digit-recognizer", "state": "scored", "public_score": 0.96, "expected_ratio": 0.965,
                    "error": EVIL},
        performance=[{"board": "b0", "median_per_s": 800.0, "windows": [{}] * 5, "valid": False, "remarks": [EVIL]}],
        sequential={"text": f"stopped early {EVIL}"},
        gates=[
            gate | {"metric": "arena", "status": "passed", "text": "the same", "unit": "B", "change": None},
            gate | {"metric": "top1", "status": "failed", "text": f"worse {EVIL}"},
        ],
        baseline={
            "name": EVIL, "number": 4, "created": "2026-01-01T00:00:00Z", "commit": "b" * 40, "compared": SAMPLES,
            "mcnemar": {"better": 0, "worse": 3, "p": 0.25, "alpha": 0.05, "verdict": "noise"},
            "per_class": [{"class": 1, "worse": 3, "better": 0, "p_adjusted": 1e-9, "significant": True}],
            "flips_new": [7, 40], "history": history,
        },
        explanation={
            "cause": "kernel", "text": f"the kernel {EVIL}", "max_lsb": 9, "where": [0, 3, 1], "sample": 40,
            "operator": {"index": 3, "type": "CONV_2D", "tensor": EVIL, "shape": [1, 5, 5, 8], "dtype": "int8",
                         "scale": 0.05, "zero_point": -3},
            "steps": ["canary: the input is the same", EVIL], "seconds": 12.5, "complete": False,
        },
    )  # fmt: skip


ALL: Final[tuple[Callable[[Journal], Report], ...]] = (
    *(passed, failed, unlabelled, unfinished, never_begun, floats, regression, regression_without_targets, everything),
)


def opened(report: Report, open_tab: OpenTab, tmp_path: Path, **screen: Any) -> Tab:
    """Write a report and open it."""
    path = tmp_path / "report.html"
    write_html(report, path)
    return open_tab(path.as_uri(), **screen)


DESK: Final[dict[str, Any]] = {}
NIGHT: Final = {"width": PHONE, "scheme": "dark"}


@pytest.mark.parametrize(
    ("make", "screen"),
    [*((make, DESK) for make in ALL), *((make, NIGHT) for make in (failed, unfinished, regression, everything))],
)
def test_everybody_can_read_it(
    journal: Journal, open_tab: OpenTab, tmp_path: Path, make: Callable[[Journal], Report], screen: dict[str, Any]
) -> None:
    """On a desk in light and on a phone in the dark: no error, no request, nothing inaccessible, nothing too wide."""
    tab = opened(make(journal), open_tab, tmp_path, **screen)
    tab.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert [] == tab.errors
    assert [(tmp_path / "report.html").as_uri()] == tab.requests
    assert [] == tab.inaccessible()
    assert 0 == tab.overflow_px()
    assert "None" not in tab.page.inner_text("main").replace("None: no restart", "")


@pytest.mark.parametrize(
    ("make", "word"), [(passed, "Passed"), (failed, "Failed"), (unfinished, "Unfinished"), (never_begun, "Failed")]
)
def test_the_verdict_is_first(
    journal: Journal, open_tab: OpenTab, tmp_path: Path, make: Callable[[Journal], Report], word: str
) -> None:
    """The first heading is the verdict, and the title of the tab says it too."""
    page = opened(make(journal), open_tab, tmp_path).page
    assert word == page.inner_text("h1").strip()
    assert f"{word}: own on desk-1" == page.title()


def test_an_unfinished_run_says_so_on_top(journal: Journal, open_tab: OpenTab, tmp_path: Path) -> None:
    """Before any figure it says how far the run came."""
    tab = opened(unfinished(journal), open_tab, tmp_path)
    said = "This run is unfinished. 50 of 60 samples were answered; the run was ended before its verdict."
    assert said == tab.page.inner_text("header .banner").strip()
    banner, tile = (tab.page.locator(one).first.bounding_box() for one in (".banner", ".tile"))
    assert banner is not None
    assert tile is not None
    assert banner["y"] < tile["y"]


def test_the_gallery(journal: Journal, open_tab: OpenTab, tmp_path: Path) -> None:
    """Flips come first, the farthest on top if there are pictures of them, then what else changed."""
    page = opened(failed(journal), open_tab, tmp_path).page
    parts = page.locator("#samples .part")
    assert "3 samples with another class than on the host" == parts.nth(0).locator("h3").inner_text()
    names = [text.split()[0] for text in parts.nth(0).locator("h4").all_inner_texts()]
    assert {"#0", "#3"} == set(names[:2])
    assert "#40" == names[2]
    assert 1 == parts.nth(0).locator(".nopicture").count()
    assert ["#9", "#7"] == [text.split()[0] for text in parts.nth(1).locator("h4").all_inner_texts()]
    size = page.evaluate("[...document.querySelectorAll('.look img')].map(i => [i.naturalWidth, i.naturalHeight])")
    assert [[28, 28]] * 4 == size
    board = flipped()
    shown = parts.nth(0).locator(".sample", has_text="#40").locator("tbody tr").all_inner_texts()
    expected = [f"{k} {(int(HOST[40, k]) + 1) * 0.5:g} {(int(board[40, k]) + 1) * 0.5:g}".split() for k in range(3)]
    assert expected == [row.replace("\N{MINUS SIGN}", "-").split() for row in shown]


def test_the_matrices(journal: Journal, open_tab: OpenTab, tmp_path: Path) -> None:
    """Cells are the counts of board and host, and their difference."""
    report = failed(journal)
    page = opened(report, open_tab, tmp_path).page
    metrics = report.results["metrics"]
    tables = [
        [[cell.replace("\N{MINUS SIGN}", "-") for cell in row.locator("td").all_inner_texts()] for row in rows.all()]
        for rows in (page.locator(".matrix").nth(k).locator("tbody tr") for k in range(3))
    ]
    board, host = (np.array(metrics[f"confusion_{side}"]) for side in ("board", "reference"))
    for table, numbers in zip(tables, (board, host, board - host), strict=True):
        assert numbers.tolist() == [[int(cell or 0) for cell in row] for row in table]


def test_failed_gates_come_first(journal: Journal, open_tab: OpenTab, tmp_path: Path) -> None:
    """The gate that failed is above one that passed, whatever their order was."""
    page = opened(everything(journal), open_tab, tmp_path).page
    rows = [text.split("\t")[:6] for text in page.locator("#gates tbody tr").all_inner_texts()]
    assert ["failed", "top1", "0.2pp", "100.000 %", "95.000 %", "\N{MINUS SIGN}5 pp"] == rows[0]
    assert ["passed", "arena"] == rows[1][:2]


def test_names_stay_text(journal: Journal, open_tab: OpenTab, tmp_path: Path) -> None:
    """What a board says is shown, and never is markup."""
    tab = opened(everything(journal), open_tab, tmp_path)
    assert 0 == tab.page.locator("[onerror]").count()
    assert "<img src=x onerror=1>" in tab.page.inner_text("#culprit .callout")
    assert b"\x1b" not in (tmp_path / "report.html").read_bytes()


def test_made_again_it_is_the_same(journal: Journal, tmp_path: Path) -> None:
    """The page depends on nothing but the journal."""
    report = failed(journal)
    for name in ("a.html", "b.html"):
        write_html(report, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
