"""A twin as a program of its own, for tests that look at what their own process has."""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.twin.board import CAM, Faults, Twin, at_the_port, panic

if TYPE_CHECKING:
    from collections.abc import Iterator

_END_S = 60.0


@contextmanager
def plugged(flash: Path, *arguments: str) -> Iterator[str]:
    """Start a twin with a file's content in its flash; yields the URL of its port."""
    command = [sys.executable, "-m", "tests.twin.plugged", str(flash), *arguments]
    here = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()  # which ends it
            process.wait(_END_S)


def main() -> None:
    """Be there until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("flash", type=Path)
    parser.add_argument("--panic-at", type=int)
    parser.add_argument("--hang-at", type=int)
    parser.add_argument("--wired", metavar="BOARD")
    options = parser.parse_args()
    wiring = at_the_port(options.wired) if options.wired else CAM
    faults = Faults(reset_at=options.panic_at, always=True, panic=panic(0x400D1234), hang_at=options.hang_at)
    with Twin(faults, flash=options.flash.read_bytes(), wiring=wiring) as twin:
        print(twin.url, flush=True)  # noqa: T201 - to who has started it
        sys.stdin.read()


if __name__ == "__main__":
    main()
