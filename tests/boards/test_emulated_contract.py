"""The emulated boards keep the contract, over each of their links."""

from __future__ import annotations

from pytest_tinyml.boards import qemu_stm32f405, qemu_xtensa
from tests.boards.emulated import EmulatedContract


class TestStm32f405Semihosting(EmulatedContract):
    """The Cortex-M4 over two pipes."""

    kind = qemu_stm32f405.KIND
    link = "semihosting"


class TestStm32f405Serial(EmulatedContract):
    """The Cortex-M4 over its emulated UART."""

    kind = qemu_stm32f405.KIND
    link = "serial"
    samples = 20
    recovers = True


class TestXtensaSemihosting(EmulatedContract):
    """The Xtensa core over two pipes."""

    kind = qemu_xtensa.KIND
    link = "semihosting"


class TestXtensaSerial(EmulatedContract):
    """The Xtensa core over the UART of the machine kc705-nommu."""

    kind = qemu_xtensa.KIND
    link = "serial"
    samples = 20
    recovers = True
