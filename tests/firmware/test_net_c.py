"""The C tests of firmware/net and firmware/console under sanitizers, their fuzzers, and what the sources keep to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.firmware.tools import FIRMWARE, INCLUDE, SANITIZE, STRICT, fuzz, need, run

if TYPE_CHECKING:
    from pathlib import Path

TESTS = FIRMWARE / "tests"
NET = sorted((FIRMWARE / "net").glob("*.c"))
CONSOLE = sorted((FIRMWARE / "console").glob("*.c"))
FLAGS = (INCLUDE, f"-I{FIRMWARE / 'net'}", f"-I{FIRMWARE / 'console'}")
SOURCES = {
    "test_http": FIRMWARE / "net" / "tml_http_answer.c",
    "test_console": FIRMWARE / "console" / "tml_console.c",
}
HEADERS = [header for folder in ("net", "console") for header in sorted((FIRMWARE / folder).glob("*.h"))]
OWN_HEADERS = {header.name for header in (*HEADERS, *(FIRMWARE / "core" / "include").glob("*.h"))}
FREESTANDING = {"stdint.h", "stddef.h", "stdbool.h", "string.h"}
SEEDS = {
    "http": [
        b"\x03HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"\x07HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
        b"\x01HTTP/1.0 503 No\nConnection: keep-alive\nContent-Length: 0\n\n",
        b"\x05HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ],
    "console": [
        b"\x03tinyml wifi my%20net p%25ss\r\n",
        b"\x07noise\ntinyml server 10.0.0.2 8080 0 token\n",
        b"\x01tinyml stop\ntinyml other\n",
    ],
}


@pytest.mark.parametrize("program", sorted(SOURCES))
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c_tests_pass_under_sanitizers(compiler: str, program: str, tmp_path: Path) -> None:
    """Every answer and every line in every way of being cut, with every buffer guarded."""
    binary = tmp_path / program
    run([need(compiler), *STRICT, *SANITIZE, *FLAGS, TESTS / f"{program}.c", SOURCES[program], "-o", binary])
    assert " 0 failures" in run([binary])


@pytest.mark.fuzz
@pytest.mark.parametrize("target", sorted(SEEDS))
def test_fuzzer_finds_nothing(target: str, tmp_path: Path) -> None:
    """Any bytes as an answer and as a line, cut anywhere, give the same as whole."""
    sources = [TESTS / f"fuzz_{target}.c", SOURCES[f"test_{target}"]]
    assert fuzz(sources, FLAGS, tmp_path, share=0.25, seeds=SEEDS[target]) > 1000


@pytest.mark.parametrize(
    ("program", "old", "new"),
    [
        ("test_http", "(TML_HTTP_BODY_LIMIT - digit) / base", "UINT32_MAX / base"),
        ("test_http", "if (a->chunked && a->has_content) {", "if (false) {"),
        ("test_http", "++a->header_bytes > TML_HTTP_HEADER_LIMIT", "++a->header_bytes > 60000U"),
        ("test_http", "uint16_t spent = a->header_bytes;", "uint16_t spent = 0;"),
        ("test_http", "a->line_size < sizeof a->line", "a->line_size <= sizeof a->line"),
        ("test_http", "|| is_blank(line[name - 1])", ""),
        ("test_http", "(after_return && c != '\\n') ||", ""),
        ("test_http", "length != a->content", "false"),
        ("test_http", "answer->state == CHUNK ? CHUNK_END : DONE", "DONE"),
        ("test_http", "a->keep_alive = a->keep_alive && a->has_length;", ""),
        ("test_http", "return a->line_size == 0 ? CHUNK_SIZE : MALFORMED;", "return CHUNK_SIZE;"),
        ("test_console", "console->size == TML_CONSOLE_LINE", "console->size > TML_CONSOLE_LINE"),
        ("test_console", "|| high + low == 0", ""),
        ("test_console", "count == (int)TML_CONSOLE_ARGUMENTS ||", ""),
        ("test_console", "|| *text == '\\0' ||", "||"),
        ("test_console", "tml_wipe(console->line, sizeof console->line);", ""),
        ("test_console", "if (console->busy) {", "if (false) {"),
        ("test_console", "done && command->after != NULL", "command->after != NULL"),
    ],
)
def test_a_planted_bug_is_found(program: str, old: str, new: str, tmp_path: Path) -> None:
    """The C tests fail on each of these mutations."""
    original = SOURCES[program]
    text = original.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{original.name} no longer holds exactly one {old!r}"
    mutant = tmp_path / original.name
    mutant.write_text(text.replace(old, new), encoding="utf-8")
    binary = tmp_path / program
    run([need("gcc"), "-std=c11", "-w", *SANITIZE, *FLAGS, TESTS / f"{program}.c", mutant, "-o", binary])
    with pytest.raises(AssertionError, match=f"{program} ended with"):
        run([binary])


def test_only_one_header_includes_sockets() -> None:
    """Sockets come in through tml_sockets.h, which one file includes; nothing else is included but our own headers."""
    users = set()
    for file in [*NET, *CONSOLE, *HEADERS]:
        text = file.read_text(encoding="utf-8")
        included = set(re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE))
        if "tml_sockets.h" in included:
            users.add(file.name)
        if file.name != "tml_sockets.h":
            assert included <= OWN_HEADERS | FREESTANDING, file.name
    assert users == {"tml_http.c"}


def test_there_is_no_heap_no_stdio_and_no_state(tmp_path: Path) -> None:
    """Linked together they ask for strings, sockets and the clock of nobody, and have no writable data."""
    target = tmp_path / "net.o"
    flags = ("-O2", "-fno-stack-protector", "-fno-pic", "-U_FORTIFY_SOURCE")
    run([need("gcc"), *STRICT, *flags, *FLAGS, "-r", "-nostdlib", *NET, *CONSOLE, "-o", target])
    symbols = [line.split() for line in run([need("nm"), target]).splitlines()]
    needed = {name for *_, kind, name in symbols if kind == "U"} - {"_GLOBAL_OFFSET_TABLE_"}
    strings = {"memcpy", "memmove", "memset", "memcmp", "strlen", "strchr"}
    sockets = {
        *("socket", "connect", "sendmsg", "recv", "poll", "close", "fcntl", "setsockopt", "getsockopt"),
        *("getaddrinfo", "freeaddrinfo", "__errno_location"),
    }
    assert needed <= strings | sockets
    assert not [name for *_, kind, name in symbols if kind in "bBdDC"]


def test_all_but_the_sockets_compiles_for_a_microcontroller(tmp_path: Path) -> None:
    """Without a system there is nothing to miss, and 32-bit types make no new warning."""
    flags = ("-Os", "-mcpu=cortex-m4", "-mthumb", "-ffreestanding")
    for source in [*(file for file in NET if file.name != "tml_http.c"), *CONSOLE]:
        target = tmp_path / f"{source.stem}.o"
        run([need("arm-none-eabi-gcc"), *STRICT, *flags, *FLAGS, "-c", source, "-o", target])
