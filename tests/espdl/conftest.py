"""Without the extra, nothing here can run."""

from __future__ import annotations

import importlib.util

import pytest

from tests.presence import lacking

MODULES = ("torch", "esp_ppq", "onnx")


@pytest.fixture(autouse=True, scope="session")
def _extra() -> None:
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        lacking(f"{', '.join(missing)} is not installed (pip install 'pytest-tinyml[espdl]')")
