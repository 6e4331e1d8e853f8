"""The boards that execute an .espdl keep the contract with S3's models: two here, and esp32-espdl on its twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from pytest_tinyml.boards import native, qemu_xtensa
from pytest_tinyml.boards.esp32_espdl import Esp32EspdlKind
from pytest_tinyml.contract import BoardContract
from pytest_tinyml.engines.layers import ESPDL_C
from tests.boards.emulated import EmulatedContract
from tests.twin import test_wired

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.espdl, *test_wired.pytestmark[1:]]
MODELS = ("s3-int8", "s3-int16")


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `test_wired.preloaded`, whose place this takes."""
    from tests.twin.desk import built
    from tests.twin.image import flash_of

    folder = built(tmp_path_factory.mktemp("apps"), MODELS[0], wired=True)
    (folder / "flash.bin").write_bytes(flash_of(folder / "build"))
    return folder


class TestNative(BoardContract):
    """The firmware core as a process."""

    kind = native.KIND
    models = MODELS
    reference = "espdl"
    faults: ClassVar = {"crash": {"fault": "crash@{n}"}, "hang": {"fault": "hang@{n}"}}


class TestXtensa(EmulatedContract):
    """A processor with an ESP32's memories."""

    kind = qemu_xtensa.KIND
    models = MODELS[:1]
    reference = "espdl"


class TwinKind(Esp32EspdlKind):
    """The kind ``esp32-espdl``, with what executes the model on a twin."""

    engine = ESPDL_C


class TestEsp32Espdl(test_wired.TestEsp32Contract):
    """Flashed once, then as after each start of a test session."""

    kind = TwinKind()
    models = MODELS[:1]
    reference = "espdl"
