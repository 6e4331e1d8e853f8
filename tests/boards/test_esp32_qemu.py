"""What a board under Espressif's QEMU needs, and which of QEMU's arguments are added to a user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.boards import esp32_qemu, espkind
from pytest_tinyml.boards.espemulated import our_arguments

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is installed, and ESP-IDF's environment set."""
    monkeypatch.setattr(espkind, "find_spec", lambda _: object())
    monkeypatch.setenv("IDF_PATH", "esp-idf")


def program(folder: Path, script: str) -> dict[str, str]:
    """Write a program that stands for QEMU, and return the option that names it."""
    path = folder / "qemu-system-xtensa"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o700)
    return {"qemu_prog_path": str(path)}


def test_everything_is_there(extra: None, tmp_path: Path) -> None:
    """A QEMU with the machine is enough."""
    device = program(tmp_path, "echo Supported machines are:; echo 'esp32  Espressif ESP32 machine'")
    assert [] == esp32_qemu.KIND.missing_with(device)


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("echo Supported machines are:; echo 'sim  sim machine'", "has no machine esp32"),
        ("echo 'esp32s3  another chip'", "has no machine esp32"),
        ("echo broken >&2; exit 1", "has no machine esp32"),
        ("exec sleep 9", "does not say which machines it has"),
    ],
)
def test_programs_that_will_not_do(
    extra: None, tmp_path: Path, script: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another QEMU, a broken one and one that hangs are named, with what installs Espressif's."""
    monkeypatch.setattr(esp32_qemu, "_ASK_S", 0.5)
    (missing,) = esp32_qemu.KIND.missing_with(program(tmp_path, script))
    assert what in missing.what
    assert missing.install.startswith("python $IDF_PATH/tools/idf_tools.py install qemu-xtensa")


def test_nothing_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Packages, program and ESP-IDF are named, the last only if no firmware is."""
    monkeypatch.setattr(espkind, "find_spec", lambda name: None if name.endswith("qemu") else object())
    monkeypatch.delenv("IDF_PATH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    lacking = [
        "pytest-embedded-qemu",
        "Espressif's QEMU (there is no qemu-system-xtensa;",
        "ESP-IDF (IDF_PATH is not set)",
    ]
    found = [missing.what for missing in esp32_qemu.KIND.missing()]
    assert len(lacking) == len(found)
    assert all(text.startswith(start) for text, start in zip(found, lacking, strict=True))
    assert found[:2] == [missing.what for missing in esp32_qemu.KIND.missing_with({"app_path": "app"})]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ["-nic", "-m", "-global"]),
        (["-nic", "tap,model=open_eth"], ["-m", "-global"]),
        (["-netdev", "user,id=n"], ["-m", "-global"]),
        (["-m", "2M"], ["-nic", "-global"]),
        (["-global", "driver=timer.esp32.timg,property=wdt_disable,value=false"], ["-nic", "-m"]),
        (["-machine", "esp32", "-monitor", "none"], ["-nic", "-m", "-global"]),
    ],
)
def test_a_users_arguments_win(given: list[str], expected: list[str]) -> None:
    """Network, memory and watchdogs are ours unless they are the user's."""
    assert expected == [word for word in our_arguments(given) if word.startswith("-")]
