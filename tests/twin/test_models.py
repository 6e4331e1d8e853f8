"""Two models in one session: each has a firmware of its own, which is built, flashed and run in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.stores.models import load_model

pytestmark = pytest.mark.twin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.twin.desk import Desk

# Instead of ESP-IDF's: "builds" by copying the twin's application for the model whose digest is in the folder's name.
IDF_PY = """
import shutil
import sys
from pathlib import Path

folder = Path(sys.argv[sys.argv.index("-B") + 1])
(source,) = [path for path in Path({builds!r}).iterdir() if path.name in folder.name]
shutil.copytree(source, folder, dirs_exist_ok=True)
"""


def test_both_quantisations_in_one_session(desk: Desk, flashed: Callable[[str], bytes], tmp_path: Path) -> None:
    """A build, a run and a verdict for each ``--tinyml-model``; the board has the first one's firmware already."""
    from tests.twin.board import Twin
    from tests.twin.desk import WIFI

    builds, idf = tmp_path / "builds", tmp_path / "idf" / "tools" / "idf.py"
    builds.mkdir()
    idf.parent.mkdir(parents=True)
    idf.write_text(IDF_PY.format(builds=str(builds)), encoding="utf-8")
    models = ("s0-ptq", "s0-qat")
    for model in models:
        (builds / load_model(model).sha256[:16]).symlink_to(desk.build(model) / "build")
    places = {"IDF_PATH": str(idf.parents[1]), "TINYML_CACHE": str(tmp_path / "cache")}
    with Twin(flash=flashed("s0-ptq")) as twin:
        asked = [word for model in models for word in ("--tinyml-model", model)]
        arguments = ("--board", "esp32cam", "--port", twin.url, *asked, "--tinyml-limit", "1000")
        process = desk.project.spawn(*arguments, **WIFI, **places)
        text, _ = process.communicate(timeout=300)
        assert process.returncode == 0, text
    for model, files in zip(models, (0, 3), strict=True):
        log = desk.project.path / "tinyml-report" / model / "logs" / "esp32cam.console.log"
        assert log.read_text(encoding="utf-8").count("Hash of data verified") == files
        results = desk.project.results(f"tinyml-report/{model}")
        assert (model, 1000, 0) == (
            results["model"]["name"],
            results["metrics"]["count"],
            results["metrics"]["differing"],
        )
