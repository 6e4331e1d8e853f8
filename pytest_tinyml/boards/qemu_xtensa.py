"""An Xtensa LX106 core with an ESP32's memory addresses, under QEMU (machine sim); it is not an ESP32."""

from __future__ import annotations

from typing import Final

from pytest_tinyml import firmware
from pytest_tinyml.boards.emulated import EmulatedKind
from pytest_tinyml.boards.emulator import Emulator

EMULATOR: Final = Emulator(
    name="qemu-xtensa",
    program="qemu-system-xtensa",
    install="sudo apt-get install qemu-system-misc",
    # With a serial device, "null" included, simcalls on standard error would go there.
    machine=("-M", "sim", "-cpu", "lx106", "-serial", "none"),
    serial_machine=("-M", "kc705-nommu", "-cpu", "lx106", "-serial", "chardev:line"),
    counting=("-icount", "shift=5,sleep=off"),
    port="qemu_xtensa",
    kernels="esp-nn",
    toolchains=(firmware.XTENSA_GCC,),
    flash=("flash",),
    ram=("dram",),
    # The core has no FPU, and the libgcc of Debian's compiler lacks what would stand for it.
    floats=False,
)
KIND: Final = EmulatedKind(
    EMULATOR, "an Xtensa LX106 core with an ESP32's memories, emulated (engine: generated C, ESP-NN)"
)
