"""``--tinyml-submit``: checked first, done last, and the report says what became of it."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from pytest_tinyml.cli import main
from pytest_tinyml.kaggle import client
from tests.kaggle.runs import SUBMIT, TFLM
from tests.kaggle.server import CREATE, LIST, SIGN_IN, Fault, LocalKaggle
from tests.projects import output, refusal, results_schema

if TYPE_CHECKING:
    from tests.projects import Project

ASKED = [SIGN_IN, SIGN_IN, LIST]
"""The calls of the check before the run: the client signs in when it is imported, and again when it is told to."""
DIGITS = ("--board", "tflm", "--tinyml-model", "s1-ptq", "--tinyml-dataset", "digits.npz")
OWN_TEST = "def test_mine(tinyml_model):\n    assert tinyml_model.name == {name!r}\n"


def names(result: pytest.RunResult) -> list[str]:
    """Return the names of the tests in the order in which they ran."""
    done = (" PASSED", " FAILED", " ERROR", " SKIPPED")
    return [
        line.rpartition("::")[2].split()[0] for line in result.outlines if "::" in line and any(map(line.count, done))
    ]


def submission(project: Project) -> dict[str, Any]:
    """Return what results.json, which has to be valid, says about the submission."""
    results = project.results()
    schema = results_schema()
    jsonschema.validate(results, schema, cls=jsonschema.Draft202012Validator)
    facts: dict[str, Any] = results["submission"]
    return facts


def test_submitted(kaggle: LocalKaggle, small: Project) -> None:
    """After everything else the predictions are submitted, once, and the score stands beside the expected."""
    result = small.run(*SUBMIT, "-v")
    assert 0 == result.ret
    assert "test_submission" == names(result)[-1]
    results = small.results()
    right = results["metrics"]["top1_board"]
    (made,) = kaggle.submissions
    facts = submission(small)
    assert {
        "competition": "digit-recognizer",
        "state": "scored",
        "file": "submission.csv",
        "message": made.description,
        "ref": made.ref,
        "public_score": right,
        "expected_ratio": right,
        "expected_by": "labels",
        "difference": 0.0,
        "error": None,
    } == facts
    assert (small.path / "tinyml-report" / "submission.csv").read_bytes() == made.content
    text = output(result)
    assert f"submitted as {made.ref}, public score {right:.5f}; expected {right:.5f} (+0.00 points)" in text
    warning = "own has labels, so it is not digit-recognizer's test.csv: predictions of other samples score by chance"
    assert 2 == text.count(warning)


def test_without_labels(kaggle: LocalKaggle, small: Project) -> None:
    """Without labels the host's predictions stand in for them, and the report says so."""
    small.data("own.npz", labels=None)
    result = small.run(*SUBMIT)
    assert 0 == result.ret
    facts = submission(small)
    assert ("host", 1.0) == (facts["expected_by"], facts["expected_ratio"])
    assert facts["public_score"] == kaggle.submissions[0].score
    text = output(result)
    assert "; no labels: the host's predictions in their place give 1.00000" in text
    assert "has labels" not in text
    assert "expected" not in kaggle.submissions[0].description


SELECTIONS: dict[str, tuple[str, ...]] = {
    "path": ("test_mine.py",),
    "keyword": ("-k", "identity"),
    "deselected": ("--deselect", "test_mine.py::test_mine", "-k", "not submission"),
    "suite by name": ("--pyargs", "pytest_tinyml.suite"),
    "reversed": ("-p", "backwards"),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_last_whatever_is_selected(kaggle: LocalKaggle, small: Project, name: str) -> None:
    """The submission is the last test, once, whatever else is selected or reorders."""
    small.pytester.makepyfile(
        test_mine=OWN_TEST.format(name="own"),
        backwards="import pytest\n@pytest.hookimpl(trylast=True)\n"
        "def pytest_collection_modifyitems(items): items.reverse()\n",
    )
    small.pytester.syspathinsert()
    result = small.run(*SUBMIT, "-v", *SELECTIONS[name])
    assert 0 == result.ret
    assert "test_submission" == names(result)[-1]
    assert 1 == names(result).count("test_submission")
    assert 1 == len(kaggle.submissions)


def test_not_without_the_option(small: Project) -> None:
    """Without the option there is no such test, and nothing about it in the results but the key."""
    result = small.run(*TFLM, "-v")
    assert "test_submission" not in names(result)
    assert submission(small) is None


def test_failed_run(kaggle: LocalKaggle, small: Project) -> None:
    """A test that uses the board has failed: nothing is submitted, and the last test says why."""
    small.pytester.makepyfile(test_mine=OWN_TEST.format(name="another"))
    result = small.run(*SUBMIT)
    result.assert_outcomes(passed=7, failed=2)
    message = "not submitted: run 1 did not pass: test_mine: "
    assert message in output(result)
    assert "digit-recognizer: not submitted: run 1 did not pass" in output(result)
    facts = submission(small)
    assert ("none", None) == (facts["state"], facts["file"])
    assert ASKED == kaggle.calls


def test_broken_board(kaggle: LocalKaggle, small: Project) -> None:
    """A board that must not begin the run leaves nothing to submit."""
    result = small.run(*SUBMIT, "--tinyml-option=fault=state")
    assert 1 == result.ret
    assert "not submitted: the run ended in test_canary: " in output(result)
    assert "none" == submission(small)["state"]
    assert ASKED == kaggle.calls


def test_session_that_ends_early(kaggle: LocalKaggle, small: Project) -> None:
    """With -x the session ends before the submission, and the summary says so."""
    small.pytester.makepyfile(test_a="def test_a(tinyml_model): raise AssertionError\n")
    result = small.run(*SUBMIT, "-x", "test_a.py")
    assert 1 == result.ret
    assert ASKED == kaggle.calls
    assert [] == kaggle.submissions


def test_refused_at_the_end(kaggle: LocalKaggle, small: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A submission that Kaggle refuses fails the session but not the run, which can be submitted later."""
    kaggle.plant(CREATE, Fault(status=400, text="daily limit reached"))
    result = small.run(*SUBMIT)
    result.assert_outcomes(passed=7, failed=1)
    assert "not submitted: Kaggle refuses: daily limit reached" in output(result)
    facts = submission(small)
    assert ("refused", "submission.csv", "Kaggle refuses: daily limit reached") == (
        facts["state"],
        facts["file"],
        facts["error"],
    )
    monkeypatch.chdir(small.path)
    assert 0 == main(["submit", "digit-recognizer"])
    assert small.results()["metrics"]["top1_board"] == kaggle.submissions[0].score


def test_doubt(kaggle: LocalKaggle, small: Project) -> None:
    """A time-out in the middle of the upload is told as what it is."""
    kaggle.plant("PUT", Fault(hang=True))
    result = small.run(*SUBMIT[:-1], "3")
    result.assert_outcomes(passed=7, failed=1)
    assert "submitting took longer than 3 s; the list of submissions does not have it so far" in output(result)
    assert "doubt" == submission(small)["state"]


def test_interrupted(kaggle: LocalKaggle, small: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the submission is made: the report says that it may have arrived."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "send", interrupt)
    result = small.pytester.runpytest_inprocess(*SUBMIT, no_reraise_ctrlc=True)
    assert 2 == result.ret
    assert "digit-recognizer: interrupted; tinyml submit digit-recognizer looks whether it arrived" in output(result)
    assert "intent" == submission(small)["state"]


def test_no_score(kaggle: LocalKaggle, small: Project) -> None:
    """A submission without a score is a submission; the summary says how to ask again."""
    kaggle.pending_looks = None
    result = small.run(*SUBMIT[:-1], "2")
    assert 0 == result.ret
    assert "no score within 2 s; expected" in output(result)
    assert "ask for the score with tinyml submit digit-recognizer" in output(result)
    assert "sent" == submission(small)["state"]


def test_not_scored(kaggle: LocalKaggle, small: Project) -> None:
    """A file that Kaggle cannot score fails the session."""
    kaggle.labels = (1, 2, 3)
    result = small.run(*SUBMIT)
    result.assert_outcomes(passed=7, failed=1)
    assert "Kaggle could not score the submission: Submission must have 3 rows" in output(result)
    assert "failed" == submission(small)["state"]


NOT_TO_BE_DONE: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown": ((*TFLM, "--tinyml-submit=titanic"), "no competition named 'titanic'. Known: digit-recognizer"),
    "some": (
        (*SUBMIT, "--tinyml-limit=30"),
        "digit-recognizer takes 40 predictions, but this is a run over 30 samples of own",
    ),
    "classes": ((*DIGITS, "--tinyml-submit=digit-recognizer"), "has 5 classes, but the model's output has 10"),
    "boards": ((*SUBMIT, "--board", "native,tflm"), "is for one run, but these are 2 (native, tflm): take one board"),
    "time": ((*TFLM, "--tinyml-submit-timeout=0"), "--tinyml-submit-timeout: '0' must be a positive number of seconds"),
    "no board": (("--tinyml-submit=digit-recognizer",), "add --board NAME"),
}


@pytest.mark.parametrize("name", NOT_TO_BE_DONE)
def test_refused_before_the_run(kaggle: LocalKaggle, small: Project, name: str) -> None:
    """What the competition cannot take is refused before anything is run, and before Kaggle is asked."""
    import numpy as np

    images = np.zeros((40, 28, 28), dtype=np.uint8)
    np.savez(small.path / "digits.npz", images=images)
    arguments, message = NOT_TO_BE_DONE[name]
    assert message in refusal(small.run(*arguments))
    assert [] == kaggle.calls
    assert not small.journal.exists()


def test_collecting_asks_nobody(kaggle: LocalKaggle, small: Project) -> None:
    """--collect-only lists the submission and does not ask Kaggle."""
    result = small.run(*SUBMIT, "--collect-only", "-q")
    assert "test_submission" in output(result)
    assert [] == kaggle.calls


def test_kaggles_own_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """28,000 digits without labels, in the archive that Kaggle gives, from the file to the score."""
    import numpy as np

    from pytest_tinyml.stores.datasets import load_dataset

    digits = load_dataset("mnist-28k")
    assert digits.labels is not None
    cells = np.array([f"{value}," for value in range(256)], dtype="S4")
    rows = cells[digits.images.reshape(len(digits), -1)]
    header = ",".join(f"pixel{k}" for k in range(784)).encode()
    lines = [b"".join(row.tolist())[:-1] for row in rows]
    with zipfile.ZipFile(project.path / "digit-recognizer.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("sample_submission.csv", "ImageId,Label\n1,0\n")
        archive.writestr("test.csv", b"\n".join([header, *lines, b""]))
        archive.writestr("train.csv", "label,pixel0\n0,0\n")
    with LocalKaggle(digits.labels.tolist()) as kaggle:
        for name, value in kaggle.environment.items():
            monkeypatch.setenv(name, value)
        result = project.run("--board", "tflm", "--tinyml-model", "s1-ptq", "--tinyml-dataset", "digit-recognizer.zip",
                             "--tinyml-submit", "digit-recognizer")  # fmt: skip
        (made,) = kaggle.submissions
    assert 0 == result.ret
    facts, card = submission(project), project.results()["model"]["card_top1"]
    assert ("scored", "host", 1.0) == (facts["state"], facts["expected_by"], facts["expected_ratio"])
    assert round(card, 5) == facts["public_score"] == round(made.score or 0.0, 5)
    assert f"in their place give 1.00000; the model's card has {card:.2%}" in output(result)
