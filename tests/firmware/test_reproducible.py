"""Firmware for one processor is reproducible: the same sources give the same bytes, wherever they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.firmware.tools import built_in_two_folders, need

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("app", "port", "toolchain", "compiler"),
    [
        ("emulated", "qemu_stm32f405", "toolchain-arm-none-eabi.cmake", "arm-none-eabi-gcc"),
        ("emulated", "qemu_xtensa", "toolchain-xtensa-lx106.cmake", "xtensa-lx106-elf-gcc"),
        ("nucleo_f446re", "stm32f446", "toolchain-arm-none-eabi.cmake", "arm-none-eabi-gcc"),
    ],
)
def test_the_place_is_not_in_the_image(app: str, port: str, toolchain: str, compiler: str, tmp_path: Path) -> None:
    """Neither the sources' nor the build's."""
    need(compiler)
    need("cmake")
    one, another = built_in_two_folders(port, toolchain, tmp_path, app=app, definitions="TML_BAUD=921600")
    assert one == another
    assert str(tmp_path).encode() not in one
