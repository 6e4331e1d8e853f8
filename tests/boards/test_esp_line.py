"""Boards with an ESP32 at a serial port: what they take, what is built for them, and what their self-test holds."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_tinyml.boards import esp32, esp32_aot, esp32_espdl, esp32_qemu, esp32cam
from pytest_tinyml.boards.base import BoardRequest, engine_for
from pytest_tinyml.boards.espapps import espdl_application, generated_application, tflm_application
from pytest_tinyml.boards.espidf import APP_BYTES, build_app
from pytest_tinyml.boards.espline import compiled_in
from pytest_tinyml.contractsetup import cached_model
from pytest_tinyml.engines.component import describe
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.errors import ModelError, UnknownNameError, UsageError
from tests.boards.test_esp_builds import IDF
from tests.firmware.tools import FIRMWARE


@pytest.fixture
def idf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for ESP-IDF, which is IDF_PATH."""
    (tmp_path / "idf" / "tools").mkdir(parents=True)
    (tmp_path / "idf" / "tools" / "idf.py").write_text(IDF, encoding="utf-8")
    monkeypatch.setenv("IDF_PATH", str(tmp_path / "idf"))
    monkeypatch.setattr("pytest_tinyml.boards.espidf.cache_dir", lambda: tmp_path / "cache")


def seen(folder: Path) -> dict[str, str]:
    """Return the settings that a stand-in for idf.py was given."""
    settings: dict[str, str] = json.loads((folder / "seen.json").read_text(encoding="utf-8"))["settings"]
    return settings


@pytest.mark.usefixtures("idf")
def test_each_engine_is_built_from_its_own_sources() -> None:
    """An array for TensorFlow Lite Micro, a list of generated C, both with images; and the speed of --baud."""
    model = cached_model("s1-ptq")
    samples = compiled_in(model, None)
    first = build_app("esp32", model, "wall", tflm_application("esp32"), samples=samples)
    second = build_app("esp32-aot", model, "wall", generated_application("esp32-aot", model), baud=460_800)
    assert (Path(seen(first.folder)["TML_MODEL_DIR"]) / "model.cc").is_file()
    assert samples == Path(seen(first.folder)["TML_SAMPLES"]).read_text(encoding="utf-8")
    network = Path(seen(second.folder)["TML_MODEL_DIR"])
    assert "aot" == json.loads((network / "tinyml-model.json").read_text(encoding="utf-8"))["engine"]
    assert "" == seen(second.folder)["TML_SAMPLES"]
    last = Path(seen(second.folder)["SDKCONFIG_DEFAULTS"].split(";")[-1])
    assert "CONFIG_ESP_CONSOLE_UART_BAUDRATE=460800\n" == last.read_text(encoding="utf-8")
    other = build_app("esp32", model, "wall", tflm_application("esp32"), samples=compiled_in(model, "mnist-28k:3"))
    assert first.folder != other.folder


@pytest.mark.parametrize("name", ["s1-ptq", "s1-float"])
def test_the_list_names_what_there_is(name: str, tmp_path: Path) -> None:
    """Every file and folder of network.cmake exists, and one of the sources defines the engine."""
    generated = sources_for(cached_model(name), "esp-nn")
    text = (describe(cached_model(name), generated, tmp_path / "network") / "network.cmake").read_text(encoding="utf-8")
    places = {"${CMAKE_CURRENT_LIST_DIR}": tmp_path / "network", "${TML_FIRMWARE}": FIRMWARE}
    paths = []
    for quoted in re.findall(r'^    "([^"]+)"$', text, re.MULTILINE):
        head, _, rest = quoted.partition("/")
        paths.append(places[head] / rest if head in places else Path(quoted))
    assert len(paths) > 5
    assert [] == [path for path in paths if not path.exists()]
    assert any("tml_engine tml_the_engine" in path.read_text() for path in paths if path.suffix == ".c")


def test_who_takes_what() -> None:
    """Engines by model; .tflite files are not for ESP-DL, which says what would do."""
    assert "tflm" == engine_for(esp32.KIND, cached_model("s1-float"), {})
    assert ["aot", "aot-float"] == [
        engine_for(esp32_aot.KIND, cached_model(name), {}) for name in ("s1-ptq", "s1-float")
    ]
    with pytest.raises(ModelError, match=r"tinyml convert MODEL --espdl --bits 8, or use --board esp32 or esp32-aot"):
        esp32_espdl.KIND.check(cached_model("s1-ptq"))
    other = replace(cached_model("s1-ptq"), format="espdl", data=b"EDL2")
    with pytest.raises(ModelError, match=r"not an \.espdl file"):
        esp32_espdl.KIND.check(other)
    assert "espdl" == espdl_application("esp32-espdl").engine


def test_memories() -> None:
    """Every kind says what is left for the application; the partition is the table's."""
    table = (FIRMWARE / "apps" / "espidf" / "partitions.csv").read_text()
    assert f"{APP_BYTES:#x}" == table.splitlines()[-1].split(",")[4].strip()
    for kind in (esp32cam.KIND, esp32_qemu.KIND):
        assert {"flash": APP_BYTES, "RAM": 4 << 20} == kind.memories
    for line in (esp32.KIND, esp32_aot.KIND, esp32_espdl.KIND):
        assert {"flash": APP_BYTES, "RAM": 180_736} == line.memories


def test_images_of_the_self_test(tmp_path: Path) -> None:
    """Ten of the default data set if they fit; those that were named; none; and what cannot be."""
    model = cached_model("s1-ptq")
    assert ".count = 10u," in compiled_in(model, None)
    assert ".tensors = false," in compiled_in(model, "mnist-28k")
    assert ".count = 3u," in compiled_in(model, "mnist-28k:3")
    assert ".tensors = true," in compiled_in(cached_model("s1-float"), "mnist-28k:1")
    assert "" == compiled_in(model, "none")
    own = replace(model, input=replace(model.input, shape=(1, 9)))
    assert "" == compiled_in(own, None)
    np.savez(tmp_path / "own.npz", images=np.zeros((4, 3, 3), dtype=np.uint8))
    assert ".labels = NULL," in compiled_in(own, f"{tmp_path / 'own.npz'}:4")
    with pytest.raises(UsageError, match=r"9 samples of .* cannot be compiled in: it has 4"):
        compiled_in(own, f"{tmp_path / 'own.npz'}:9")
    with pytest.raises(UsageError, match="do not fit the input"):
        compiled_in(model, f"{tmp_path / 'own.npz'}:2")
    with pytest.raises(UnknownNameError, match="nowhere"):
        compiled_in(model, "nowhere")


def test_a_link_that_it_has_not(tmp_path: Path) -> None:
    """Only its serial port is a link."""
    request = BoardRequest(model=cached_model("s1-ptq"), work_dir=tmp_path, link="http")
    with pytest.raises(UsageError, match="board 'esp32' has no link 'http'"):
        esp32.KIND.create(request)
