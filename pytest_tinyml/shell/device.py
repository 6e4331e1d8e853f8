"""Meets pytest-embedded: its options say where the board is and what is flashed, and its ``dut`` gets our console."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.boards.espport import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from pytest_tinyml.boards.base import BoardKind

OPTIONS: Final = (
    *("port", "port_location", "port_mac", "port_serial_number", "baud", "target", "skip_autoflash", "erase_all"),
    *("esptool_baud", "esp_flash_force", "app_path", "build_dir", "part_tool", "erase_nvs"),
    *("qemu_prog_path", "qemu_image_path", "qemu_cli_args", "qemu_extra_args", "skip_regenerate_image"),
)
"""Those of pytest-embedded's options that mean something to a board."""
_YES: Final = frozenset({"y", "yes", "true"})
_SWITCHES: Final = frozenset({"skip_autoflash", "erase_all", "esp_flash_force", "erase_nvs", "skip_regenerate_image"})
_PLACES: Final = frozenset({"app_path", "qemu_image_path"})
"""Paths; that of the build folder is one of the application's."""
# What pytest-embedded and pyserial's RFC 2217 client warn of themselves, once per test and per port.
_NOT_OURS: Final = (
    "ignore:record_xml_attribute is an experimental feature:pytest.PytestExperimentalApiWarning",
    "ignore:set(Daemon|Name)\\(\\) is deprecated:DeprecationWarning",
)
_PLUGIN: Final = "pytest_embedded"


def device_options(config: pytest.Config) -> dict[str, str]:
    """Return what was given of pytest-embedded's options, by name without dashes; some are there without it, too."""
    found: dict[str, str] = {}
    for name in OPTIONS:
        value: Any = os.environ.get(VARIABLES.get(name, "")) or config.getoption(name, None)
        if value in {None, False, ""}:
            continue
        text = str(value)
        if name in _SWITCHES:
            text = "|".join("true" if part.lower() in _YES else "false" for part in text.split("|"))
        elif name in _PLACES:
            text = "|".join(_typed_here(config, part) for part in text.split("|"))
        found[name] = text
    return found


def _typed_here(config: pytest.Config, path: str) -> str:
    return str(config.invocation_params.dir / path)


def lend_consoles(config: pytest.Config, kinds: Iterable[BoardKind], count: int) -> None:
    """Let pytest-embedded's ``dut`` use the consoles of our boards, if one of them has one.

    Its own would open the port a second time. Everything stays as it is if it is not installed, or for other boards.

    Args:
        config: of the session, whose fixtures are known by now.
        kinds: that are used.
        count: boards of each kind.
    """
    services = next((found for kind in kinds if (found := getattr(kind, "embedded_services", ""))), "")
    if not services or not config.pluginmanager.has_plugin(_PLUGIN):
        return
    from pytest_tinyml.shell import duts  # noqa: PLC0415 - replaces fixtures of pytest-embedded

    config.option.embedded_services = config.option.embedded_services or services
    if config.option.count == 1:
        # pytest-embedded's --count, which its options with a | in them have to agree with.
        config.option.count = count
    config.pluginmanager.register(duts, "tinyml-duts")
    for line in _NOT_OURS:
        config.addinivalue_line("filterwarnings", line)
