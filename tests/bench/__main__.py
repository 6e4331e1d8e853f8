"""All benchmarks, one after the other: the figures of docs/benchmarks.md."""

from __future__ import annotations

import sys

from tests.bench import (
    bench_campaign,
    bench_emulated,
    bench_gates,
    bench_http,
    bench_live,
    bench_references,
    bench_report,
    bench_sequential,
    bench_serial,
    bench_startup,
    bench_systems,
    bench_wire,
    bench_zoo,
)

ALL = (
    bench_wire,
    bench_campaign,
    bench_zoo,
    bench_emulated,
    bench_systems,
    bench_http,
    bench_live,
    bench_references,
    bench_report,
    bench_serial,
    bench_sequential,
    bench_startup,
    bench_gates,
)


def main() -> int:
    """Print every table; returns 1 if a bound is broken."""
    broken = 0
    for module in ALL:
        print(f"\n{(module.__doc__ or '').splitlines()[0]}\n", flush=True)
        broken |= module.main()
    return broken


if __name__ == "__main__":
    sys.exit(main())
