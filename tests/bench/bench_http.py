"""Images per second over HTTP with an engine that does nothing: frames, and one request per image, in the same run.

Token, checks and journal are on. More than 28,000 samples are the same images again and again. Memory is that of the
host's process: of a campaign, which keeps a result for each sample, and of link and server alone, with work that keeps
nothing. Run as ``python -m tests.bench.bench_http``.
"""

from __future__ import annotations

import gc
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import numpy as np

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.httpclient import ENGINE, ClientBoard
from pytest_tinyml.campaign import Campaign, CampaignSettings, ReferenceRun, SampleEncoder
from pytest_tinyml.campaign.samples import EncodedWork
from pytest_tinyml.links.http import ImageServer, ServedRun
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.journal import Journal
from tests.bench.bench_campaign import NullBoard, NullReference, null_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pytest_tinyml.boards.base import Board
    from pytest_tinyml.records import Dataset, Encoding, Model

ROUNDS: Final = 5
ROUND: Final = 250_000
MANY: Final = 1_000_000
SIMPLE: Final = 10_000
GROWTH_BYTES: Final = 4_000_000
"""Less than four bytes per sample are no state."""
TIMEOUT_S: Final = 600.0
_SCORES: Final = bytes(10)


class CyclicEncoder(SampleEncoder):
    """Gives the images of a data set again and again."""

    def __init__(self, model: Model, dataset: Dataset) -> None:
        """Know where they begin again."""
        super().__init__(model, dataset)
        self._count = len(dataset)

    def raw(self, encoding: Encoding, ids: Sequence[int]) -> npt.NDArray[np.uint8]:
        """See `SampleEncoder.raw`."""
        return super().raw(encoding, [sample % self._count for sample in ids])


def resident_bytes() -> int:
    """Return the memory that this process has at the moment."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


class CountingWork(EncodedWork):
    """Counts answers and keeps none.

    Attributes:
        memory: of this process when so many samples were answered.
    """

    def __init__(self, encoder: SampleEncoder, samples: int, marks: Sequence[int]) -> None:
        """Begin with sample 0."""
        super().__init__(encoder)
        self.memory: dict[int, int] = {}
        self._samples, self._marks = samples, list(marks)
        self._next = self._answered = 0

    @property
    def finished(self) -> bool:
        """See `Work.finished`."""
        return self._answered >= self._samples

    def take(self, count: int) -> list[int]:
        """See `Work.take`."""
        first, self._next = self._next, min(self._next + count, self._samples)
        return list(range(first, self._next))

    def wait(self, timeout_s: float) -> None:
        """See `Work.wait`: nobody else frees anything."""
        time.sleep(min(timeout_s, 0.001))

    def answer(self, ids: npt.NDArray[np.uint32], ticks: npt.NDArray[np.uint32], scores: npt.NDArray[np.uint8]) -> None:
        """See `Work.answer`."""
        del ticks, scores
        self._answered += len(ids)
        while self._marks and self._answered >= self._marks[0]:
            self.memory[self._marks.pop(0)] = resident_bytes()

    def flush(self) -> None:
        """See `Work.flush`: nothing is held back."""

    def fail(self, sample: int, reason: str) -> None:
        """See `Work.fail`."""
        msg = f"sample {sample} failed: {reason}"
        raise AssertionError(msg)

    def note(self, kind: str, text: str) -> None:
        """See `Work.note`: TCP loses nothing."""
        msg = f"{kind}: {text}"
        raise AssertionError(msg)


def link_alone(dataset: Dataset, marks: Sequence[int], folder: Path) -> dict[int, int]:
    """Stream without a campaign; returns the memory of this process by samples answered."""
    model = null_model()
    with ExitStack() as stack:
        server = ImageServer(run=ServedRun(model=model, dataset=dataset, samples=marks[-1]))
        stack.callback(server.close)
        board = NullBoard(BoardRequest(model=model, work_dir=folder, link="http", server=server))
        stack.callback(board.close)
        board.open()
        work = CountingWork(CyclicEncoder(model, dataset), marks[-1], marks)
        board.stream(work)
    return work.memory


def campaign_of(
    board: Board, server: ImageServer, dataset: Dataset, samples: int, engine: str, folder: Path
) -> Campaign:
    """Make a campaign that writes a journal of its own."""
    model = null_model()
    # What is not needed to tell samples apart is not made: a million images would hide what the server takes.
    wide = replace(
        dataset, images=np.broadcast_to(dataset.images[0], (samples, *dataset.images.shape[1:])), labels=None
    )
    encoder = (CyclicEncoder if samples > len(dataset) else SampleEncoder)(model, dataset)
    return Campaign(
        model,
        wide,
        [board],
        encoder=encoder,
        journal=Journal(folder / f"{time.monotonic_ns()}.sqlite"),
        reference=ReferenceRun(NullReference(), model, dataset, encoder, samples=min(samples, len(dataset))),
        settings=CampaignSettings(
            kind="bench", engine=engine, link="http", samples=samples, fresh=True, verifiable=engine != ENGINE
        ),
        server=server,
    )


def wait(campaign: Campaign, samples: int) -> None:
    """Wait until the boards have answered everything; the reference does not matter here."""
    until = time.monotonic() + TIMEOUT_S
    while not campaign.run.done.all():
        if campaign.error is not None:
            raise campaign.error
        if time.monotonic() > until:
            msg = f"{int(campaign.run.done.sum()):,} of {samples:,} samples after {TIMEOUT_S:g} s"
            raise TimeoutError(msg)
        time.sleep(0.01)


def frames(dataset: Dataset, samples: int, folder: Path) -> tuple[float, int, dict[str, int]]:
    """Stream to the native firmware; returns images/s, the memory at the end, and the server's counters."""
    server = ImageServer(run=ServedRun(model=null_model(), dataset=dataset, samples=samples))
    board = NullBoard(BoardRequest(model=null_model(), work_dir=folder, link="http", server=server))
    campaign = campaign_of(board, server, dataset, samples, "null", folder)
    try:
        campaign.start()
        wait(campaign, samples)
        memory = resident_bytes()
        campaign.end_threads()
        return samples / campaign.wall_s, memory, server.counters()
    finally:
        campaign.close()
        campaign.close_journal()


def one_by_one(dataset: Dataset, samples: int, folder: Path) -> float:
    """Serve a client in a process of its own; returns images/s."""
    served = replace(dataset, images=dataset.images[:samples], labels=None)
    server = ImageServer(run=ServedRun(model=null_model(), dataset=served, samples=samples))
    board = ClientBoard(BoardRequest(model=null_model(), work_dir=folder, server=server))
    campaign = campaign_of(board, server, served, samples, ENGINE, folder)
    try:
        campaign.start()
        with subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bench_http", server.url, server.token, str(samples)],
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            wait(campaign, samples)
            output, _ = client.communicate(timeout=TIMEOUT_S)
        # By the client's clock: its start, and its farewell, are not requests.
        return samples / float(output)
    finally:
        campaign.close()
        campaign.close_journal()


def client(url: str, token: str, samples: int) -> float:
    """Ask for one image at a time with as little work as possible; returns seconds."""
    parts = urlsplit(url)
    head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
    tail = f"{head}Content-Type: application/octet-stream\r\nContent-Length: {len(_SCORES)}\r\n\r\n".encode() + _SCORES
    get = f"{head}\r\n".encode()
    with socket.create_connection((parts.hostname, parts.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def ask(request: bytes) -> None:
            sock.sendall(request)
            answer = sock.recv(65536)
            while b"\r\n\r\n" not in answer:
                answer += sock.recv(65536)
            header, _, body = answer.partition(b"\r\n\r\n")
            if not header.startswith(b"HTTP/1.1 200"):
                raise SystemExit(answer.decode(errors="replace"))
            length = int(header.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            while len(body) < length:
                body += sock.recv(65536)

        begun = time.monotonic()
        for sample in range(samples):
            ask(b"GET /image/%d HTTP/1.1\r\n" % sample + get)
            ask(b"POST /prediction/%d HTTP/1.1\r\n" % sample + tail)
        took = time.monotonic() - begun
        ask(b"POST /done HTTP/1.1\r\nContent-Length: 0\r\n" + get)
    return took


def main() -> int:
    """Print the tables."""
    if len(sys.argv) > 1:
        url, token, count = sys.argv[1:]
        sys.stdout.write(f"{client(url, token, int(count))}\n")
        return 0
    dataset = load_dataset("mnist-28k")
    with tempfile.TemporaryDirectory(prefix="tinyml-bench-") as scratch:
        folder = Path(scratch)
        pairs = [(frames(dataset, ROUND, folder)[0], one_by_one(dataset, SIMPLE, folder)) for _ in range(ROUNDS)]
        alone = link_alone(dataset, (len(dataset), MANY), folder)
        few_rate, few, _ = frames(dataset, len(dataset), folder)
        many_rate, many, counters = frames(dataset, MANY, folder)
    print(f"| protocol | images/s, best of {ROUNDS} | median |")
    print("|---|---|---|")
    for name, rates in zip(("frames", "one request per image"), zip(*pairs, strict=True), strict=True):
        print(f"| {name} | {max(rates):,.0f} | {statistics.median(rates):,.0f} |")
    ratios = [fast / slow for fast, slow in pairs]
    print(f"| ratio of each pair | {max(ratios):.1f} | {statistics.median(ratios):.1f} |")
    print()
    print("| samples | images/s | memory, campaign | memory, link and server alone |")
    print("|---|---|---|---|")
    for samples, rate, memory in ((len(dataset), few_rate, few), (MANY, many_rate, many)):
        print(f"| {samples:,} | {rate:,.0f} | {memory / 1e6:,.0f} MB | {alone[samples] / 1e6:,.1f} MB |")
    print()
    grown = (many - few) / (MANY - len(dataset))
    print(f"a campaign keeps {grown:.0f} bytes per sample: its result, and its place in the queue")
    print(f"exchanges for {MANY:,} samples: {counters['exchanges']:,}")
    # Speed depends on what else the machine does; this does not.
    return int(alone[MANY] - alone[len(dataset)] > GROWTH_BYTES)


if __name__ == "__main__":
    sys.exit(main())
