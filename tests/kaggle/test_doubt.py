"""When it is not known whether a submission arrived, nothing is sent again before Kaggle's list was looked at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.errors import SubmissionError
from pytest_tinyml.kaggle import client
from pytest_tinyml.stores.journal import Journal
from pytest_tinyml.stores.submissions import State
from tests.kaggle.runs import add_run, kept, submit
from tests.kaggle.server import CREATE, LIST, PUT, SIGN_IN, START, Fault, Submitted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kaggle.server import LocalKaggle

ARRIVED: dict[str, Fault] = {
    "no answer": Fault(act=True, hang=True),
    "broken connection": Fault(act=True, drop=True),
    "server failed": Fault(act=True, status=500),
    "gateway": Fault(act=True, status=504),
}


@pytest.mark.parametrize("name", ARRIVED)
def test_lost_answer(kaggle: LocalKaggle, journal: Path, name: str) -> None:
    """A submission that arrived although its answer did not is found in the list, and not sent again."""
    kaggle.plant(CREATE, ARRIVED[name])
    done = submit(journal, timeout_s=3.0 if ARRIVED[name].hang else 60.0)
    assert (State.SCORED, kaggle.submissions[0].ref) == (done.state, done.ref)
    assert 1 == kaggle.calls.count(CREATE)


LOST: dict[str, tuple[str, Fault]] = {
    "time-out in the middle of the upload": (PUT, Fault(hang=True)),
    "no answer": (CREATE, Fault(hang=True)),
    "broken connection": (CREATE, Fault(drop=True)),
    "server failed": (CREATE, Fault(status=502)),
}


@pytest.mark.parametrize("name", LOST)
def test_doubt(kaggle: LocalKaggle, journal: Path, name: str) -> None:
    """What may have arrived is not sent again at once; later the list is looked at before it is."""
    call, fault = LOST[name]
    kaggle.plant(call, fault)
    with pytest.raises(
        SubmissionError, match="the list of submissions does not have it so far; not sent again"
    ) as caught:
        submit(journal, timeout_s=3.0 if fault.hang else 60.0)
    assert (True, State.DOUBT) == (caught.value.doubt, kept(journal).state)
    assert 1 == kaggle.calls.count(START)
    before = len(kaggle.calls)
    assert State.SCORED is submit(journal).state
    later = kaggle.calls[before:]
    assert later.index(LIST) < later.index(START)
    assert 1 == len(kaggle.submissions)


def test_late_arrival(kaggle: LocalKaggle, journal: Path) -> None:
    """A submission that is listed only after the session gave up is found by the next, which sends nothing."""
    kaggle.plant(CREATE, Fault(status=500))
    with pytest.raises(SubmissionError):
        submit(journal)
    kaggle.submissions.append(Submitted(ref=7, description=kept(journal).message, file_name="", content=b"", score=0.5))
    done = submit(journal)
    assert (State.SCORED, 7, 0.5) == (done.state, done.ref, done.score)
    assert 1 == kaggle.calls.count(CREATE)


def test_list_not_to_be_had(kaggle: LocalKaggle, journal: Path) -> None:
    """Without the list nothing is sent again, neither in this session nor in the next."""
    kaggle.plant(CREATE, Fault(status=500, act=True))
    kaggle.plant(LIST, *[Fault(status=500, text="no list")] * 50)
    with pytest.raises(SubmissionError, match=r"the list cannot be had .*no list") as caught:
        submit(journal)
    assert caught.value.doubt
    with pytest.raises(SubmissionError, match="no list"):
        submit(journal)
    assert State.DOUBT is kept(journal).state
    kaggle.faults.clear()
    assert State.SCORED is submit(journal).state
    assert 1 == kaggle.calls.count(CREATE)


def test_a_client_that_does_not_sign_in(kaggle: LocalKaggle, journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time before the client has signed in is not the submission's, and leaves no doubt: nothing was sent."""
    monkeypatch.setattr(client, "START_S", 1.0)
    kaggle.plant(SIGN_IN, Fault(hang=True))
    with pytest.raises(SubmissionError, match="client has not signed in within 1 s") as caught:
        submit(journal, timeout_s=0.001)
    assert (False, State.REFUSED) == (caught.value.doubt, kept(journal).state)
    assert START not in kaggle.calls


def wait_for_call(kaggle: LocalKaggle, call: str, timeout_s: float = 120.0) -> None:
    """Wait until a call has come."""
    deadline = time.monotonic() + timeout_s
    while call not in kaggle.calls:
        assert time.monotonic() < deadline, kaggle.calls
        time.sleep(0.01)


def test_killed_in_the_middle(kaggle: LocalKaggle, journal: Path) -> None:
    """A process that is killed while its submission is made leaves word: the next one finds it in the list."""
    kaggle.plant(CREATE, Fault(act=True, hang=True))
    code = """
        import sys
        from pathlib import Path
        from tests.kaggle.runs import submit
        submit(Path(sys.argv[1]), timeout_s=60.0)
        """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(journal)], start_new_session=True)
    try:
        wait_for_call(kaggle, CREATE)
        # The worker of the client dies with it, as when the computer goes off.
        os.killpg(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert State.INTENT is kept(journal).state
    assert State.SCORED is submit(journal).state
    assert 1 == kaggle.calls.count(CREATE) == len(kaggle.submissions)


def test_measured_again(kaggle: LocalKaggle, journal: Path) -> None:
    """Who measures again after a doubt has the same predictions, and does not submit them twice."""
    kaggle.plant(CREATE, Fault(act=True, status=500))
    kaggle.plant(LIST, *[Fault(status=500)] * 50)
    with pytest.raises(SubmissionError):
        submit(journal)
    kaggle.faults.clear()
    with Journal(journal) as opened:
        again = add_run(opened)
    done = submit(journal)
    assert (again, State.SCORED, kaggle.submissions[0].ref) == (done.run, done.state, done.ref)
    assert 1 == len(kaggle.submissions)


def test_many_submissions(kaggle: LocalKaggle, journal: Path) -> None:
    """The list is searched page by page."""
    kaggle.plant(CREATE, Fault(status=500, act=True))
    kaggle.plant(LIST, *[Fault(status=500)] * 50)
    with pytest.raises(SubmissionError):
        submit(journal)
    kaggle.faults.clear()
    others = [Submitted(ref=k, description=f"of others {k}", file_name="", content=b"", score=0.1) for k in range(45)]
    kaggle.submissions += others
    done = submit(journal)
    assert kaggle.submissions[0].ref == done.ref
    assert 46 == len(kaggle.submissions)
