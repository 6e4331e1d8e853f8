"""Installed but unused, the plugin imports nothing heavy and registers nothing that costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pytest

HEAVY: Final = frozenset(
    {"numpy", "tensorflow", "tflite_micro", "ai_edge_litert", "bakenn", "flatbuffers", "serial", "sqlite3", "asyncio"}
)
LIST: Final = """
import json, sys

def pytest_unconfigure():
    with open("modules.json", "w") as file:
        json.dump(sorted(sys.modules), file)
"""


def _modules(pytester: pytest.Pytester, *arguments: str) -> set[str]:
    pytester.makeconftest(LIST)
    pytester.makepyfile("def test_nothing(): pass")
    # Only this plugin: hypothesis, for one, imports a lot.
    pytester.syspathinsert()
    with_plugin = ["-p", "pytest_tinyml.shell.plugin"] if "no:tinyml" not in arguments else []
    result = pytester.runpytest_subprocess(*with_plugin, *arguments)
    result.assert_outcomes(passed=1)
    return set(json.loads((pytester.path / "modules.json").read_text(encoding="utf-8")))


def test_imports(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --board only the plugin's few small modules are imported, and no package of others."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    without = _modules(pytester, "-p", "no:tinyml")
    used = _modules(pytester)
    added = used - without
    assert {name for name in added if name.partition(".")[0] in HEAVY} == set()
    assert {name for name in added if name.partition(".")[0] == "pytest_tinyml"} == {
        "pytest_tinyml",
        "pytest_tinyml.shell",
        "pytest_tinyml.shell.fixtures",
        "pytest_tinyml.shell.hookspecs",
        "pytest_tinyml.shell.options",
        "pytest_tinyml.shell.parsers",
        "pytest_tinyml.shell.plugin",
        "pytest_tinyml.shell.portoptions",
    }
    assert {name for name in added if name.partition(".")[0] != "pytest_tinyml"} == set()
