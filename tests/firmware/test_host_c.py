"""The C tests of firmware/tests/ under sanitizers, the fuzzer, and what the sources must keep to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.firmware.tools import CORE, FIRMWARE, INCLUDE, SANITIZE, STRICT, fuzz, need, run

if TYPE_CHECKING:
    from pathlib import Path

TESTS = FIRMWARE / "tests"
APPS = ("apps/common", "apps/pulling", "apps/wired", "apps/native")
FOLDERS = ("net", "console", "mlperf", "ports/native", *APPS, "engines/null")
NATIVE = [
    *(source for folder in FOLDERS for source in sorted((FIRMWARE / folder).glob("*.c"))),
    FIRMWARE / "ports" / "common" / "fault_report.c",
]
NATIVE_FLAGS = (
    *(f"-I{FIRMWARE / folder}" for folder in (*FOLDERS, "ports/common")),
    '-DTML_FIRMWARE_SHA256="' + "0" * 64 + '"',
    '-DTML_FIRMWARE_VERSION="test"',
)
FREESTANDING = {"stdint.h", "stddef.h", "stdbool.h", "string.h"}
STRING_FUNCTIONS = {"memcpy", "memset", "memcmp"}


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("program", ["test_vectors", "test_session"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c_tests_pass_under_sanitizers(compiler: str, program: str, slices: int, tmp_path: Path) -> None:
    """Every golden vector and every way through the session, with every buffer guarded."""
    sources = [TESTS / f"{program}.c", TESTS / "fake_board.c", *CORE]
    binary = tmp_path / program
    run([need(compiler), *STRICT, *SANITIZE, f"-DTML_CRC_SLICES={slices}", INCLUDE, *sources, "-o", binary])
    assert " 0 failures" in run([binary])


@pytest.mark.parametrize("level", ["-Os", "-O3"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_sources_compile_without_a_warning(compiler: str, level: str, tmp_path: Path) -> None:
    """Core, net, console, native port, native app and the null engine are clean under -Wconversion and its friends."""
    command = [need(compiler), *STRICT, level, INCLUDE, *NATIVE_FLAGS, *CORE, *NATIVE, "-o", tmp_path / "native"]
    run(command)


def test_core_compiles_for_a_cortex_m4(tmp_path: Path) -> None:
    """The core needs nothing that a bare-metal compiler lacks, and unpacks in less than 1 KB of code."""
    compiler = need("arm-none-eabi-gcc")
    for source in CORE:
        target = tmp_path / f"{source.stem}.o"
        run(
            [
                compiler,
                *STRICT,
                "-Os",
                "-mcpu=cortex-m4",
                "-mthumb",
                "-ffreestanding",
                INCLUDE,
                "-c",
                source,
                "-o",
                target,
            ]
        )
    assert text_bytes(tmp_path / "tml_inflate.o") < 1024


def text_bytes(path: Path) -> int:
    """Return the bytes of code and constants of an object file."""
    return int(run([need("size"), path]).splitlines()[1].split()[0])


def test_unpacking_takes_less_than_1_kb_on_the_host(tmp_path: Path) -> None:
    """The bound on the decoder's code, by the host's compiler."""
    target = tmp_path / "inflate.o"
    run([need("gcc"), *STRICT, "-Os", INCLUDE, "-c", FIRMWARE / "core" / "src" / "tml_inflate.c", "-o", target])
    assert text_bytes(target) < 1024


def test_core_includes_no_vendor_or_system_header() -> None:
    """The core may include itself and four freestanding headers, and of string.h only three functions."""
    files = [*CORE, *sorted((FIRMWARE / "core").rglob("*.h"))]
    assert len(files) >= 10
    own = {file.name for file in files}
    for file in files:
        text = file.read_text(encoding="utf-8")
        included = set(re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE))
        assert included <= own | FREESTANDING, file.name
        called = set(re.findall(r"\b(mem\w+|str\w+|malloc|calloc|realloc|free|printf|abort)\s*\(", text))
        assert called <= STRING_FUNCTIONS, file.name


def test_core_needs_no_symbol_but_three_and_keeps_no_state(tmp_path: Path) -> None:
    """Linked together, the core asks for memcpy, memset and memcmp at most, and has no writable data."""
    target = tmp_path / "core.o"
    run(
        [
            need("gcc"),
            *STRICT,
            "-O2",
            "-fno-stack-protector",
            "-fno-pic",
            INCLUDE,
            "-r",
            "-nostdlib",
            *CORE,
            "-o",
            target,
        ]
    )
    symbols = [line.split() for line in run([need("nm"), target]).splitlines()]
    assert {name for *_, kind, name in symbols if kind == "U"} <= STRING_FUNCTIONS | {"_GLOBAL_OFFSET_TABLE_"}
    assert not [name for *_, kind, name in symbols if kind in "bBdDC"]


def test_cmake_builds_and_ctest_passes(tmp_path: Path) -> None:
    """The CMake project builds core, native board and tests, and its tests pass."""
    run([need("cmake"), "-S", FIRMWARE, "-B", tmp_path, "-DTML_SANITIZE=ON"])
    run(["cmake", "--build", tmp_path, "--parallel", "2"])
    assert "100% tests passed" in run(["ctest", "--test-dir", tmp_path, "--output-on-failure"])


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("tml_frame.c", "if (code != COBS_FULL) {", "if (true) {"),
        ("tml_frame.c", "receiver->capacity - 1 - receiver->encoded", "receiver->capacity - receiver->encoded"),
        ("tml_frame.c", "if (code == COBS_FULL) {", "if (code == COBS_FULL - 1U) {"),
        ("tml_crc.c", "return ~crc;", "return crc;"),
        ("tml_codec.c", "if (left < length) {", "if (left + 1 < length) {"),
        ("tml_codec.c", "return left == 0 ? TML_OK", "return true ? TML_OK"),
        ("tml_inflate.c", "distance > filled", "distance > filled + 1"),
        ("tml_inflate.c", "if (filled == out_size) {", "if (filled > out_size) {"),
        ("tml_inflate.c", "r.at == r.end && filled", "filled"),
        ("tml_inflate.c", "(length ^ 0xFFFFU)", "get_bits(&r, 0)"),
        ("tml_preprocess.c", "scaled >= preprocess->thresholds", "scaled > preprocess->thresholds"),
        ("tml_session.c", "session->rx_start = session->segment;", ""),
        ("tml_session_infer.c", "session->result_size + needed > tml_reply_room(session)", "false"),
        ("tml_session_infer.c", "& port->tick_mask", ""),
        ("tml_session_infer.c", "session->result_count == 0 ? TML_OK : flush_results(session, seq, false)", "TML_OK"),
    ],
)
def test_a_planted_bug_is_found(file: str, old: str, new: str, tmp_path: Path) -> None:
    """The C tests fail on each of these mutations: they are no decoration."""
    original = FIRMWARE / "core" / "src" / file
    text = original.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} no longer holds exactly one {old!r}"
    mutant = tmp_path / file
    mutant.write_text(text.replace(old, new), encoding="utf-8")
    sources = [mutant if source == original else source for source in CORE]
    with pytest.raises(AssertionError, match=r"test_(vectors|session) ended with"):
        run_c_tests(sources, tmp_path)


def run_c_tests(core: list[Path], folder: Path) -> None:
    """Build both C tests with these core sources, and run them."""
    for program in ("test_vectors", "test_session"):
        binary = folder / program
        inputs = [TESTS / f"{program}.c", TESTS / "fake_board.c", *core]
        # A mutant lies elsewhere, and still wants the header that the core keeps for itself.
        own = f"-I{FIRMWARE / 'core' / 'src'}"
        run([need("gcc"), "-std=c11", "-w", *SANITIZE, INCLUDE, own, *inputs, "-o", binary])
        run([binary])


@pytest.mark.fuzz
def test_fuzzer_finds_nothing(tmp_path: Path) -> None:
    """Any bytes at receiver, session and unpacker."""
    assert fuzz([TESTS / "fuzz_frame.c", TESTS / "fake_board.c", *CORE], (INCLUDE,), tmp_path, share=0.4) > 1000
