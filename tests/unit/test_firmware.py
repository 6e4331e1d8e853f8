"""Building the native firmware: the cache, the identity, and what goes wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_tinyml import firmware, paths
from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import BuildError, MissingToolError, UsageError
from pytest_tinyml.firmware import build
from tests.firmware.tools import need

NULL_ENGINE = sorted((assets_dir("firmware") / "engines" / "null").glob("*.c"))
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def compiler() -> str:
    """Every test here builds something."""
    return need("cc")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache folder that is in use."""
    monkeypatch.setenv(paths.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def engine(tmp_path: Path) -> list[Path]:
    """Return a copy of the null engine that a test may change."""
    folder = tmp_path / "engine"
    folder.mkdir()
    return [Path(shutil.copy(source, folder)) for source in NULL_ENGINE]


def test_a_second_build_is_taken_from_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same sources give the same file, without the compiler being asked to compile."""
    first = firmware.build_native(NULL_ENGINE, [])
    assert first.path.is_relative_to(cache)
    assert len(first.sha256) == 64
    assert bytes.fromhex(first.sha256) not in first.path.read_bytes()  # it is compiled in as text
    assert first.sha256.encode() in first.path.read_bytes()
    assert 10_000 < first.flash_bytes < 1_000_000
    assert 1_000 < first.ram_bytes < 1_000_000
    assert first.log_path.read_text(encoding="utf-8").startswith("$ ")

    def fail(*unused: object) -> None:
        raise AssertionError

    monkeypatch.setattr(firmware.native, "_compile", fail)
    assert first == firmware.build_native(NULL_ENGINE, [])


def test_whatever_goes_in_changes_the_identity(cache: Path, engine: list[Path], tmp_path: Path) -> None:
    """Sources, headers, macros and flags each make another firmware; the place of generated sources does not."""
    assert not cache.exists()
    header_dir = tmp_path / "include"
    header_dir.mkdir()
    builds = [firmware.build_native(engine, [])]
    builds.append(firmware.build_native(engine, [], {"X": "1"}))
    builds.append(firmware.build_native(engine, [], {"X": "2"}))
    builds.append(firmware.build_native(engine, [], extra_flags=["-O1"]))
    (header_dir / "unused.h").write_text("/* changed */\n", encoding="utf-8")
    builds.append(firmware.build_native(engine, [header_dir]))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = [Path(shutil.copy(source, elsewhere)) for source in engine]
    assert builds[0].sha256 == firmware.build_native(moved, []).sha256
    engine[0].write_text(engine[0].read_text(encoding="utf-8") + "\n/* changed */\n", encoding="utf-8")
    builds.append(firmware.build_native(engine, []))
    assert len(builds) == len({build.sha256 for build in builds})


def test_the_first_error_and_the_log_are_named(cache: Path, engine: list[Path]) -> None:
    """A source that does not compile gives the compiler's first error line and the whole output's path."""
    engine[0].write_text("int f(void) { return nope; }\n", encoding="utf-8")
    with pytest.raises(BuildError, match=r"error: .nope. undeclared") as failed:
        firmware.build_native(engine, [])
    assert failed.value.log_path is not None
    assert "nope" in failed.value.log_path.read_text(encoding="utf-8")
    assert str(failed.value.log_path) in str(failed.value)
    assert not [path for path in (cache / "firmware").iterdir() if path.is_dir()]


def test_a_missing_symbol_is_named(cache: Path) -> None:
    """A firmware without an engine does not link, and says what is missing."""
    with pytest.raises(BuildError, match="undefined reference to `tml_the_"):
        firmware.build_native([], [])
    assert cache.exists()


def test_no_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler the message says how to get one; a wrong CC is named."""
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(MissingToolError, match=r"a C compiler .*sudo apt-get install gcc"):
        firmware.build_native(NULL_ENGINE, [])
    monkeypatch.setenv("CC", "nocc -m32")
    with pytest.raises(MissingToolError, match="CC='nocc -m32'"):
        firmware.find_compiler()


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            "--\nCMake Error at CMakeLists.txt:5 (project):\n  CMake 3.18 or higher is required.  You have 3.13\n\n--",
            "CMake Error at CMakeLists.txt:5 (project): CMake 3.18 or higher is required. You have 3.13",
        ),
        ("CMake Error: no such file\nmore\n", "CMake Error: no such file"),
        ("a.c: In function 'f':\na.c:1:2: error: no\na.c:2:2: error: neither\n", "a.c:1:2: error: no"),
        ("nothing that\nwe know\n", "we know"),
        ("", "no output"),
    ],
)
def test_the_line_that_says_what_is_wrong(output: str, expected: str) -> None:
    """The first error of a compiler, a linker or CMake, which needs two lines for it."""
    assert expected == build.first_error(output)


def test_the_users_language_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler's words on itself are part of the identity, so they are asked for in one language."""
    program = tmp_path / "gcc"
    program.write_text('#!/bin/sh\necho "locale $LC_ALL, gcc version 12.2.0 (Debian)" >&2\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert build.compiler_version((str(program),)).startswith("locale C,")
    assert build.gcc_version(str(program)) == (12, 2)
    assert build.gcc_version(str(tmp_path / "no-such")) is None


def test_cc_may_have_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """CC is a command, as in make."""
    monkeypatch.setenv("CC", "cc -pipe")
    assert firmware.find_compiler() == ("cc", "-pipe")


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the folder and the variable that moves it."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv(paths.CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(UsageError, match="set TINYML_CACHE"):
        firmware.build_native(NULL_ENGINE, [])


def test_two_processes_may_build_at_the_same_time(cache: Path) -> None:
    """Both get a whole firmware, and nothing is left over."""
    script = (
        "from pathlib import Path\nfrom pytest_tinyml.assets import assets_dir\nfrom pytest_tinyml import firmware\n"
        "engine = sorted((assets_dir('firmware') / 'engines' / 'null').glob('*.c'))\n"
        "print(firmware.build_native(engine, []).path)\n"
    )
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outputs[0] == outputs[1]
    (entry,) = (cache / "firmware").iterdir()
    assert sorted(path.name for path in entry.iterdir()) == ["build.log", "firmware"]
    assert outputs[0].strip() == str(entry / "firmware")


def test_sizes_agree_with_the_program_headers(cache: Path) -> None:
    """Our reading of the ELF file agrees with readelf's."""
    need("readelf")
    built = firmware.build_native(NULL_ENGINE, [])
    assert built.path.is_relative_to(cache)
    text = subprocess.run(["readelf", "-lW", built.path], capture_output=True, text=True, check=True).stdout
    loads = [line.split() for line in text.splitlines() if line.strip().startswith("LOAD")]
    assert built.flash_bytes == sum(int(fields[4], 16) for fields in loads)
    assert built.ram_bytes == sum(int(fields[5], 16) for fields in loads if "W" in fields[6:-1][0])


@pytest.mark.parametrize("content", [b"", b"MZ" * 40, b"\x7fELF"])
def test_what_is_not_an_elf_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """Sizes of anything else are not guessed."""
    path = tmp_path / "program"
    path.write_bytes(content)
    with pytest.raises(BuildError, match="is not an ELF file"):
        firmware.elf_sizes(path)
