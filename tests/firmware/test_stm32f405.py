"""The port for QEMU's STM32F405, on the emulated processor: clocks, memory protection, reports of faults."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.firmware.tools import CORE, FIRMWARE, INCLUDE, STRICT, need, run

if TYPE_CHECKING:
    from pathlib import Path

PORT = FIRMWARE / "ports" / "qemu_stm32f405"
FAMILY = FIRMWARE / "ports" / "stm32f4"
COMMON = FIRMWARE / "ports" / "common"
CORTEX_M4 = ("-mcpu=cortex-m4", "-mthumb", "-ffreestanding")
WITHOUT_FPU = ("-mfloat-abi=soft",)
WITH_FPU = ("-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-DTML_FPU=1")
INCLUDES = (INCLUDE, *(f"-I{folder}" for folder in (PORT, FAMILY, COMMON, COMMON / "include")))
SURVIVED = 7
FAULT = 3
MEMORY_FUNCTIONS = ("memcpy", "memmove", "memset", "memcmp", "strlen", "strcmp", "strncmp")


@pytest.fixture(scope="module")
def float_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for networks of floats: the FPU is on."""
    return build(tmp_path_factory.mktemp("stm32f405-fpu"), WITH_FPU)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the program that does what the command line says."""
    return build(tmp_path_factory.mktemp("stm32f405"), WITHOUT_FPU)


def build(folder: Path, floats: tuple[str, ...]) -> Path:
    """Compile and link the program."""
    target = folder / "target.elf"
    ports = [file for folder in (PORT, FAMILY, COMMON) for file in sorted(folder.glob("*.c"))]
    sources = [FIRMWARE / "tests" / "target_stm32f405.c", *ports, *CORE]
    script = (f"-T{PORT / 'link.ld'}", f"-L{FAMILY}")
    compiler = need("arm-none-eabi-gcc")
    run(
        [
            compiler,
            *STRICT,
            *CORTEX_M4,
            *floats,
            "-Os",
            "-nostdlib",
            *INCLUDES,
            *sources,
            *script,
            "-lgcc",
            "-o",
            target,
        ]
    )
    return target


def emulate(image: Path, action: str, *options: str) -> tuple[int, str]:
    """Run the program under QEMU; return the exit status and what it wrote."""
    done = subprocess.run(
        [
            need("qemu-system-arm"),
            *("-M", "netduinoplus2", "-nodefaults", "-display", "none", "-monitor", "none", "-serial", "null"),
            *("-d", "guest_errors", "-kernel", str(image), *options),
            *("-semihosting-config", f"enable=on,target=native,arg={action}"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def numbers(output: str, name: str) -> list[int]:
    """Return the values that the program reported under a name."""
    return [int(value, 16) for value in re.findall(rf"^{name} (0x[0-9a-f]+)$", output, re.MULTILINE)]


@pytest.mark.parametrize("counting", ["shift=0", "shift=0,sleep=off"])
def test_the_clock_counts_every_instruction(image: Path, counting: str) -> None:
    """Loops of 2 to 2,000,000 instructions take as many ticks, and always the same few more to read the clock."""
    status, output = emulate(image, "clocks", "-icount", counting)
    assert status == SURVIVED
    overheads = numbers(output, "overhead")
    assert len(overheads) == 8
    assert set(overheads) == {overheads[0]}
    assert 0 < overheads[0] < 20


@pytest.mark.parametrize("options", [(), ("-icount", "shift=0")])
def test_a_read_of_a_silent_line_ends_in_time(image: Path, options: tuple[str, ...]) -> None:
    """The serial line's time-out is kept, whatever QEMU's time is made of."""
    status, output = emulate(image, "clocks", *options)
    assert status == SURVIVED
    assert numbers(output, "got") == [0]
    (waited,) = numbers(output, "waited")
    # What a computer does that is busy is in it; a clock in another unit is off by a thousand.
    assert 250 <= waited < 20_000


def test_memory_functions_are_right_on_the_processor(image: Path) -> None:
    """Every alignment and 100 sizes, on the code that the cross compiler made."""
    status, output = emulate(image, "copies")
    assert status == SURVIVED
    assert numbers(output, "cases") == [8 * 8 * 100]
    assert numbers(output, "wrong") == [0]


@pytest.mark.parametrize(
    ("action", "report"),
    [
        ("null-read", r"^MemManage, data access refused by the MPU, address 0x00000000, pc 0x080"),
        ("null-write", r"^MemManage, data access refused by the MPU, address 0x00000000, pc 0x080"),
        ("flash-write", r"^MemManage, data access refused by the MPU, address 0x08000100, pc 0x080"),
        ("jump-to-data", r"^MemManage, instruction fetch refused by the MPU, pc 0x2000\w+, lr 0x080"),
        ("divide-by-zero", r"^UsageFault, division by zero, pc 0x080"),
        ("floating-point", r"^UsageFault, no coprocessor, pc 0x080"),
        ("unexpected-interrupt", r"^unexpected exception 0x00000036, pc 0x080"),
        ("bad-instruction", r"^UsageFault, undefined instruction, pc 0x080"),
        ("wild-write", r"^BusFault, precise data access, address 0x60000000, pc 0x080"),
        ("stack-overflow", r"^stack overflow, MemManage, .*address 0x1ffff\w+, .*called from 0x080"),
        ("large-frame", r"^stack overflow, MemManage, .*address 0x1fff\w+, .*called from 0x080"),
    ],
)
def test_a_fault_is_reported_by_name_and_place(image: Path, action: str, report: str) -> None:
    """What a processor without protection would let pass ends the emulator with status 3 and says why."""
    status, output = emulate(image, action)
    assert re.search(report, output, re.MULTILINE), output
    assert status == FAULT


def test_floating_point_where_it_is_wanted(float_image: Path) -> None:
    """With the FPU on an instruction of floating point is one as any other."""
    status, output = emulate(float_image, "floating-point")
    assert status == SURVIVED, output


def test_a_fault_among_floats_has_its_stack(float_image: Path) -> None:
    """The frame of 26 words is left out of the stack pointer that is reported, as the frame of 8 is elsewhere."""
    status, output = emulate(float_image, "fault-with-floats")
    (stack,) = numbers(output, "stack")
    found = re.search(
        r"^UsageFault, undefined instruction, pc 0x080\w+, lr 0x080\w+, sp (0x\w+),", output, re.MULTILINE
    )
    assert found is not None, output
    assert stack == int(found[1], 16)
    assert status == FAULT


def test_a_lock_up_ends_the_emulator(image: Path) -> None:
    """A fault in the fault handler: QEMU says so and aborts."""
    status, output = emulate(image, "lock-up")
    assert "Lockup: can't escalate 3 to HardFault" in output
    assert status < 0


@pytest.mark.parametrize("level", ["-Os", "-O2", "-O3"])
@pytest.mark.parametrize(
    ("prefix", "flags"), [("arm-none-eabi-", (*CORTEX_M4, *WITHOUT_FPU)), ("xtensa-lx106-elf-", ("-ffreestanding",))]
)
def test_no_memory_function_calls_itself(prefix: str, flags: tuple[str, ...], level: str, tmp_path: Path) -> None:
    """No compiler makes a call of memcpy of the loop that is memcpy: each symbol but strncmp is only defined."""
    target = tmp_path / "freestanding.o"
    source = COMMON / "freestanding.c"
    compiler = need(f"{prefix}gcc")
    run([compiler, *STRICT, *flags, level, "-ffunction-sections", INCLUDES[-1], "-c", source, "-o", target])
    relocations = run([need(f"{prefix}objdump"), "-dr", target])
    called = set(re.findall(rf"\b({'|'.join(MEMORY_FUNCTIONS)})$", relocations, re.MULTILINE))
    assert called <= {"strncmp"}
    assert not run([need(f"{prefix}nm"), "-u", target]).strip()
