"""ESP-IDF applications: built by idf.py, or found built, and what they say that they are."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_tinyml import __version__
from pytest_tinyml.assets import assets_dir
from pytest_tinyml.boards.espport import missing_package
from pytest_tinyml.engines import samplefile
from pytest_tinyml.errors import BuildError, MissingToolError, UsageError
from pytest_tinyml.firmware.build import LOG, first_error, run_step
from pytest_tinyml.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_embedded_idf import IdfApp

    from pytest_tinyml.records import Model

WALL: Final = "wall"
"""The clock of an application that was not asked for another."""
BAUD: Final = 115_200
"""Of the console of an application that does not say another."""
COMMON: Final = "espidf"
"""Folder of ``firmware/apps`` with what all applications share."""
APP_BYTES: Final = 0x3F0000
"""The application's partition (firmware/apps/espidf/partitions.csv)."""
DRAM_BYTES: Final = 0x2C200
"""An ESP32's internal RAM for static data (ESP-IDF: components/esp_system/ld/esp32/memory.ld.in, dram0_0_seg)."""
PSRAM_BYTES: Final = 4 << 20
"""What an ESP32 can address at once of external RAM."""
DESCRIPTION: Final = "tinyml-build.json"
SETTINGS: Final = "sdkconfig.defaults"
_FIELDS: Final = ("firmware_sha256", "model_sha256", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application of ``firmware/apps``.

    Attributes:
        name: its folder.
        engine: what executes the model.
        model_dir: generates what the application takes as ``TML_MODEL_DIR``, into a folder or anywhere else.
        also: files of its settings besides ``sdkconfig.defaults``.
    """

    name: str
    engine: str
    model_dir: Callable[[Model, Path], Path]
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppBuild:
    """A built application.

    Attributes:
        folder: the build folder, as ``idf.py`` leaves it.
        app_path: the project's folder, which pytest-embedded calls the application's path.
        firmware_sha256: what the firmware says it is, in hex.
        model_sha256: of the model in it, in hex.
        version: of the firmware.
        engine: what executes the model.
        loads_models: it takes other models over the link.
        emulated: it is for a stand-in, whose times say nothing about the part.
        baud: of its console.
    """

    folder: Path
    app_path: Path
    firmware_sha256: str
    model_sha256: str
    version: str
    engine: str
    loads_models: bool
    emulated: bool
    baud: int = BAUD

    def app(self, device: Mapping[str, str]) -> IdfApp:
        """Return what pytest-embedded makes of it.

        Raises:
            UsageError: it makes nothing of it.
        """
        try:
            from pytest_embedded_idf import IdfApp  # noqa: PLC0415 - comes with the extra
        except ImportError as error:
            raise missing_package("flashing") from error
        try:
            return IdfApp(
                app_path=str(self.app_path), build_dir=str(self.folder), part_tool=device.get("part_tool") or None
            )
        except (ValueError, KeyError, OSError) as error:
            raise not_a_build_folder(self.folder, error) from error


def not_a_build_folder(folder: Path, error: Exception) -> UsageError:
    """Make the error for a folder of which pytest-embedded makes nothing."""
    return UsageError(f"{folder} is not the build folder of an ESP-IDF application: {error}; build it with idf.py")


def find_build(device: Mapping[str, str]) -> AppBuild | None:
    """Return the application that ``--app-path`` and ``--build-dir`` name; None if neither was given.

    Raises:
        UsageError: there is none.
    """
    if "app_path" not in device and "build_dir" not in device:
        return None
    app_path = Path(device.get("app_path") or ".").resolve()
    name = device.get("build_dir") or "build"
    # As pytest-embedded looks for it: absolute, in the application's folder, in the current one.
    folder = next((path for path in (app_path / name, Path(name).resolve()) if path.is_dir()), None)
    if folder is None:
        msg = f"no build folder {name!r} in {app_path}; build it with idf.py, or name it with --build-dir"
        raise UsageError(msg)
    return read_build(folder, app_path)


def read_build(folder: Path, app_path: Path) -> AppBuild:
    """Return what a build folder says about its application.

    Raises:
        UsageError: it is not one of ours, or not complete.
    """
    path = folder / DESCRIPTION
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"{folder} has no {DESCRIPTION}: it was not built from firmware/apps of pytest-tinyml, or not to the end"
        raise UsageError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{path}: {error}"
        raise UsageError(msg) from error
    lacking = [name for name in _FIELDS if not isinstance(said, dict) or not isinstance(said.get(name), str)]
    if lacking:
        msg = f"{path} does not say {', '.join(lacking)}"
        raise UsageError(msg)
    return AppBuild(
        folder=folder,
        app_path=app_path,
        firmware_sha256=said["firmware_sha256"],
        model_sha256=said["model_sha256"],
        version=said["version"],
        engine=said.get("engine", "tflm"),
        loads_models=bool(said.get("loads_models", False)),
        emulated=bool(said.get("emulated", False)),
        baud=_whole(said.get("baud")) or BAUD,
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def build_app(
    name: str, model: Model, clock: str, application: Application, *, samples: str = "", baud: int | None = None
) -> AppBuild:
    """Build an application with idf.py, in a folder of the cache that is built on the next time.

    Args:
        name: of the board.
        model: goes into it.
        clock: what inferences are timed with.
        application: which.
        samples: C with the images of its self-test (`engines.samplefile`); empty for none.
        baud: of its console, if that shall not be the application's own.

    Raises:
        UsageError: ESP-IDF was not found; with the other way.
        ModelError: the engine cannot execute the model.
        BuildError: it does not build.
    """
    root = os.environ.get("IDF_PATH", "")
    if not root:
        msg = (
            f"board {name!r} needs ESP-IDF to build its firmware, or a firmware that is built already: run "
            ". $HOME/esp/esp-idf/export.sh first (it sets IDF_PATH), or give --app-path DIR [--build-dir DIR]"
        )
        raise UsageError(msg)
    idf = Path(root) / "tools" / "idf.py"
    python = shutil.which("python")
    if not idf.is_file() or python is None:
        tool, install = "idf.py", f"IDF_PATH is {root!r}, which has no tools/idf.py; install ESP-IDF 5.1 or later"
        raise MissingToolError(tool, f"building firmware for board {name!r}", install)
    apps = assets_dir("firmware") / "apps"
    project = apps / application.name
    defaults = [apps / COMMON / "sdkconfig.common", *(project / file for file in (SETTINGS, *application.also))]
    texts = [file.read_bytes() for file in defaults]
    # ESP-IDF reads the defaults once for each folder.
    digest = sha256(b"\0".join([*texts, str(baud).encode(), samples.encode()])).hexdigest()
    folder = cache_dir() / "esp-idf" / f"{name}-{clock}-{model.sha256[:16]}-{digest[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    if baud is not None:
        defaults.append(folder / "sdkconfig.baud")
        defaults[-1].write_text(f"CONFIG_ESP_CONSOLE_UART_BAUDRATE={baud}\n", encoding="utf-8")
    settings = {
        "SDKCONFIG": folder / "sdkconfig",  # else it would be in the sources
        "SDKCONFIG_DEFAULTS": ";".join(map(str, defaults)),
        "TML_MODEL_DIR": application.model_dir(model, folder / "network"),
        "TML_SAMPLES": _written(folder / samplefile.FILE, samples) if samples else "",
        "TML_BOARD": name,
        "TML_CLOCK": clock,
        "TML_FIRMWARE_VERSION": __version__,
    }
    defined = [f"-D{key}={value}" for key, value in settings.items()]
    command = [python, str(idf), "-C", str(project), "-B", str(folder), *defined, "build"]
    code, output = run_step(command)
    log = folder / LOG
    log.write_text(output, encoding="utf-8")
    if code != 0:
        tail = "\n".join(f"    {line}" for line in output.splitlines()[-20:])
        msg = f"the firmware of board {name!r} does not build: {first_error(output)}\n{tail}"
        raise BuildError(msg, log)
    return read_build(folder, project)


def _written(path: Path, text: str) -> Path:
    """Write a file, unless it holds that already: a build depends on its time."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path
