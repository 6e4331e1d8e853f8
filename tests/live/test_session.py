"""``--tinyml-live`` in a session: where its address is said, and that what it shows is what the session found."""

from __future__ import annotations

import http.client
import json
import re
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from pytest_tinyml.report.live import LiveServer
from tests.processes import end_session
from tests.projects import OWN, output, refusal

if TYPE_CHECKING:
    import subprocess

    from tests.projects import Project

WAIT_S = 60.0
_URL = re.compile(r"tinyml: live page (http://127\.0\.0\.1:\d+/[\w-]{32}/)")


def address(process: subprocess.Popen[str]) -> str:
    """Read what a session says until it says where the page is."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := _URL.search(line):
            return found[1]
    raise AssertionError(said)


def watch(url: str) -> tuple[list[str], dict[str, Any]]:
    """Read a session's events to the end; returns the phases of its first run, and the last of all sections."""
    parts = urlsplit(url)
    phases: list[str] = []
    sections: dict[str, Any] = {}
    with closing(http.client.HTTPConnection(parts.netloc, timeout=WAIT_S)) as connection:
        connection.request("GET", f"{parts.path}events")
        with connection.getresponse() as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    sections |= json.loads(line[6:])
                    phase = sections.get("0/state", {}).get("phase")
                    if phase and phase not in phases[-1:]:
                        phases.append(phase)
    return phases, sections


def test_the_end_of_the_page_is_the_verdict(project: Project) -> None:
    """Whoever watches is told the figures of results.json."""
    process = project.spawn("--tinyml-live", *OWN)
    try:
        phases, sections = watch(address(process))
        process.communicate(timeout=WAIT_S)
    finally:
        end_session(process)
    results = project.results()
    assert 0 == process.returncode
    assert "passed" == phases[-1]
    assert ("passed", ["native"]) == (sections["session"]["end"], sections["session"]["runs"])
    state, facts = sections["0/state"], sections["0/facts"]
    metrics = results["metrics"]
    assert (metrics["count"], metrics["top1_board"], metrics["argmax_agreement"], metrics["differing"]) == (
        state["done"],
        state["top1"]["value"],
        state["agreement"]["value"],
        state["differing"],
    )
    assert (results["model"]["sha256"], results["board"]["engine"], results["board"]["chip"]) == (
        facts["model_sha256"],
        facts["engine"],
        facts["chip"],
    )
    assert [("native", "done", 40)] == [(row["name"], row["state"], row["answered"]) for row in sections["0/boards"]]


def test_several_runs_are_shown_one_after_the_other(project: Project) -> None:
    """Every run has its sections, and one that failed says what failed."""
    process = project.spawn(
        "--tinyml-live", *OWN, "--board=native,tflm", "--tinyml-min-top1=1", "-k", "test_samples or test_accuracy"
    )
    try:
        _, sections = watch(address(process))
        process.communicate(timeout=WAIT_S)
    finally:
        end_session(process)
    assert (1, "failed", ["native", "tflm"]) == (
        process.returncode,
        sections["session"]["end"],
        sections["session"]["runs"],
    )
    for run in range(2):
        assert "failed" == sections[f"{run}/state"]["phase"]
        assert any("test_accuracy" in problem for problem in sections[f"{run}/notes"]["problems"])


@pytest.mark.parametrize("options", [(), ("-q",), ("-p", "no:terminal")], ids=["usual", "quiet", "mute"])
def test_the_address_is_said(project: Project, options: tuple[str, ...]) -> None:
    """In the header, and somewhere else where there is none: without its address there is no page."""
    result = project.run("--tinyml-live", *OWN, *options, "-k", "test_identity")
    assert 1 == len(_URL.findall(output(result)))
    assert 0 == result.ret


def test_without_the_option_there_is_no_page(project: Project) -> None:
    """Nobody is listened to who was not asked for; collecting tests does not need a page either."""
    assert "live page" not in output(project.run(*OWN, "-k", "test_identity"))
    assert "live page" not in output(project.run("--tinyml-live", *OWN, "--collect-only"))


def test_a_session_that_is_refused_closes_its_page(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens any more, whatever was wrong."""
    started: list[LiveServer] = []
    start = LiveServer.start

    def note(server: LiveServer) -> None:
        started.append(server)
        start(server)

    monkeypatch.setattr(LiveServer, "start", note)
    result = project.run("--tinyml-live", *OWN, "--tinyml-reference=tflmm")
    assert 4 == result.ret
    assert "tflmm" in output(result)
    (server,) = set(started)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=WAIT_S)


def test_a_port_in_use_is_refused(project: Project) -> None:
    """Before anything is run, in one message."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = refusal(project.run("-q", f"--tinyml-live={port}", *OWN))
    assert (
        f"--tinyml-live: cannot listen on 127.0.0.1:{port}: Address already in use; without a port, any free one"
        == text
    )


@pytest.mark.parametrize("value", ["test_own.py", "70000", "-1", "1.5", "http"])
def test_what_is_no_port_is_refused(project: Project, value: str) -> None:
    """A path behind the option is taken for its value, and the message says what to do."""
    text = refusal(project.run(f"--tinyml-live={value}", *OWN))
    assert f"--tinyml-live: {value!r} is not a port, 0 to 65535; without one, put the option behind the paths" == text


def test_an_address_that_is_not_this_computers_is_refused(project: Project) -> None:
    """Likewise."""
    text = refusal(project.run("-q", "--tinyml-live", "--tinyml-live-host=192.0.2.1", *OWN))
    assert text.startswith("--tinyml-live: cannot listen on 192.0.2.1:0: ")
