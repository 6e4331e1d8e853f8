"""The live page's server: who may ask what, and that nobody who watches can hold anything up."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.errors import UsageError
from pytest_tinyml.report.live import LiveServer, handlers
from tests.live.made import MadeRun

if TYPE_CHECKING:
    from collections.abc import Iterator

PERIOD_S = 0.02
WAIT_S = 60.0


@pytest.fixture
def server() -> Iterator[LiveServer]:
    """A server that looks often; its thread ends with it."""
    threads = set(threading.enumerate())
    made = LiveServer(title="s0-made on native", period_s=PERIOD_S)
    made.start()
    yield made
    made.close()
    assert set(threading.enumerate()) <= threads


def port_of(server: LiveServer) -> int:
    """Return where it listens."""
    return int(server.url.split(":")[2].split("/")[0])


def ask(
    server: LiveServer, path: str, method: str = "GET", body: bytes | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of an answer; the path is as given."""
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=WAIT_S)) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


class Stream:
    """A client that reads events."""

    def __init__(self, server: LiveServer) -> None:
        """Connect."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=WAIT_S)
        self._connection.request("GET", f"/{server.token}/events")
        self.answer = self._connection.getresponse()

    def next(self) -> tuple[str, Any, str]:
        """Return kind, content and id of the next event; at the end, empty."""
        fields: dict[str, str] = {}
        while line := self.answer.readline().decode():
            name, _, value = line.rstrip("\n").partition(":")
            if line == "\n" and fields.keys() - {"retry"}:
                return fields["event"], json.loads(fields.get("data", "null")), fields.get("id", "")
            fields[name] = value.strip()
        return "", None, ""

    def until(self, name: str) -> dict[str, Any]:
        """Return all sections when one of them is there."""
        known: dict[str, Any] = {}
        while name not in known:
            known |= self.next()[1] or {}
        return known

    def close(self) -> None:
        """Go away."""
        self.answer.close()
        self._connection.close()


def test_it_listens_on_loopback_with_a_token_of_its_own(server: LiveServer) -> None:
    """Nobody outside of this computer can connect unless it was asked for, and no two sessions share an address."""
    server.start()
    assert server.url == f"http://127.0.0.1:{port_of(server)}/{server.token}/"
    assert 32 == len(server.token)
    assert server.token != LiveServer().token


def test_the_page_and_its_files(server: LiveServer) -> None:
    """Whoever has the address gets the page, which may load nothing from elsewhere and tells nobody its address."""
    for path, kind, word in (
        ("", "text/html", b"<!doctype html>"),
        ("style.css", "text/css", b"prefers-color-scheme"),
        ("live.css", "text/css", b".plot"),
        ("live.js", "text/javascript", b"EventSource"),
    ):
        status, headers, body = ask(server, f"/{server.token}/{path}")
        assert (200, f"{kind}; charset=utf-8") == (status, headers["Content-Type"])
        assert word in body
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert ("no-referrer", "no-store", "nosniff") == (
            headers["Referrer-Policy"],
            headers["Cache-Control"],
            headers["X-Content-Type-Options"],
        )


@pytest.mark.parametrize("path", ["", "live.js", "events", "style.css"])
@pytest.mark.parametrize("token", ["", "wrong", "{short}", "{long}", "%C3%A9", "{upper}"])
def test_without_the_token_there_is_nothing(server: LiveServer, path: str, token: str) -> None:
    """An address that is not complete leads nowhere, whatever it names, and does not say what is missing."""
    given = token.format(short=server.token[:-1], long=server.token + "a", upper=server.token.swapcase())
    status, _, body = ask(server, f"/{given}/{path}" if given else f"/{path}")
    assert (404, b"there is nothing here; the whole address is needed") == (status, body)
    assert server.token.encode() not in body


def test_the_token_needs_its_slash(server: LiveServer) -> None:
    """Without it the page's own links would lead elsewhere."""
    assert 404 == ask(server, f"/{server.token}")[0]


@pytest.mark.parametrize(
    "path", ["page.html", "../live.js", "live.js/", "events/1", "results.json", "%2e%2e/server.py"]
)
def test_there_is_nothing_else(server: LiveServer, path: str) -> None:
    """Files are served by name, not from a folder."""
    assert 404 == ask(server, f"/{server.token}/{path}")[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "events"])
def test_it_is_only_to_be_looked_at(server: LiveServer, method: str, path: str) -> None:
    """No method changes anything."""
    status, headers, body = ask(server, f"/{server.token}/{path}", method)
    assert (405, "GET", b"this page is only to be looked at") == (status, headers["Allow"], body)


def test_bodies_are_refused(server: LiveServer) -> None:
    """A request has nothing to bring."""
    assert 400 == ask(server, f"/{server.token}/", body=b"x" * 100)[0]


def test_a_stream_begins_with_everything_and_goes_on_with_changes(server: LiveServer) -> None:
    """Who comes, or comes again, is told all there is, and then what is new."""
    run = MadeRun(50)
    run.start()
    server.show([run])
    run.answer(10)
    first = Stream(server)
    kind, state, version = first.next()
    assert ("state", 10, ["native"]) == (kind, state["0/state"]["done"], state["session"]["runs"])
    run.answer(10)
    kind, change, later = first.next()
    while "0/history" not in change:
        kind, change, later = first.next()
    assert ("change", 20) == (kind, change["0/state"]["done"])
    assert "0/facts" not in change
    assert int(later) > int(version)
    first.close()
    again = Stream(server)
    kind, state, _ = again.next()
    assert ("state", 20, "s0-made") == (kind, state["0/state"]["done"], state["0/facts"]["model"])
    again.close()


def test_the_end_is_told_to_everybody(server: LiveServer) -> None:
    """The last event before the stream ends has the verdict, and then nothing listens any more."""
    run = MadeRun(20)
    run.start()
    server.show([run])
    streams = [Stream(server) for _ in range(3)]
    run.answer(20)
    run.conclude()
    url = port_of(server)
    server.close("passed")
    for stream in streams:
        sections: dict[str, Any] = {}
        kinds = []
        while (event := stream.next())[0]:
            kinds.append(event[0])
            sections |= event[1] or {}
        assert ("state", "over") == (kinds[0], kinds[-1])
        assert ("passed", "passed", 20) == (
            sections["session"]["end"],
            sections["0/state"]["phase"],
            sections["0/state"]["done"],
        )
        stream.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", url), timeout=5.0)


def test_a_quiet_run_says_that_it_is_still_there(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event now and then: whoever hears nothing at all knows that the connection has gone."""
    monkeypatch.setattr(handlers, "QUIET_S", 0.05)
    stream = Stream(server)
    assert "state" == stream.next()[0]
    assert ("still", {}, "") == stream.next()
    stream.close()


def test_there_is_a_limit_to_pages(server: LiveServer) -> None:
    """One more than that is told to wait, until somebody goes."""
    streams = [Stream(server) for _ in range(handlers.MAX_WATCHERS)]
    for stream in streams:
        stream.next()
    status, _, body = ask(server, f"/{server.token}/events")
    assert (503, b"16 pages are open already") == (status, body)
    assert 200 == ask(server, f"/{server.token}/")[0]
    streams.pop().close()
    until = time.monotonic() + WAIT_S
    # It is noticed with the next thing that is sent.
    run = MadeRun(2000)
    run.start()
    server.show([run])
    while server.watchers == handlers.MAX_WATCHERS:
        run.answer(1)
        assert time.monotonic() < until
        time.sleep(PERIOD_S)
    streams.append(Stream(server))
    assert "state" == streams[-1].next()[0]
    for stream in streams:
        stream.close()


def test_a_client_that_does_not_read_is_dropped_and_holds_up_nobody(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are told everything meanwhile, and the run never waits; what waits for the client is bounded."""
    monkeypatch.setattr(handlers, "WRITE_S", 1.0)
    run = MadeRun(20_000, flips=2000)
    run.start()
    server.show([run])
    with closing(socket.socket()) as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", port_of(server)))
        stalled.sendall(f"GET /{server.token}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        reader = Stream(server)
        known = reader.until("0/state")
        until = time.monotonic() + WAIT_S
        waits = [0.0]
        while server.watchers > 1:
            begun = time.monotonic()
            run.answer(20)
            waits.append(time.monotonic() - begun)
            known |= reader.next()[1] or {}
            assert time.monotonic() < until
            assert run.campaign.queue
    assert 1 == server.watchers
    # Once the computer itself may have had something else to do.
    assert sorted(waits)[-2] < handlers.WRITE_S
    assert known["0/state"]["done"] > 0
    reader.close()


def test_a_look_that_fails_is_said_and_fails_nothing_else(server: LiveServer) -> None:
    """The page says that it is out of date; the session goes on, and its end is shown."""
    run = MadeRun(20)
    run.start()
    del run.campaign.reference
    server.show([run])
    stream = Stream(server)
    state = stream.until("session")
    while state["session"]["error"] is None:
        state |= stream.next()[1]
    assert "AttributeError" in state["session"]["error"]
    server.close("failed")
    while (event := stream.next())[0] != "over":
        state |= event[1]
    assert "failed" == state["session"]["end"]
    stream.close()


def test_a_port_in_use_is_a_usage_error() -> None:
    """What cannot be listened on is said with the option; closing what never listened is harmless."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = LiveServer(port=taken.getsockname()[1])
        with pytest.raises(UsageError, match=r"--tinyml-live: cannot listen on 127\.0\.0\.1:.*any free one"):
            server.start()
        server.close()
    LiveServer().close()


def test_the_address_of_a_wildcard_can_be_opened() -> None:
    """A page for the whole network is found under this computer's name."""
    server = LiveServer(host="0.0.0.0")  # noqa: S104 - what is tested
    server.start()
    try:
        assert f"http://{socket.gethostname()}:" in server.url
    finally:
        server.close()
