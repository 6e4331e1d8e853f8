"""Clients of users' own, one request per image: compared like any board; what cannot be known is said to be unknown."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.plan import make_boards, make_plans
from pytest_tinyml.errors import UnknownNameError, UsageError
from pytest_tinyml.links.http.served import ServedRun
from pytest_tinyml.links.http.simple import Desk
from pytest_tinyml.stores.models import load_model
from tests.unit.simulated import MODEL, make_dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.projects import Project

SAMPLES: Final = 60
CLIENT: Final = Path(__file__).with_name("ownclient.py")
INVITATION: Final = re.compile(r"waiting for a client at (\S+); the token is in (\S+)")
TIMEOUT_S: Final = 240.0


def run(project: Project, *flags: str, options: tuple[str, ...] = ()) -> tuple[int, str, dict[str, Any]]:
    """Run pytest and a client; returns pytest's exit code, its output, and results.json."""
    session = project.spawn(
        *("--board", "http-client", "--tinyml-model", "s1-ptq", "--tinyml-limit", str(SAMPLES), "-rs"),
        *("-p", "no:cacheprovider", *options),
    )
    assert session.stdout is not None
    output = ""
    try:
        while (found := INVITATION.search(output)) is None:
            line = session.stdout.readline()
            assert line, output
            output += line
        url, token_file = found[1], project.path / found[2]
        assert 0o600 == stat.S_IMODE(token_file.stat().st_mode)
        token = token_file.read_text(encoding="ascii").strip()
        client = subprocess.run(
            [sys.executable, str(CLIENT), url, str(token_file), str(load_model("s1-ptq").path), *flags],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert (0, "0\n") == (client.returncode, client.stdout), client.stderr
        rest, _ = session.communicate(timeout=TIMEOUT_S)
    finally:
        session.kill()
        session.wait()
    output += rest
    assert token not in output
    assert not token_file.exists()
    assert token not in (project.path / "tinyml-report" / "logs" / "http-client.console.log").read_text("utf-8")
    return session.returncode, output, project.results()


@pytest.mark.parametrize("flags", [(), ("text",), ("twice",)], ids=["binary", "text", "one twice"])
def test_a_client_is_compared_bit_by_bit(project: Project, flags: tuple[str, ...]) -> None:
    """All samples are compared; what could not be checked is skipped with a reason, and the results say so."""
    code, output, results = run(project, *flags)
    assert 0 == code, output
    assert (SAMPLES, 1.0) == (results["metrics"]["compared"], results["metrics"]["bit_exact_ratio"])
    assert results["passed"] is True
    assert results["board"]["verified"] is False
    assert {} == results["canary"]
    assert [None, None, None] == [results["latency"]["p50"], results["latency"]["clock"], results["board"]["clock"]]
    assert "not verified: the board cannot be asked what it runs" in output
    assert "4 skipped" in output
    assert re.search(r"SKIPPED \[2\] .*: board 'http-client' cannot be asked what it runs", output)
    assert SAMPLES == results["server"]["images"]


def test_a_wrong_prediction_is_found(project: Project) -> None:
    """A client that is wrong once fails the run."""
    code, output, results = run(project, "flip")
    assert (1, 1) == (code, results["metrics"]["differing"])
    assert "1 of 60 samples differ from tflm" in output


def test_two_predictions_for_one_sample_are_a_conflict(project: Project) -> None:
    """A client that predicts the same sample in two ways fails the run, although the first way was right."""
    code, _, results = run(project, "differently")
    assert (1, [5], 0) == (code, results["conflicts"], results["metrics"]["differing"])


def test_labels_alone(project: Project) -> None:
    """Where labels are posted, they are compared, and no figure is given for what was not."""
    code, output, results = run(project, "labels", options=("--tinyml-option", "answers=labels"))
    assert 0 == code, output
    metrics = results["metrics"]
    assert ("labels", 1.0, []) == (results["reference"]["compared"], metrics["argmax_agreement"], metrics["flips"])
    assert [None] * 4 == [metrics[key] for key in ("bit_exact_ratio", "max_lsb", "rmse", "differing")]
    assert "scores not compared: the board answers with labels" in output


def test_a_wrong_label_is_found(project: Project) -> None:
    """A label that the host does not give fails the run."""
    code, output, results = run(project, "labels", "flip", options=("--tinyml-option", "answers=labels"))
    assert (1, [3]) == (code, results["metrics"]["flips"])
    assert "1 label flip: #3 host" in output


def test_no_client_comes(project: Project) -> None:
    """The wait for a client has an end, which says where it should have come to."""
    session = project.spawn(
        *("--board", "http-client", "--tinyml-model", "s1-ptq", "--tinyml-limit", "5"),
        *("-p", "no:cacheprovider", "--tinyml-option", "wait=0.2"),
    )
    output, _ = session.communicate(timeout=TIMEOUT_S)
    assert 1 == session.returncode
    assert "no client came (waiting for a client at http://127.0.0.1:" in output


@pytest.mark.parametrize(
    ("options", "count", "message"),
    [
        ({"answers": "maybe"}, 1, "answers=maybe"),
        ({"wait": "-1"}, 1, "wait=-1"),
        ({"wait": "soon"}, 1, "wait=soon"),
        ({}, 2, "--tinyml-count is not for it"),
        ({"wish": "1"}, 1, "wish"),
    ],
)
def test_bad_options(tmp_path: Path, options: Mapping[str, str], count: int, message: str) -> None:
    """What the board does not have is refused before anything is started."""

    def make() -> None:
        (plan,) = make_plans(
            Registry(), boards=["http-client"], model="s1-ptq", dataset="mnist-28k", reference="tflm", limit=5,
            options=options, count=count,
        )  # fmt: skip
        make_boards(plan, tmp_path, 1.0)

    with pytest.raises((UsageError, UnknownNameError), match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("kind", "body", "row"),
    [
        ("text/plain", b"-128,0,1,127", b"\x80\x00\x01\x7f"),
        ("text/plain", b" 1, 2, 3, 4\r\n", b"\x01\x02\x03\x04"),
        ("application/octet-stream", b"abcd", b"abcd"),
    ],
)
def test_forms_of_a_prediction(kind: str, body: bytes, row: bytes) -> None:
    """Text and binary say the same."""
    desk = Desk(ServedRun(model=MODEL, dataset=make_dataset(3), samples=3), labels=False)
    desk.expect(range(3))
    assert 2 == desk.predict(1, kind, body)
    assert [(1, row)] == desk.take(0.0)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"1,2,3"),
        ("text/plain", b"7"),
        ("text/plain", b"1,2,3,128"),
        ("text/plain", b"1,2,3,0.5"),
        ("text/plain", b"1,2,3,1_0"),
        ("text/plain", b"1,2,3,\xff"),
        ("text/plain", b""),
        ("application/octet-stream", b"abc"),
        ("application/json", b"[1,2,3,4]"),
        ("application/x-www-form-urlencoded", b"7"),
    ],
)
def test_what_is_no_prediction(kind: str, body: bytes) -> None:
    """Everything else is refused, and the sample is still left."""
    from pytest_tinyml.links.http.refusal import Reason, RefusedError

    desk = Desk(ServedRun(model=MODEL, dataset=make_dataset(3), samples=3), labels=False)
    desk.expect(range(3))
    with pytest.raises(RefusedError) as refusal:
        desk.predict(1, kind, body)
    assert Reason.MALFORMED is refusal.value.reason
    with pytest.raises(RefusedError) as left:
        desk.finish()
    assert 3 == left.value.left
