"""The image for the part itself: which memories it takes, and for which processor its code is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.boards.nucleo_f446re import KIND, PART
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.firmware.image import symbol_values
from pytest_tinyml.stores.models import load_model
from tests.firmware.tools import need, run

if TYPE_CHECKING:
    from pathlib import Path

STACKS = (16 + 2) << 10
BUFFERS = (8 + 3 * 4) << 10
"""The ring, and one frame each to receive into, to be decoded and to be sent."""


@pytest.mark.parametrize("name", ["s0-ptq", "s2-ptq", "s2-float", "s4-float"])
def test_every_zoo_model_is_placed_where_the_part_has_memory(name: str, tmp_path: Path) -> None:
    """Weights are in flash, stacks, buffers and arena in RAM; both by the sizes of the STM32F446RE."""
    model = load_model(name)
    image = KIND.linked(model, tmp_path)
    network = sources_for(model, PART.kernels)
    assert [(memory.name, memory.size) for memory in image.memories] == [("FLASH", 512 << 10), ("RAM", 128 << 10)]
    flash, ram = image.memories
    assert network.weights_bytes < flash.used < network.weights_bytes + (24 << 10)
    taken = STACKS + BUFFERS + network.arena_bytes
    assert taken <= ram.used < taken + (3 << 10)
    symbols = symbol_values(image.path)
    assert symbols["link_vectors"] == 0x08000000
    assert symbols["link_stack_bottom"] == 0x20000000
    assert symbols["link_bss_end"] <= 0x20000000 + (128 << 10)


@pytest.mark.parametrize("name", ["s2-ptq", "s2-float"])
def test_all_code_is_the_processors(name: str, tmp_path: Path) -> None:
    """No function is of another processor's library, which GCC links without a word if it finds none that fits."""
    image = KIND.linked(load_model(name), tmp_path).path
    # Mapping symbols of the ABI (AAELF32): $t begins Thumb code, $a code that a Cortex-M cannot execute.
    marks = {line.split()[-1] for line in run([need("arm-none-eabi-nm"), "--special-syms", image]).splitlines()}
    assert "$t" in marks
    assert "$a" not in marks
    floats = run([need("arm-none-eabi-readelf"), "-A", image])
    assert ("Tag_ABI_VFP_args: VFP registers" in floats) is (name == "s2-float")
