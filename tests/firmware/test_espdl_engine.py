"""Engine ``espdl`` on this computer, in front of a double of ESP-DL, whose library is for Espressif's chips only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tinyml.engines.carray import write
from tests.firmware.tools import FIRMWARE, INCLUDE, SANITIZE, STRICT, need, run

if TYPE_CHECKING:
    from pathlib import Path

DOUBLE = FIRMWARE.parent / "tests" / "firmware" / "espdl"
FLAGS = ("-std=gnu++17", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-fno-rtti")


def test_what_it_takes_and_refuses(tmp_path: Path) -> None:
    """Tensors, exponents and memory are checked before the first inference; init begins anew; nothing leaks."""
    write(b"EDL2", tmp_path, ".espdl")
    codec, program = tmp_path / "codec.o", tmp_path / "test_espdl"
    run([need("clang"), *STRICT, *SANITIZE, INCLUDE, "-c", FIRMWARE / "core" / "src" / "tml_codec.c", "-o", codec])
    sources = (FIRMWARE / "engines" / "espdl" / "tml_engine_espdl.cc", DOUBLE / "test_espdl.cc", codec)
    command = [need("clang++"), *FLAGS, *SANITIZE, INCLUDE, f"-I{tmp_path}", f"-I{DOUBLE}"]
    run([*command, *sources, "-o", program])
    assert "0 failures\n" == run([program])
