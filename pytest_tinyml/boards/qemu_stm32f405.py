"""A Cortex-M4 with the memories of an STM32F405, under QEMU (machine netduinoplus2)."""

from __future__ import annotations

from typing import Final

from pytest_tinyml import firmware
from pytest_tinyml.boards.emulated import EmulatedKind
from pytest_tinyml.boards.emulator import Emulator

EMULATOR: Final = Emulator(
    name="qemu-stm32f405",
    program="qemu-system-arm",
    install="sudo apt-get install qemu-system-arm",
    machine=("-M", "netduinoplus2", "-serial", "null"),
    serial_machine=("-M", "netduinoplus2", "-serial", "chardev:line"),
    # One nanosecond of its time per instruction, and no waiting for the computer's clock.
    counting=("-icount", "shift=0,sleep=off"),
    port="qemu_stm32f405",
    kernels="cmsis-nn",
    toolchains=(firmware.ARM_GCC, firmware.ARM_ZIG),
    flash=("FLASH",),
    ram=("RAM",),
)
KIND: Final = EmulatedKind(
    EMULATOR, "a Cortex-M4 with an STM32F405's memories, emulated (engine: generated C, CMSIS-NN)"
)
