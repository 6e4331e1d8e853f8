"""The ESP-IDF application as far as it can be checked without ESP-IDF: lists of files, partitions, the arena's rule."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.engines import aot, component, tflm
from pytest_tinyml.firmware.emulated import find_cmake, find_generator
from tests.firmware.tools import FIRMWARE, STRICT, need, run
from tests.unit.tflite_models import keras_mlp, record

if TYPE_CHECKING:
    from pathlib import Path

APPS = FIRMWARE / "apps"
COMMON = APPS / "espidf"
FLASH_BYTES = 4 << 20
PORTABLE = ("core", "net", "console", "apps/pulling", "apps/wired")
ALWAYS = ("core/src", "console")
WIRED = (*ALWAYS, "apps/wired")
FOLDERS = {
    "esp32cam": (*ALWAYS, "net", "apps/pulling", "engines/tflm"),
    "esp32": (*WIRED, "engines/tflm"),
    "esp32-aot": WIRED,
    "esp32-espdl": (*WIRED, "engines/espdl"),
}
"""Folders of which every source is compiled, by application."""


def listed(app: str) -> set[str]:
    """Return the sources of the main component, as paths in the firmware's folder."""
    shared = (COMMON / "sources.cmake").read_text()
    text = (APPS / app / "main" / "CMakeLists.txt").read_text()
    for name, files in re.findall(r"set\((tml_\w+)\s+([^)]*)\)", shared):
        text = text.replace(f"${{{name}}}", files)
    return set(re.findall(r"\$\{root\}/([\w/]+\.cc?)", text))


@pytest.mark.parametrize("app", FOLDERS)
def test_every_source_that_is_listed_exists(app: str) -> None:
    """And the application's own."""
    assert [] == [name for name in sorted(listed(app)) if not (FIRMWARE / name).is_file()]
    (own,) = re.findall(r"\$\{CMAKE_CURRENT_LIST_DIR\}/(\w+\.c)\b", (APPS / app / "main/CMakeLists.txt").read_text())
    assert (APPS / app / "main" / own).is_file()


@pytest.mark.parametrize("app", FOLDERS)
def test_every_portable_source_is_listed(app: str) -> None:
    """A file that is new in the portable folders or the engine is not forgotten."""
    files = [file for folder in FOLDERS[app] for file in (FIRMWARE / folder).rglob("*.c*")]
    assert len(files) > 13
    assert {file.relative_to(FIRMWARE).as_posix() for file in files} <= listed(app)


def test_every_source_of_the_port_is_in_use() -> None:
    """What no application compiles is not there."""
    folders = ("ports/espidf", "apps/espidf", "engines/espdl")
    files = {f.relative_to(FIRMWARE).as_posix() for folder in folders for f in (FIRMWARE / folder).rglob("*.c*")}
    files = {name for name in files if name.endswith((".c", ".cc"))}
    assert files <= set().union(*map(listed, FOLDERS))


def test_what_the_model_brings_is_listed(tmp_path: Path) -> None:
    """The generated sources are those that tinyml convert writes."""
    made = tflm.generate(record(keras_mlp()), tmp_path, 4096)
    text = (COMMON / "sources.cmake").read_text()
    assert {path.name for path in made.sources} == set(re.findall(r"\$\{TML_MODEL_DIR\}/(\w+\.cc?)", text))


@pytest.mark.parametrize("folder", PORTABLE)
def test_no_vendor_header_in_portable_code(folder: str) -> None:
    """ESP-IDF, FreeRTOS and TensorFlow stay in the port and the engine; lwIP's own names are one header's choice."""
    vendor = re.compile(r'#\s*include\s*[<"](?:esp_|freertos/|driver/|nvs|sdkconfig|tensorflow/|lwip/)')
    files = sorted((FIRMWARE / folder).rglob("*.[ch]"))
    assert files
    found = [file.name for file in files if vendor.search(file.read_text())]
    assert found == (["tml_sockets.h"] if folder == "net" else [])


def number(text: str) -> int:
    """Return a size of a partition table."""
    return int(text.rstrip("KM"), 0) * {"K": 1 << 10, "M": 1 << 20}.get(text[-1], 1)


def test_partitions_fit_the_flash() -> None:
    """They follow each other behind the table, an application is aligned to 64 KiB, and all end within 4 MB."""
    lines = [line for line in (COMMON / "partitions.csv").read_text().splitlines() if line and not line.startswith("#")]
    end = 0x9000  # the bootloader and the table, CONFIG_PARTITION_TABLE_OFFSET 0x8000
    for line in lines:
        _, kind, _, offset, size = (cell.strip() for cell in line.split(","))
        assert end <= number(offset)
        assert 0 == number(offset) % (0x10000 if kind == "app" else 0x1000)
        end = number(offset) + number(size)
    assert end <= FLASH_BYTES
    settings = (COMMON / "sdkconfig.common").read_text()
    assert "CONFIG_ESPTOOLPY_FLASHSIZE_4MB=y\n" in settings
    assert 'CONFIG_PARTITION_TABLE_CUSTOM_FILENAME="../espidf/partitions.csv"\n' in settings


@pytest.mark.parametrize(
    "files",
    [
        ("esp32cam/sdkconfig.defaults",),
        ("esp32cam/sdkconfig.qemu",),
        *((f"{app}/sdkconfig.defaults",) for app in ("esp32", "esp32-aot", "esp32-espdl")),
    ],
    ids=lambda files: files[-1],
)
def test_settings_are_well_formed(files: tuple[str, ...]) -> None:
    """Every line is a comment or one setting, and none is there twice, nor in what all applications share."""
    texts = [(COMMON / "sdkconfig.common").read_text(), *((APPS / file).read_text() for file in files)]
    lines = [line for text in texts for line in text.splitlines() if line and not line.startswith("#")]
    assert [] == [line for line in lines if not re.fullmatch(r'CONFIG_[A-Z0-9_]+=(?:[yn]|\d+|"[\w./]+")', line)]
    assert len(lines) == len({line.partition("=")[0] for line in lines})


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("esp32cam", {"idf": ">=5.1", "espressif/esp-tflite-micro": ">=1.3.8", "espressif/esp-nn": ">=1.1.1"}),
        ("esp32", {"idf": ">=5.1", "espressif/esp-tflite-micro": ">=1.3.8", "espressif/esp-nn": ">=1.1.1"}),
        ("esp32-aot", {"idf": ">=5.1"}),
        ("esp32-espdl", {"idf": ">=5.3", "espressif/esp-dl": ">=3.3.9"}),
    ],
)
def test_the_manifest_asks_for_the_engine(app: str, expected: dict[str, str]) -> None:
    """The component manager's file names what is linked, and the oldest ESP-IDF."""
    text = (APPS / app / "main" / "idf_component.yml").read_text()
    assert expected == dict(re.findall(r'^  ([\w/-]+):\n    version: "([^"]+)"$', text, re.MULTILINE))
    rest = re.sub(r'^  ([\w/-]+):\n    version: "([^"]+)"\n', "", text, flags=re.MULTILINE)
    assert "dependencies:\n" == rest


@pytest.mark.parametrize(
    ("arena", "block", "free", "internal"),
    [
        (13 << 10, 110 << 10, 200 << 10, 1),
        (110 << 10, 110 << 10, 200 << 10, 1),
        ((110 << 10) + 1, 110 << 10, 200 << 10, 0),
        (64 << 10, 110 << 10, 112 << 10, 1),
        (64 << 10, 110 << 10, (112 << 10) - 1, 0),
        (1, 10, 10, 0),
    ],
)
def test_the_arenas_rule(arena: int, block: int, free: int, internal: int, tmp_path: Path) -> None:
    """Internal RAM if it fits into one block and 48 KiB stay free, else PSRAM."""
    source = tmp_path / "rule.c"
    source.write_text(
        '#include <stdio.h>\n#include "arena_rule.h"\n'
        f'int main(void) {{ printf("%d", arena_rule_internal({arena}u, ARENA_RULE_NETWORK, {block}u, {free}u)); }}\n'
    )
    program = tmp_path / "rule"
    run([need("cc"), *STRICT, f"-I{FIRMWARE / 'ports' / 'espidf'}", source, "-o", program])
    assert str(internal) == run([program])


PROJECT = """
set(IDF_TARGET esp32)
set(here ${CMAKE_CURRENT_LIST_DIR})
function(idf_build_get_property variable name)
  if(name STREQUAL SDKCONFIG_CMAKE)
    set(${variable} ${here}/sdkconfig.cmake PARENT_SCOPE)
  else()
    set(${variable} ${here}/sdkconfig PARENT_SCOPE)
  endif()
endfunction()
function(idf_component_get_property variable component name)
  set(${variable} main PARENT_SCOPE)
endfunction()
function(idf_component_register)
  cmake_parse_arguments(a "" "" "SRCS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS;PRIV_REQUIRES" ${ARGN})
  get_filename_component(name ${CMAKE_CURRENT_LIST_DIR} NAME)
  add_library(${name} OBJECT ${a_SRCS})
  file(WRITE ${CMAKE_BINARY_DIR}/${name}.requires "${a_PRIV_REQUIRES}")
  set(COMPONENT_LIB ${name} PARENT_SCOPE)
endfunction()
macro(project)
  _project(${ARGN} LANGUAGES C CXX)
  include(${here}/sdkconfig.cmake)
  add_subdirectory(main)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/components)
    add_subdirectory(components/tinyml_network)
  endif()
endmacro()
"""
"""Stands for ESP-IDF's build system: what the application's files call of it."""


def configure(tmp_path: Path, sources: Path, model_dir: Path, **settings: str) -> dict[str, object]:
    """Configure the application in front of a stand-in for ESP-IDF and return its description."""
    idf = tmp_path / "idf"
    tools = idf / "tools" / "cmake"
    tools.mkdir(parents=True, exist_ok=True)
    (tools / "project.cmake").write_text(PROJECT)
    baud = settings.pop("BAUD", "115200")
    (tools / "sdkconfig").write_text(f"CONFIG_SPIRAM=y\nCONFIG_ESP_CONSOLE_UART_BAUDRATE={baud}\n")
    (tools / "sdkconfig.cmake").write_text(f'set(CONFIG_SPIRAM "y")\nset(CONFIG_ESP_CONSOLE_UART_BAUDRATE "{baud}")\n')
    build = tmp_path / f"build{len(list(tmp_path.iterdir()))}"
    generator, program = find_generator()
    flags = [f"-D{key}={value}" for key, value in {**settings, "TML_MODEL_DIR": str(model_dir)}.items()]
    command = ["env", f"IDF_PATH={idf}", find_cmake(), "-G", generator, f"-DCMAKE_MAKE_PROGRAM={program}"]
    run([*command, "-S", sources, "-B", build, *flags])
    described: dict[str, object] = json.loads((build / "tinyml-build.json").read_bytes())
    return described


def test_the_build_folder_says_what_is_built(tmp_path: Path) -> None:
    """Identity is by content: not by place, but by source, setting and model; and it can be given."""
    model = record(keras_mlp())
    made = tflm.generate(model, tmp_path / "model", 4096)
    copy = tmp_path / "elsewhere" / "firmware"
    shutil.copytree(FIRMWARE, copy)
    sources = copy / "apps" / "esp32cam"
    here = configure(tmp_path, APPS / "esp32cam", made.folder, TML_FIRMWARE_VERSION="1.2")
    expected = {
        "model_sha256": model.sha256,
        "version": "1.2",
        "model": "tiny",
        "board": "esp32cam",
        "engine": "tflm",
        "clock": "wall",
        "target": "esp32",
        "loads_models": True,
        "emulated": False,
        "baud": 115200,
    }
    digest = here.pop("firmware_sha256")
    assert re.fullmatch("[0-9a-f]{64}", str(digest))
    assert expected == here
    settings = {"TML_FIRMWARE_VERSION": "1.2"}
    assert digest == configure(tmp_path, sources, made.folder, **settings)["firmware_sha256"]
    cycles = configure(tmp_path, sources, made.folder, **settings, TML_CLOCK="cycles")
    (copy / "net" / "tml_pull.c").write_text("/* changed */\n")
    changed = configure(tmp_path, sources, made.folder, **settings)
    other = configure(
        tmp_path, APPS / "esp32cam", tflm.generate(record(keras_mlp(softmax=False)), tmp_path / "2", 4096).folder
    )
    assert 4 == len({digest, *(each["firmware_sha256"] for each in (cycles, changed, other))})
    given = configure(tmp_path, APPS / "esp32cam", made.folder, TML_FIRMWARE_SHA256="ab" * 32)
    assert "ab" * 32 == given["firmware_sha256"]


@pytest.mark.parametrize(("there", "expected"), [((), "driver"), (("driver", "esp_driver_uart"), "esp_driver_uart")])
def test_the_uart_is_required_from_where_it_is(there: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    """In `driver` up to ESP-IDF 5.2; in a component of its own since, which 6.0 does not find through `driver`."""
    for name in there:
        (tmp_path / "idf" / "components" / name).mkdir(parents=True)
    configure(tmp_path, APPS / "esp32cam", tflm.generate(record(keras_mlp()), tmp_path / "model", 4096).folder)
    (found,) = tmp_path.glob("build*/main.requires")
    assert {expected} == {"driver", "esp_driver_uart"} & set(found.read_text().split(";"))


def test_a_network_is_a_component_of_its_own(tmp_path: Path) -> None:
    """Generated C, images and speed reach the description and the identity, wherever the sources are."""
    model = record(keras_mlp())
    made = component.describe(model, aot.generate(model, tmp_path / "gen", "esp-nn"), tmp_path / "gen")
    here = configure(tmp_path, APPS / "esp32-aot", made, BAUD="921600")
    assert (here["engine"], here["board"], here["baud"], here["loads_models"]) == ("aot", "esp32-aot", 921600, False)
    moved = tmp_path / "moved"
    shutil.copytree(made, moved)
    assert here == configure(tmp_path, APPS / "esp32-aot", moved, BAUD="921600")
    (moved / "aot_network.c").write_text("/* changed */\n")
    samples = tmp_path / "tml_samples.c"
    samples.write_text("/* images */\n")
    digests = [
        configure(tmp_path, APPS / "esp32-aot", folder, **settings)["firmware_sha256"]
        for folder, settings in ((moved, {"BAUD": "921600"}), (made, {}), (made, {"TML_SAMPLES": str(samples)}))
    ]
    assert 4 == len({here["firmware_sha256"], *digests})
