"""ESP-IDF applications: how idf.py is called, what a build folder has to say, and what is said when it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_tinyml.boards.espapps import tflm_application
from pytest_tinyml.boards.espidf import build_app, find_build
from pytest_tinyml.contractsetup import cached_model
from pytest_tinyml.errors import BuildError, MissingToolError, UsageError

CAM = tflm_application("esp32cam")
SAID = {"firmware_sha256": "f" * 64, "model_sha256": "a" * 64, "version": "1"}

# Stands in for ESP-IDF's: does with its settings what firmware/apps/esp32cam/identity.cmake does.
IDF = """
import json, pathlib, sys
arguments = sys.argv[1:]
folder = pathlib.Path(arguments[arguments.index("-B") + 1])
settings = dict(a[2:].split("=", 1) for a in arguments if a.startswith("-D"))
(folder / "seen.json").write_text(json.dumps({"arguments": arguments, "settings": settings}))
if settings["TML_CLOCK"] == "cycles":
    print("main.c:1:2: error: no such register")
    sys.exit(2)
model = json.loads((pathlib.Path(settings["TML_MODEL_DIR"]) / "tinyml-model.json").read_text())
said = {"firmware_sha256": "f" * 64, "model_sha256": model["model_sha256"], "version": settings["TML_FIRMWARE_VERSION"]}
(folder / "tinyml-build.json").write_text(json.dumps(said))
"""


@pytest.fixture
def idf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stand-in for idf.py, which is IDF_PATH."""
    (tmp_path / "idf" / "tools").mkdir(parents=True)
    (tmp_path / "idf" / "tools" / "idf.py").write_text(IDF, encoding="utf-8")
    monkeypatch.setenv("IDF_PATH", str(tmp_path / "idf"))
    monkeypatch.setattr("pytest_tinyml.boards.espidf.cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "idf"


def app(folder: Path, said: object) -> dict[str, str]:
    """Make a build folder that says something, and return the options that name it."""
    (folder / "build").mkdir()
    text = said if isinstance(said, str) else json.dumps(said)
    (folder / "build" / "tinyml-build.json").write_text(text, encoding="utf-8")
    return {"app_path": str(folder)}


def test_idf_py_is_told_model_and_clock(idf: Path) -> None:
    """idf.py gets the model's sources, name, clock and version, and leaves nothing among the sources."""
    model = cached_model("s1-ptq")
    built = build_app("esp32cam", model, "wall", CAM)
    seen = json.loads((built.folder / "seen.json").read_text(encoding="utf-8"))
    assert seen["arguments"][-1] == "build"
    assert seen["settings"]["TML_BOARD"] == "esp32cam"
    assert seen["settings"]["TML_CLOCK"] == "wall"
    assert seen["settings"]["SDKCONFIG"] == str(built.folder / "sdkconfig")
    assert (built.model_sha256, built.engine, built.loads_models, built.emulated) == (
        model.sha256,
        "tflm",
        False,
        False,
    )


def test_settings_come_from_files(idf: Path) -> None:
    """The ESP32-CAM has the default file; under QEMU the same application has a second, and a folder of its own."""
    model = cached_model("s1-ptq")
    board = build_app("esp32cam", model, "wall", CAM)
    emulated = build_app("esp32-qemu", model, "wall", tflm_application("esp32cam", "sdkconfig.qemu"))
    seen = [json.loads((built.folder / "seen.json").read_text(encoding="utf-8")) for built in (board, emulated)]
    files = [one["settings"]["SDKCONFIG_DEFAULTS"].split(";") for one in seen]
    shared = ["sdkconfig.common", "sdkconfig.defaults"]
    assert [shared, [*shared, "sdkconfig.qemu"]] == [[Path(file).name for file in some] for some in files]
    assert all(Path(file).is_file() for some in files for file in some)
    assert ["esp32cam", "esp32-qemu"] == [one["settings"]["TML_BOARD"] for one in seen]
    sources = [one["arguments"][one["arguments"].index("-C") + 1] for one in seen]
    assert sources[0] == sources[1]
    assert board.folder != emulated.folder


def test_a_failed_build_shows_why(idf: Path) -> None:
    """The first error, the end of the output, and the file with all of it."""
    with pytest.raises(BuildError, match="error: no such register") as caught:
        build_app("esp32cam", cached_model("s1-ptq"), "cycles", CAM)
    assert caught.value.log_path is not None
    assert "no such register" in caught.value.log_path.read_text(encoding="utf-8")


def test_without_esp_idf_there_is_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without IDF_PATH the message names export.sh, and the options for a firmware that is built already."""
    monkeypatch.delenv("IDF_PATH", raising=False)
    with pytest.raises(UsageError, match=r"export\.sh .*--app-path DIR"):
        build_app("esp32cam", cached_model("s1-ptq"), "wall", CAM)


def test_an_idf_path_without_idf_py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong IDF_PATH is named."""
    monkeypatch.setenv("IDF_PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match=r"has no tools/idf\.py"):
        build_app("esp32cam", cached_model("s1-ptq"), "wall", CAM)


def test_no_build_was_named() -> None:
    """Without --app-path and --build-dir nothing is looked for."""
    assert find_build({}) is None


def test_a_build_folder_by_name(tmp_path: Path) -> None:
    """The folder is looked for in the application's, as pytest-embedded does."""
    options = app(tmp_path, {**SAID, "engine": "aot", "loads_models": True, "emulated": True})
    found = find_build(options)
    assert found is not None
    assert (found.folder, found.engine, found.loads_models, found.emulated) == (tmp_path / "build", "aot", True, True)
    assert find_build({"build_dir": str(tmp_path / "build")}) is not None


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{", "tinyml-build.json: "),
        ("[]", "does not say firmware_sha256, model_sha256, version"),
        ({**SAID, "version": 3}, "does not say version"),
    ],
)
def test_a_malformed_description(tmp_path: Path, said: object, message: str) -> None:
    """A description that cannot be used is refused with its path and what is wrong."""
    with pytest.raises(UsageError, match=message):
        find_build(app(tmp_path, said))


def test_folders_that_are_none_of_ours(tmp_path: Path) -> None:
    """An absent folder, and one of another application, say what would do."""
    with pytest.raises(UsageError, match="no build folder 'build'"):
        find_build({"app_path": str(tmp_path)})
    (tmp_path / "build").mkdir()
    with pytest.raises(UsageError, match=r"has no tinyml-build\.json"):
        find_build({"app_path": str(tmp_path)})
