"""The ESP32-CAM keeps the contract, as far as its twin can say."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, ClassVar

import pytest

from pytest_tinyml.boards.base import BoardRequest
from pytest_tinyml.boards.esp32cam import Esp32CamKind
from pytest_tinyml.contract import BoardContract

pytestmark = [
    pytest.mark.twin,
    # Of pyserial's RFC 2217 client, and of pytest-embedded, which leaves closing a file to the interpreter.
    pytest.mark.filterwarnings("ignore:set(Daemon|Name)\\(\\) is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in.*sdkconfig.json:pytest.PytestUnraisableExceptionWarning"),
]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_tinyml.boards.base import Board
    from pytest_tinyml.records import Model


MODEL = "s1-ptq"


@pytest.fixture(scope="module")
def preloaded(apps: Path) -> Path:
    """The application's folder; ``flash.bin`` in it is what a chip that runs it has in its flash."""
    from tests.twin.desk import built
    from tests.twin.image import flash_of

    folder = built(apps, MODEL)
    (folder / "flash.bin").write_bytes(flash_of(folder / "build"))
    return folder


class TwinKind(Esp32CamKind):
    """The kind ``esp32cam``, with what executes the model on a twin."""

    engine = "aot"


class TestEsp32camContract(BoardContract):
    """Flashed once, then as after each start of a test session: reset, provisioned, pulling."""

    kind = TwinKind()
    models = (MODEL,)
    faults: ClassVar = {"crash": {"panic-at": "{n}"}, "hang": {"hang-at": "{n}"}}

    @pytest.fixture(autouse=True)
    def place(self, preloaded: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """A place for twins, which are unplugged in the end."""
        from tests.twin.desk import WIFI

        for name, value in WIFI.items():
            monkeypatch.setenv(name, value)
        self.folder = preloaded
        with ExitStack() as self.twins:
            yield

    def make_board(self, tmp_path: Path, model: Model, **options: str) -> Board:
        """Plug a twin in; the options are its faults."""
        from tests.twin.plugged import plugged

        faults = [word for name, value in options.items() for word in (f"--{name}", value)]
        url = self.twins.enter_context(plugged(self.folder / "flash.bin", *faults))
        return self.kind.create(
            BoardRequest(
                model=model,
                work_dir=tmp_path,
                timeout_s=self.patience_s(options),
                device={"port": url, "app_path": str(self.folder)},
            )
        )
