"""What the live page costs a run: S0 on native over 28,000 digits without it, watched, and open in a browser.

Rounds are interleaved, and the ratio is of each round: these machines are shared and noisy. Who watches is a process of
its own on the same processors: a client that reads the events, or headless Chromium that draws them. Work is the
processor time of host and board, the page's thread included; it depends less on what else the machine does than the
run's own time. Shares are processor time over the run's time: of the page's thread, and of whoever watches.
Run as ``python -m tests.bench.bench_live``.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

import numpy as np

from pytest_tinyml.boards.registry import Registry
from pytest_tinyml.campaign.plan import make_campaign, make_plans
from pytest_tinyml.report.live import LiveServer
from tests.browser import chromium, tab_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.campaign.run import Campaign

ROUNDS: Final = 9
MODEL: Final = "s0-ptq"
MOST: Final = 1.02
"""Of the work that the run is without the page."""
TIMEOUT_S: Final = 600.0
_SETTLE_MS: Final = 1500
WATCHERS: Final = ("chrom", "python", "node")
WAYS: Final = ("no page", "page, nobody watches", "page, a client reads", "page, Chromium draws")


@dataclass(slots=True, kw_only=True)
class Shown:
    """A campaign as the page sees it."""

    campaign: Campaign
    name: str = "native"
    current: str = "bench"
    broken: Any = None
    results: Any = None

    @property
    def failures(self) -> list[str]:
        """Nothing is tested."""
        return []


def read_all(url: str) -> None:
    """Read a page's events until they end."""
    with urlopen(f"{url}events", timeout=60.0) as events:  # noqa: S310 - our own server
        while events.read1(1 << 16):
            pass


def reader(url: str) -> subprocess.Popen[bytes]:
    """Start a client in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "tests.bench.bench_live", url])


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds: of the run by the clock, and of processors by host and board, by the page's thread, by who watches."""

    wall: float
    work: float
    page: float
    watching: float


def processes_s() -> tuple[float, float]:
    """Return the processor seconds so far of this process with the boards that it started, and of those who watch."""
    rows: dict[int, tuple[int, str, int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                head, _, tail = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
                fields = tail.split()
                rows[int(entry.name)] = (int(fields[1]), head.partition("(")[2], int(fields[11]) + int(fields[12]))

    def ours(pid: int) -> bool:
        while pid in rows and pid != os.getpid():
            pid = rows[pid][0]
        return pid == os.getpid()

    started = [(name, ticks) for pid, (_, name, ticks) in rows.items() if pid != os.getpid() and ours(pid)]
    watching = sum(ticks for name, ticks in started if name.startswith(WATCHERS))
    boards = sum(ticks for _, ticks in started) - watching
    per_s = os.sysconf("SC_CLK_TCK")
    return time.process_time() + boards / per_s, watching / per_s


def run_once(plan: Plan, way: str, folder: Path, browser: Any) -> Spent:
    """Run one campaign."""
    journal = folder / f"{time.monotonic_ns()}.sqlite"
    campaign = make_campaign(plan, journal=journal, work_dir=folder, timeout_s=30.0, fresh=True)
    with ExitStack() as stack:
        stack.callback(campaign.close_journal)
        stack.callback(campaign.close)
        campaign.reference.start()
        assert campaign.reference.wait_for(np.arange(plan.samples), TIMEOUT_S)
        campaign.bench.connect()
        server = LiveServer(title="bench")
        stack.callback(server.close)
        if way != WAYS[0]:
            server.start()
            server.show([Shown(campaign=campaign)])
        if way == WAYS[2]:
            client = stack.enter_context(reader(server.url))
            stack.callback(server.close)
            _until(lambda: server.watchers > 0, client)
        elif way == WAYS[3]:
            tab = stack.enter_context(tab_of(browser, server.url))
            _until(lambda: server.watchers > 0)
            # Opening a page takes longer than keeping it up to date.
            tab.page.wait_for_timeout(_SETTLE_MS)
        thread = server._thread._thread
        clock = None if thread is None or thread.ident is None else time.pthread_getcpuclockid(thread.ident)

        def spent() -> tuple[float, float, float]:
            return *processes_s(), 0.0 if clock is None else time.clock_gettime(clock)

        before = spent()
        campaign.start()
        assert campaign.wait_for(range(plan.samples), TIMEOUT_S)
        work, watching, page = (now - then for now, then in zip(spent(), before, strict=True))
        campaign.end_threads()
        return Spent(wall=campaign.wall_s, work=work, page=page, watching=watching)


def _until(condition: Any, process: subprocess.Popen[bytes] | None = None) -> None:
    until = time.monotonic() + 30.0
    while not condition():
        if time.monotonic() > until or (process is not None and process.poll() is not None):
            msg = "nobody came to watch"
            raise TimeoutError(msg)
        time.sleep(0.01)


def rounds(plan: Plan, folder: Path, ways: tuple[str, ...], browser: Any) -> Iterator[dict[str, Spent]]:
    """Run every way in turn, each round beginning with another one."""
    run_once(plan, WAYS[0], folder, browser)
    for number in range(ROUNDS):
        order = [ways[(number + k) % len(ways)] for k in range(len(ways))]
        yield {way: run_once(plan, way, folder, browser) for way in order}


def main() -> int:
    """Print the table; returns 1 if the page costs too much."""
    if len(sys.argv) > 1:
        read_all(sys.argv[1])
        return 0
    (plan,) = make_plans(Registry(), boards=["native"], model=MODEL, dataset="mnist-28k", reference=None)
    there = shutil.which("chromium") is not None
    ways = WAYS if there else WAYS[:3]
    started: AbstractContextManager[Any] = chromium() if there else nullcontext()
    with tempfile.TemporaryDirectory(prefix="tinyml-bench-") as scratch, started as browser:
        measured = list(rounds(plan, Path(scratch), ways, browser))
    print(
        f"| {MODEL}, {plan.samples:,} samples | best s | median s | ratio | work, ratio | page's thread | who watches |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    broken = False
    for way in ways:
        walls = [each[way].wall for each in measured]
        ratio = statistics.median(each[way].wall / each[WAYS[0]].wall for each in measured)
        work = statistics.median(each[way].work / each[WAYS[0]].work for each in measured)
        page = statistics.median(each[way].page / each[way].wall for each in measured)
        watching = statistics.median(each[way].watching / each[way].wall for each in measured)
        broken |= work > MOST or page > MOST - 1.0
        times = f"{min(walls):.2f} | {statistics.median(walls):.2f} | {ratio:.3f} | {work:.3f}"
        print(
            f"| {way} | {times} | {page:.2%} | {watching:.1%} |" if way != WAYS[0] else f"| {way} | {times} | - | - |"
        )
    # The run's own time depends on what else the machine does.
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
