"""The live page in a browser: what it shows, that it comes back, and that it does no harm."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from pytest_tinyml.report.live import LiveServer, handlers
from tests.browser import DESKTOP, PHONE
from tests.live.made import MadeRun, features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.browser import OpenTab, Tab

pytestmark = pytest.mark.xdist_group("browser")
PERIOD_S: Final = 0.05
WAIT_MS: Final = 60_000
HOSTILE: Final = "<img src=x onerror=alert(1)><script>document.title='taken'</script>"


@pytest.fixture
def serve() -> Iterator[Callable[..., LiveServer]]:
    """Serve runs until the test is over."""
    servers: list[LiveServer] = []

    def start(*runs: MadeRun, title: str = "s0-made on native, mnist-28k") -> LiveServer:
        server = LiveServer(title=title, period_s=PERIOD_S)
        servers.append(server)
        server.start()
        server.show(runs)
        return server

    yield start
    for server in servers:
        server.close()


def wait(tab: Tab, selector: str, text: str) -> None:
    """Wait until an element has a text in it."""
    tab.page.locator(selector).filter(has_text=text).first.wait_for(timeout=WAIT_MS)


def words(tab: Tab, selector: str) -> str:
    """Return the text of an element, in one line."""
    return " ".join(tab.page.locator(selector).inner_text().split())


def tiles(tab: Tab) -> dict[str, str]:
    """Return the figures by name."""
    rows: list[list[str]] = tab.page.eval_on_selector_all(
        ".tile", "all => all.map(tile => [tile.children[0].innerText, tile.children[1].innerText])"
    )
    return dict(rows)


def halfway(**more: Any) -> MadeRun:
    """Return a run with 100 of 200 samples answered, by two boards."""
    run = MadeRun(200, flips=6, boards=("native#0", "native#1"), **more)
    run.start()
    for _ in range(5):
        run.answer(15)
        run.answer(5, board=1)
    run.campaign.queue.lease("native#0", 30)
    run.happen("native#1", "restart", "crashed on sample 4")
    return run


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_a_run_that_is_on_its_way(
    open_tab: OpenTab, serve: Callable[..., LiveServer], width: int, scheme: Literal["light", "dark"]
) -> None:
    """All there is to see is there, readable for everybody, and nothing is asked of anybody else."""
    run = halfway()
    server = serve(run)
    tab = open_tab(server.url, width=width, scheme=scheme)
    wait(tab, "#word", "50 %")
    assert "50 % · s0-made on native" == tab.page.title()
    assert words(tab, "#lead").startswith("100 of 200 samples answered, about ")
    flips = int((run.board[:100] != run.host[:100]).any(1).sum())
    shown = tiles(tab)
    assert (str(flips), str(flips), f"{100 - flips}.00 %", "100") == (
        shown["Label flips"],
        shown["Other outputs"],
        shown["Agreement so far"],
        shown["Answered"],
    )
    assert flips == tab.page.locator("#flips li").count() > 0
    assert 12 == tab.page.locator("#recent li").count()
    pictures = tab.page.locator("#flips img, #recent img")
    decoded = "all => Promise.all(all.map(one => one.decode().then(() => [one.naturalWidth, one.alt.slice(0, 7)])))"
    assert [[28, "sample "]] * (12 + flips) == pictures.evaluate_all(decoded)
    rows = tab.page.eval_on_selector_all(
        "#boards tr", "all => all.map(row => [0, 1, 2, 3, 4, 6].map(k => row.cells[k].textContent))"
    )
    assert [
        ["native#0 none", "streaming", "75", "75 %", "30", "0"],
        ["native#1 none", "streaming", "25", "25 %", "0", "1"],
    ] == rows
    assert 3 == tab.page.locator("#curves .plot").count()
    assert "native#1: restart crashed on sample 4" in words(tab, "#events")
    assert [] == tab.errors
    assert {server.url, *(f"{server.url}{name}" for name in ("style.css", "live.css", "live.js", "events"))} == set(
        tab.requests
    )
    assert [] == tab.inaccessible()
    assert 0 == tab.overflow_px()


def test_the_page_follows_the_run_to_its_end(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """From before the first sample to the verdict, which stays when nobody serves the page any more."""
    run = MadeRun(60, flips=0)
    server = serve(run)
    tab = open_tab(server.url)
    wait(tab, "#word", "Waiting")
    run.connect()
    wait(tab, "#word", "Checking")
    run.start()
    run.answer(30, compared=False)
    wait(tab, "#word", "50 %")
    run.answer(30, compared=False)
    wait(tab, "#word", "Comparing")
    run.campaign.reference.scores[:] = run.host
    run.campaign.reference.done[:] = True
    wait(tab, "#flips", "None among the 60 that were compared.")
    run.conclude()
    server.close("passed")
    wait(tab, "#line-text", "session over: passed")
    wait(tab, "#word", "Passed")
    assert "60 of 60 samples answered: top-1" in words(tab, "#lead")
    assert "100.00 %" == tiles(tab)["Agreement"]
    assert "60" == tiles(tab)["Answered"]
    # Nobody is asked again: the events were asked for once, and there is no error.
    tab.page.wait_for_timeout(1500)
    assert 1 == [asked.rpartition("/")[2] for asked in tab.requests].count("events")
    assert [] == tab.errors


def test_a_failed_run_says_why(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """What failed stands on top."""
    run = halfway()
    run.answer(100)
    run.conclude("test_accuracy: top-1 is 0.93, below 0.99", "2 label flips")
    tab = open_tab(serve(run).url)
    wait(tab, "#word", "Failed")
    assert ["test_accuracy: top-1 is 0.93, below 0.99", "2 label flips"] == tab.page.locator(
        "#problems li"
    ).all_inner_texts()
    assert [] == tab.inaccessible()


def test_loading_the_page_again_changes_nothing(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """Everything is there as before, curves and all."""
    run = halfway()
    tab = open_tab(serve(run).url)
    wait(tab, "#word", "50 %")
    parts = ("#boards", "#flips", "#recent", "#facts")
    # A curve has two points at least; pictures and curves follow the figures.
    run.answer(10)
    wait(tab, "#word", "55 %")
    wait(tab, "#recent", "#139")

    def shown() -> list[str]:
        # But for the seconds that a lease has left.
        return [re.sub(r"\b\d+ s\b", "", words(tab, part)) for part in parts]

    before = shown()
    curve = tab.page.locator("#curves .curve").first.get_attribute("d")
    tab.page.reload()
    wait(tab, "#word", "55 %")
    wait(tab, "#recent", "#139")
    assert before == shown()
    assert curve == tab.page.locator("#curves .curve").first.get_attribute("d")
    run.answer(20)
    wait(tab, "#word", "65 %")
    assert [] == tab.errors


class Relay:
    """Stands between browser and server, and can be cut."""

    def __init__(self, port: int) -> None:
        """Listen."""
        self._to = port
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self._open.is_set():
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._open.is_set():
                    sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mute(self) -> None:
        """Lose what is sent from now on, and tell nobody; whoever comes meanwhile is sent away."""
        self._open.clear()

    def cut(self) -> None:
        """End all connections, and let nobody come back."""
        self._open.clear()
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._sockets.clear()

    def mend(self) -> None:
        """Let whoever comes connect again."""
        self._open.set()

    def close(self) -> None:
        """End everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


@pytest.mark.parametrize("loss", ["cut", "mute"])
def test_a_lost_connection_comes_back(
    open_tab: OpenTab, serve: Callable[..., LiveServer], monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    """The page says that it has lost the session, also if nobody told it so, and catches up when it is there again."""
    if loss == "mute":
        # Whoever hears nothing for three of these connects anew; a slow browser needs most of it to be told anything.
        monkeypatch.setattr(handlers, "QUIET_S", 1.0)
    run = halfway()
    server = serve(run)
    port = server.url.split(":")[2].split("/")[0]
    relay = Relay(int(port))
    try:
        tab = open_tab(server.url.replace(port, str(relay.port)))
        wait(tab, "#word", "50 %")
        getattr(relay, loss)()
        run.answer(40)
        wait(tab, "#line-text", "connection lost")
        assert "50 %" == words(tab, "#word")
        relay.mend()
        wait(tab, "#word", "70 %")
        wait(tab, "#line-text", "live")
        assert 2 <= [asked.rpartition("/")[2] for asked in tab.requests].count("events")
        server.close("passed")
        wait(tab, "#line-text", "session over")
    finally:
        relay.close()


def test_several_runs(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """The one at work is shown, until somebody chooses another; the choice survives a reload."""
    first, second = MadeRun(40, name="native", flips=0), MadeRun(40, name="tflm", flips=0)
    first.start()
    first.answer(10)
    tab = open_tab(serve(first, second, title="s0-made on native, tflm").url)
    wait(tab, "#word", "25 %")
    assert ["native", "tflm"] == [text.split(",")[0].strip() for text in tab.page.locator("#runs a").all_inner_texts()]
    first.answer(30)
    first.conclude()
    second.start()
    second.answer(30)
    wait(tab, "#word", "75 %")
    assert "75 % · s0-made on tflm" == tab.page.title()
    tab.page.locator("#runs a").first.click()
    wait(tab, "#word", "Passed")
    tab.page.reload()
    wait(tab, "#word", "Passed")
    assert [] == tab.inaccessible()
    assert [] == tab.errors


def test_a_page_that_changes_under_the_hand(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """What happens between press and release of a button, or while the keyboard is on a link, takes neither away."""
    first, second = MadeRun(40, name="native", flips=0), MadeRun(40, name="tflm", flips=0)
    first.start()
    first.answer(10)
    tab = open_tab(serve(first, second).url)
    wait(tab, "#word", "25 %")
    link = tab.page.locator("#runs a").nth(1)
    link.hover()
    tab.page.mouse.down()
    first.answer(10)
    wait(tab, "#word", "50 %")
    tab.page.mouse.up()
    wait(tab, "#word", "Waiting")
    tab.page.locator("#runs a").first.focus()
    second.start()
    second.answer(10)
    wait(tab, "#word", "25 %")
    tab.page.keyboard.press("Enter")
    wait(tab, "#word", "50 %")
    assert ["true", None] == [link.get_attribute("aria-current") for link in tab.page.locator("#runs a").all()]


def test_what_is_marked_stays_marked(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """Whoever copies a hash, a name or a message is not disturbed by figures that change beside it."""
    run = halfway()
    run.failures.append("test_accuracy: top-1 is 0.93, below 0.99")
    tab = open_tab(serve(run).url)
    wait(tab, "#word", "50 %")
    for done, part in enumerate(
        ("#facts code", "#boards th", "#problems li", "#tiles dt", "#flips .id", "#recent .id"), start=101
    ):
        tab.page.locator(part).first.evaluate("element => getSelection().selectAllChildren(element)")
        text = tab.page.evaluate("String(getSelection())")
        run.answer(1, board=1)
        # Pictures and curves follow the figures.
        wait(tab, "#recent", f"#{done + 29}")
        assert str(done) == tiles(tab)["Answered"]
        assert (part, text) == (part, tab.page.evaluate("String(getSelection())"))
        assert text


def test_every_run_has_its_own_boards_and_events(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """Nothing of the run before is left when the page goes on to the next, which has not begun to answer."""
    first, second = MadeRun(40, name="native", flips=0), MadeRun(40, name="tflm", flips=0, boards=("tflm",))
    first.start()
    first.answer(20)
    first.happen("native", "restart", "crashed on sample 4")
    first.answer(10)
    tab = open_tab(serve(first, second).url)
    wait(tab, "#word", "75 %")
    wait(tab, "#events", "crashed on sample 4")
    first.answer(10)
    first.conclude()
    wait(tab, "#word", "Passed")
    second.current = "suite.py::test_identity"
    wait(tab, "#word", "Preparing")
    assert words(tab, "#boards").startswith("tflm not opened 0 ")
    assert not tab.page.locator("#events-part").is_visible()
    assert "nothing to draw yet" in words(tab, "#curves")


def test_a_session_that_ends_before_its_runs(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """A run that was on its way is not said to go on, nor one that never began to wait for its turn."""
    first, second = MadeRun(40, name="native", flips=0), MadeRun(40, name="tflm", flips=0)
    first.start()
    first.answer(10)
    server = serve(first, second)
    tab = open_tab(server.url)
    wait(tab, "#word", "25 %")
    server.close("interrupted")
    wait(tab, "#word", "Not finished")
    assert "session over: interrupted" == words(tab, "#line-text")
    assert "10 of 40 samples answered when the session ended." == words(tab, "#lead")
    tab.page.locator("#runs a").nth(1).click()
    wait(tab, "#word", "Not run")
    assert [] == tab.errors


def test_a_page_that_nobody_sees(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """A tab in the background is given no frames, but how far the run is stands on the tab itself."""
    from playwright.sync_api import expect

    run = MadeRun(40, flips=0)
    run.start()
    run.answer(10)
    tab = open_tab(serve(run).url)
    wait(tab, "#word", "25 %")
    # A browser without windows shows all of its pages. A frame that was asked for before is drawn first.
    tab.page.evaluate(
        """() => new Promise((done) => {
          const frame = window.requestAnimationFrame.bind(window);
          Object.defineProperty(document, "hidden", { value: true });
          window.waiting = [];
          window.requestAnimationFrame = (draw) => waiting.push(draw);
          frame(() => frame(done));
        })"""
    )
    run.answer(20)
    expect(tab.page).to_have_title("75 % · s0-made on native", timeout=WAIT_MS)
    assert "25 %" == words(tab, "#word")
    tab.page.evaluate("() => waiting.forEach((draw) => draw())")
    assert "75 %" == words(tab, "#word")
    assert [] == tab.errors


def test_words_of_strangers_are_words(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """Names and messages come from files, boards and tests: none of them becomes a part of the page."""
    run = halfway(name=HOSTILE)
    run.campaign.model = replace(run.campaign.model, name=HOSTILE)
    run.campaign.dataset = replace(run.campaign.dataset, name=HOSTILE, class_names=(HOSTILE,) * 10)
    for board in run.campaign.bench.boards:
        run.campaign.works[HOSTILE] = run.campaign.works[board.name]
        board.name = HOSTILE
    run.happen(HOSTILE, HOSTILE, HOSTILE)
    run.failures.append(HOSTILE)
    run.current = f"suite.py::{HOSTILE}"
    tab = open_tab(serve(run, MadeRun(20, name=HOSTILE), title=HOSTILE).url)
    wait(tab, "#problems", HOSTILE)
    wait(tab, "#recent", HOSTILE)
    wait(tab, "#boards", HOSTILE)
    wait(tab, "#events", HOSTILE)
    wait(tab, "#session", HOSTILE)
    assert 0 == tab.page.locator("img[src=x]").count()
    assert 1 == tab.page.locator("script").count()
    assert HOSTILE in tab.page.title()
    assert [] == tab.errors
    assert 5 == len(set(tab.requests))


def test_a_regression(open_tab: OpenTab, serve: Callable[..., LiveServer]) -> None:
    """Values in place of classes: an error in place of an accuracy, no flips, and no pictures of what is none."""
    run = MadeRun(50, dataset=features(50), task="regression")
    run.start()
    for _ in range(4):
        run.answer(10)
    tab = open_tab(serve(run).url)
    wait(tab, "#word", "80 %")
    wait(tab, "#recent", "#39")
    shown = tiles(tab)
    assert {"Root mean square error so far", "Agreement so far", "Other outputs"} <= set(shown)
    assert {"Top-1 so far", "Label flips"}.isdisjoint(shown)
    assert not tab.page.locator("#flips-part").is_visible()
    assert (12, 0) == (tab.page.locator("#recent li").count(), tab.page.locator("#recent img").count())
    assert [] == tab.errors
    assert [] == tab.inaccessible()
