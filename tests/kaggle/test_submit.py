"""Whatever goes wrong on the way, a run is submitted once, by the real client to a server on this computer."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.campaign import submission as case
from pytest_tinyml.errors import CredentialsError, JournalError, SubmissionError, UsageError
from pytest_tinyml.records import Model, PreprocessSpec, TensorSpec
from pytest_tinyml.stores.journal import Journal
from pytest_tinyml.stores.submissions import State
from tests.kaggle.runs import LABELS, SAMPLES, SMALL, add_run, kept, make_journal, submit
from tests.kaggle.server import CREATE, LIST, PUT, START, Fault

if TYPE_CHECKING:
    from pytest_tinyml.records import Task
    from tests.kaggle.server import LocalKaggle


def test_success(kaggle: LocalKaggle, journal: Path) -> None:
    """The file is uploaded, submitted with the run's message, and the score comes back."""
    done = submit(journal)
    (made,) = kaggle.submissions
    assert (State.SCORED, 1.0, made.ref) == (done.state, done.score, done.ref)
    assert done == kept(journal)
    assert "own on tflm (engine tflm), agreement with tflm 100.00%, expected 100.00% [tinyml " in made.description
    lines = [f"{k + 1},{label}" for k, label in enumerate(LABELS)]
    assert "\n".join(["ImageId,Label", *lines, ""]) == made.content.decode()
    assert "submission.csv" == made.file_name


def test_again(kaggle: LocalKaggle, journal: Path) -> None:
    """What was submitted is not sent again, nor is Kaggle asked for a score that is known."""
    first = submit(journal)
    calls = len(kaggle.calls)
    said: list[str] = []
    assert first == submit(journal, said=said)
    assert calls == len(kaggle.calls)
    assert ["digit-recognizer has this submission already: it is not sent again"] == said


REFUSED: dict[str, tuple[str, Fault, str]] = {
    "rules": (START, Fault(status=403, text="accept the rules"), "Kaggle refuses: accept the rules; the rules have to"),
    "no such competition": (START, Fault(status=404, text="not found"), "Kaggle refuses: not found"),
    "too many": (START, Fault(status=429, retry_after_s=500.0, text="slowly"), "Kaggle asks to wait: slowly"),
    "too many, no word": (START, Fault(status=429, text="slowly"), "Kaggle asks to wait: slowly"),
    "server": (START, Fault(status=500, text="oops"), "Kaggle's server failed (500): oops"),
    "connection": (START, Fault(drop=True), "digit-recognizer: HTTPConnectionPool"),
    "storage": (PUT, Fault(status=500), "digit-recognizer: the upload of the file failed"),
    "refused at last": (CREATE, Fault(status=400, text="daily limit"), "Kaggle refuses: daily limit"),
    "too many at last": (CREATE, Fault(status=429, text="slowly"), "Kaggle asks to wait: slowly"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(kaggle: LocalKaggle, journal: Path, name: str) -> None:
    """A failure before the submission is made says why, and the next attempt sends it."""
    call, fault, message = REFUSED[name]
    kaggle.plant(call, fault)
    with pytest.raises(SubmissionError) as caught:
        submit(journal)
    assert str(caught.value).startswith(message)
    assert (False, State.REFUSED) == (caught.value.doubt, kept(journal).state)
    assert [] == kaggle.submissions
    assert State.SCORED is submit(journal).state
    assert 1 == len(kaggle.submissions)


@pytest.mark.parametrize("call", [START, CREATE])
def test_unauthenticated(kaggle: LocalKaggle, journal: Path, call: str) -> None:
    """A token that is no longer good (401) is a matter of credentials, with the remedy."""
    kaggle.plant(call, Fault(status=401, text="Unauthenticated"))
    with pytest.raises(
        CredentialsError, match=r"does not accept the credentials \(Unauthenticated\): set KAGGLE_API_TOKEN"
    ):
        submit(journal)
    assert State.REFUSED is kept(journal).state
    assert [] == kaggle.submissions


@pytest.mark.parametrize("call", [START, CREATE])
def test_too_many_requests(kaggle: LocalKaggle, journal: Path, call: str) -> None:
    """429 is tried again after the time that Kaggle asks for."""
    kaggle.plant(call, Fault(status=429, retry_after_s=1.0))
    began = time.monotonic()
    assert State.SCORED is submit(journal).state
    assert 1.0 < time.monotonic() - began
    assert 2 == kaggle.calls.count(call)
    assert 1 == len(kaggle.submissions)


def test_another_run(kaggle: LocalKaggle, journal: Path) -> None:
    """Another run is another submission, with a mark of its own, where nothing is in doubt."""
    submit(journal)
    with Journal(journal) as opened:
        add_run(opened, board="native")
    assert State.SCORED is submit(journal).state
    assert 2 == len({made.description for made in kaggle.submissions})


def test_no_score(kaggle: LocalKaggle, journal: Path) -> None:
    """A score that does not come is waited for within bounds; the next call asks again and does not send."""
    kaggle.pending_looks = None
    began = time.monotonic()
    done = submit(journal, timeout_s=2.0)
    assert (State.SENT, None, "no score within 2 s") == (done.state, done.score, done.text)
    assert 2.0 < time.monotonic() - began < 60.0
    kaggle.pending_looks = 1
    assert State.SCORED is submit(journal).state
    assert 1 == len(kaggle.submissions)


def test_list_fails_while_the_score_is_awaited(kaggle: LocalKaggle, journal: Path) -> None:
    """A failure or two of the list cost time, not the score."""
    kaggle.plant(LIST, Fault(status=429, retry_after_s=0.5), Fault(status=500), Fault(drop=True))
    assert State.SCORED is submit(journal).state


def test_refused_list_while_the_score_is_awaited(kaggle: LocalKaggle, journal: Path) -> None:
    """A list that is refused is no reason to take the submission for lost."""
    kaggle.plant(LIST, Fault(status=403, text="no"))
    done = submit(journal)
    assert (State.SENT, State.SENT) == (done.state, kept(journal).state)
    assert done.text.startswith("no score: Kaggle refuses: no")


def test_not_scored(kaggle: LocalKaggle, journal: Path) -> None:
    """A file that Kaggle cannot score is not sent again."""
    kaggle.labels = LABELS[:-1]
    done = submit(journal)
    assert (State.FAILED, f"Submission must have {SAMPLES - 1} rows") == (done.state, done.text)
    assert State.FAILED is submit(journal).state
    assert 1 == len(kaggle.submissions)


def test_failed_run(kaggle: LocalKaggle, tmp_path: Path) -> None:
    """A run that did not pass is not submitted, and leaves no file."""
    journal = make_journal(tmp_path / "journal.sqlite", problems=("37 of 40 samples differ", "more"))
    with pytest.raises(SubmissionError, match="run 1 did not pass: 37 of 40 samples differ"):
        submit(journal)
    assert [] == kaggle.calls
    assert not (tmp_path / "submission.csv").exists()


def test_two_at_once(kaggle: LocalKaggle, journal: Path) -> None:
    """While one process submits, another is refused."""
    submit(journal)
    digest = kept(journal).csv_sha256
    with Journal(journal) as first:
        first.exclude_others(f"submission {SMALL.name} {digest}")
        with pytest.raises(JournalError, match="is working on the same run"):
            submit(journal)


@pytest.mark.parametrize(
    ("samples", "task", "outputs", "message"),
    [
        (39, "classification", 10, r"takes 40 predictions, but this is a run over 39 samples of own"),
        (41, "classification", 10, r"takes 40 predictions, but this is a run over 41 samples of own"),
        (40, "classification", 9, r"has 10 classes, but the model's output has 9"),
        (40, "regression", 10, r"takes classes, but the task of model 'own' is regression"),
    ],
)
def test_shape(samples: int, task: Task, outputs: int, message: str) -> None:
    """Another number of samples or of classes, or none, is refused before anything is run."""
    tensor = TensorSpec(dtype="float32", shape=(1, outputs))
    model = Model(
        name="own",
        path=Path("own.tflite"),
        data=b"",
        sha256="",
        input=tensor,
        output=tensor,
        preprocess=PreprocessSpec(),
        task=task,
    )
    with pytest.raises(UsageError, match=message):
        case.check_shape(replace(SMALL, classes=10), samples=samples, model=model, dataset="own")
