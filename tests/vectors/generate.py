"""Computes the golden vectors of PROTOCOL.md without the package's own codecs.

COBS comes from the ``cobs`` package, CRC-32 and DEFLATE from zlib, layouts from struct, preprocessing from exact
fractions.

    python -m tests.vectors.generate           writes tests/vectors/*.json and firmware/tests/vectors.h
    python -m tests.vectors.generate --check   says whether they are current (exit code 1 if not)
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from tests.vectors import (
    c_header,
    vectors_frames,
    vectors_inflate,
    vectors_messages,
    vectors_package,
    vectors_preprocess,
)

HERE = Path(__file__).resolve().parent
Vectors = dict[str, list[dict[str, Any]]]


def compute() -> Vectors:
    """Return every vector by file stem; the same on each call."""
    return {
        "frames": vectors_frames.vectors(),
        "messages": vectors_messages.vectors(),
        "package": vectors_package.vectors(),
        "inflate": vectors_inflate.vectors(random.Random(1)),  # noqa: S311 - reproducible noise
        "preprocess": vectors_preprocess.vectors(random.Random(2)),  # noqa: S311
    }


def files() -> dict[Path, str]:
    """Return the text of each generated file."""
    vectors = compute()
    texts = {}
    for stem, entries in vectors.items():
        lines = ",\n".join(json.dumps(entry) for entry in entries)
        texts[HERE / f"{stem}.json"] = f"[\n{lines}\n]\n"
    texts[HERE.parents[1] / "firmware" / "tests" / "vectors.h"] = c_header.render(vectors)
    return texts


def main(arguments: list[str]) -> int:
    """Write the files, or check them."""
    stale = [path for path, text in files().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.name} is not current: run python -m tests.vectors.generate\n")
        return 1 if stale else 0
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
