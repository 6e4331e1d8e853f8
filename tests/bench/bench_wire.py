"""What the wire costs: bytes per MNIST image by encoding, size of the unpacker, speed of the Python codec.

    python -m tests.bench.bench_wire

Speeds are ratios to memcpy of the same bytes in the same run, so that they can be compared between computers. Ends with
exit code 1 if a bound is broken: 200 B per packed image on the wire, 1 KB of code for the unpacker.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml import wire
from pytest_tinyml.assets import assets_dir
from pytest_tinyml.firmware import find_compiler
from pytest_tinyml.records import Encoding
from pytest_tinyml.stores.datasets import load_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

MAX_PACKED_BYTES: Final = 200.0
MAX_UNPACKER_BYTES: Final = 1024
REPEATS: Final = 5
SCORES: Final = 10
# Payload budgets of the frames that are measured: a serial board's and the native board's.
FRAMES: Final = {"4 KB frames": 1 << 12, "128 KB frames": 1 << 17}


def best_time_s(action: Callable[[], object]) -> float:
    """Return the least time of a few repetitions: noise only adds."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return min(times)


def raw_frames(images: npt.NDArray[np.uint8], max_frame: int) -> list[bytes]:
    """Return all images as frames of raw pixels: uint8 [N, bytes of an image]."""
    per_frame = (wire.max_payload_size(max_frame) - 4) // (6 + images.shape[1])
    ids = np.arange(len(images))
    return [
        wire.encode_frame(
            wire.MessageType.INFER,
            1,
            wire.encode_infer_rows(Encoding.PIXELS, ids[at : at + per_frame], images[at : at + per_frame]),
        )
        for at in range(0, len(images), per_frame)
    ]


def packed_frames(packed: list[bytes], max_frame: int) -> list[bytes]:
    """Return packed images as frames, each filled as far as it goes."""
    budget = wire.max_payload_size(max_frame) - 4
    frames, first, size = [], 0, 0

    def finish(stop: int) -> None:
        payload = wire.encode_infer_packed(Encoding.PIXELS_DEFLATE, range(first, stop), packed[first:stop])
        frames.append(wire.encode_frame(wire.MessageType.INFER, 1, payload))

    for number, data in enumerate(packed):
        if size + 6 + len(data) > budget:
            finish(number)
            first, size = number, 0
        size += 6 + len(data)
    finish(len(packed))
    return frames


def result_frames(count: int) -> list[bytes]:
    """Return the results of as many samples, 500 in a frame."""
    noise = np.random.default_rng(1)
    frames = []
    for at in range(0, count, 500):
        ids = np.arange(at, min(at + 500, count), dtype=np.uint32)
        ticks = noise.integers(40_000, 90_000, len(ids)).astype(np.uint32)
        scores = noise.integers(0, 256, (len(ids), SCORES), dtype=np.uint8)
        batch = wire.ResultBatch(ids=ids, ticks=ticks, scores=scores, last=True)
        frames.append(wire.encode_frame(wire.MessageType.RESULT, 1, wire.encode_results(batch)))
    return frames


def decode_all(frames: list[bytes]) -> None:
    """Decode frames of results into arrays."""
    decoder = wire.FrameDecoder()
    for data in frames:
        for frame in decoder.feed(data):
            if not isinstance(frame, wire.Frame):
                raise frame
            wire.decode_results(frame.payload, SCORES)


def unpacker_bytes() -> int:
    """Return the code and constants of tml_inflate.c at -Os, by the system's compiler."""
    core = assets_dir("firmware") / "core"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "inflate.o"
        flags = ["-std=c11", "-Os", f"-I{core / 'include'}", "-c", str(core / "src" / "tml_inflate.c")]
        subprocess.run([*find_compiler(), *flags, "-o", str(target)], check=True, timeout=60)
        text = subprocess.run(["size", target], check=True, capture_output=True, text=True, timeout=60).stdout
    return int(text.splitlines()[1].split()[0])


def line(what: str, *values: str) -> None:
    """Print one row."""
    sys.stdout.write(f"{what:44}" + "".join(f"{value:>18}" for value in values) + "\n")


def sizes(images: npt.NDArray[np.uint8], packed: list[bytes]) -> float:
    """Print bytes per image on the wire, framing included; return the largest for packed images."""
    line("bytes per image", *FRAMES)
    line("  raw", *(f"{sum(map(len, raw_frames(images, size))) / len(images):.1f}" for size in FRAMES.values()))
    totals = [sum(map(len, packed_frames(packed, size))) / len(images) for size in FRAMES.values()]
    line("  packed", *(f"{total:.1f}" for total in totals))
    line("  packed, data alone", f"{sum(map(len, packed)) / len(packed):.1f}")
    return max(totals)


def speeds(images: npt.NDArray[np.uint8], packed: list[bytes], pack_time_s: float) -> None:
    """Print images per second and the ratio to memcpy of the bytes that travel."""
    size = FRAMES["128 KB frames"]
    results = result_frames(len(images))
    rows: list[tuple[str, int, Callable[[], object]]] = [
        ("encode raw batches", images.nbytes, lambda: raw_frames(images, size)),
        ("encode packed batches", sum(map(len, packed)), lambda: packed_frames(packed, size)),
        ("decode results", sum(map(len, results)), lambda: decode_all(results)),
    ]
    line("speed of the Python codec", "images/s", "MB/s", "memcpy / this")
    for what, nbytes, action in rows:
        taken = best_time_s(action)
        # Copied frame by frame, as the codec works: one large block would measure the memory instead of the cache.
        block = np.zeros(min(nbytes, size), dtype=np.uint8)
        rounds = max(1, nbytes // block.nbytes)
        copied = best_time_s(lambda block=block, rounds=rounds: [block.copy() for _ in range(rounds)])  # type: ignore[misc]
        speed = f"{nbytes / taken / 1e6:.0f}"
        line(f"  {what}", f"{len(images) / taken:,.0f}", speed, f"{copied / taken:.4f}")
    line("  pack", f"{len(packed) / pack_time_s:,.0f}", f"{images.nbytes / pack_time_s / 1e6:.0f}")


def main() -> int:
    """Measure and print; 1 if a bound is broken."""
    dataset = load_dataset("mnist-28k")
    images = np.ascontiguousarray(dataset.images, dtype=np.uint8).reshape(len(dataset), -1)
    listed = [row.tobytes() for row in images]
    begin = time.perf_counter()
    packed = [wire.deflate_sample(data) for data in listed]
    pack_time_s = time.perf_counter() - begin
    sys.stdout.write(f"{dataset.name}: {len(images):,} images of {images.shape[1]} B, {os.cpu_count()} processors\n")
    largest = sizes(images, packed)
    speeds(images, packed, pack_time_s)
    code = unpacker_bytes()
    line("unpacker's code at -Os, bytes", str(code))
    good = largest <= MAX_PACKED_BYTES and code < MAX_UNPACKER_BYTES
    sys.stdout.write("within the bounds\n" if good else "A BOUND IS BROKEN\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
