"""What the plugin costs a session that does not use it: with it against ``-p no:tinyml``, in turns.

Run as ``python -m tests.bench.bench_startup``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

ROUNDS: Final = 25
LIMIT_MS: Final = 30.0


def _run(folder: Path, *arguments: str) -> float:
    """Return the milliseconds of a session with one empty test."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    before = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        # Without the plugins of others, which cost more and vary.
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    return (time.perf_counter() - before) * 1e3


def measure(rounds: int = ROUNDS) -> tuple[float, float]:
    """Return the medians in milliseconds of sessions with and without the plugin, run in turns."""
    with tempfile.TemporaryDirectory(prefix="tinyml-bench-") as scratch:
        folder = Path(scratch)
        (folder / "test_nothing.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
        kinds = (("-p", "tinyml"), ("-p", "no:tinyml"))
        for kind in kinds:
            _run(folder, *kind)
        times = [[_run(folder, *kind) for kind in kinds] for _ in range(rounds)]
    with_plugin, without = (statistics.median(column) for column in zip(*times, strict=True))
    return with_plugin, without


def main() -> int:
    """Print the figures; returns 1 if the plugin costs more than it may."""
    with_plugin, without = measure()
    added = with_plugin - without
    print("| session with one empty test | median ms |")
    print("|---|---:|")
    print(f"| without the plugin | {without:.0f} |")
    print(f"| with it, unused | {with_plugin:.0f} |")
    print(f"| difference (at most {LIMIT_MS:.0f}) | {added:.1f} |")
    print(f"| ratio | {with_plugin / without:.3f} |", flush=True)
    return int(added > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
