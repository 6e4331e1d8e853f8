"""``tinyml submit``: what a session would have submitted, later and from the journal alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.cli import main
from pytest_tinyml.kaggle import competitions
from pytest_tinyml.stores.journal import Journal
from tests.kaggle.runs import SMALL, add_run, make_journal
from tests.kaggle.server import CREATE, Fault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kaggle.server import LocalKaggle

    Captured = pytest.CaptureFixture[str]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal at its default place with one run, and a competition for it."""
    monkeypatch.setitem(competitions.COMPETITIONS, SMALL.name, SMALL)
    monkeypatch.chdir(tmp_path)
    return make_journal(tmp_path / ".tinyml" / "journal.sqlite")


def test_submit(kaggle: LocalKaggle, journal: Path, capsys: Captured) -> None:
    """The last run is submitted, and asked for again it is not."""
    assert 0 == main(["submit", "digit-recognizer"])
    (made,) = kaggle.submissions
    text = capsys.readouterr().out
    assert text.startswith("run 1: own on tflm, 40 of own\nsubmitting to digit-recognizer: own on tflm")
    assert f"submitted as {made.ref}, public score 1.00000; expected 1.00000 (+0.00 points)" in text
    assert (journal.parents[1] / "digit-recognizer-run1.csv").read_bytes() == made.content
    assert 0 == main(["submit", "digit-recognizer"])
    assert "it is not sent again" in capsys.readouterr().out
    assert 1 == len(kaggle.submissions)


def test_dry_run(kaggle: LocalKaggle, journal: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """--dry-run writes the file, and needs neither Kaggle nor credentials."""
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    out = journal.parents[1] / "my.csv"
    assert 0 == main(["submit", "digit-recognizer", "--dry-run", "--out", str(out)])
    assert f"{out}: 40 predictions, as digit-recognizer takes them; not submitted" in capsys.readouterr().out
    competitions.check_submission(out, SMALL)
    assert [] == kaggle.calls


def test_run_by_number(kaggle: LocalKaggle, journal: Path, capsys: Captured) -> None:
    """--run picks one; an unknown number is refused with those that there are."""
    with Journal(journal) as opened:
        add_run(opened, board="native", labelled=False)
    assert 0 == main(["submit", "digit-recognizer", "--run", "1"])
    assert kaggle.submissions[0].description.startswith("own on tflm")
    assert 0 == main(["submit", "digit-recognizer"])
    assert kaggle.submissions[1].description.startswith("own on native")
    assert "no labels: the host's predictions in their place give 1.00000" in capsys.readouterr().out
    assert 2 == main(["submit", "digit-recognizer", "--run", "3"])
    assert "has no run 3 with a verdict; those that have one: 1, 2" in capsys.readouterr().err


def test_failures(kaggle: LocalKaggle, journal: Path, capsys: Captured) -> None:
    """What Kaggle refuses is status 1 with one line; what cannot be asked for is status 2."""
    kaggle.plant(CREATE, Fault(status=403, text="accept the rules"))
    assert 1 == main(["submit", "digit-recognizer"])
    assert capsys.readouterr().err.startswith("tinyml: Kaggle refuses: accept the rules; the rules have to be accepted")
    assert 2 == main(["submit", "titanic"])
    assert 2 == main(["submit", "digit-recognizer", "--timeout", "0"])
    assert 2 == main(["submit", "digit-recognizer", "--journal", "absent.sqlite"])
    assert "no journal absent.sqlite: name the one of the run with --journal" in capsys.readouterr().err
    assert not (journal.parents[1] / "absent.sqlite").exists()


def test_not_scored(kaggle: LocalKaggle, journal: Path, capsys: Captured) -> None:
    """A submission that Kaggle cannot score is status 1, with Kaggle's reason."""
    kaggle.labels = kaggle.labels[:3]
    assert 1 == main(["submit", "digit-recognizer"])
    assert "could not be scored: Submission must have 3 rows" in capsys.readouterr().out


def test_real_size(journal: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run over fewer samples than the competition has is refused."""
    monkeypatch.setitem(competitions.COMPETITIONS, SMALL.name, dataclasses.replace(SMALL, count=28_000))
    assert 1 == main(["submit", "digit-recognizer", "--dry-run"])
    assert "40 predictions, but digit-recognizer takes 28,000" in capsys.readouterr().err
