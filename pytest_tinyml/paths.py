"""Where files that can be made again are kept."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "TINYML_CACHE"


def cache_dir() -> Path:
    """Return the cache folder, which may not exist yet: ``$TINYML_CACHE``, else ``~/.cache/pytest-tinyml``."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path.home() / ".cache" / "pytest-tinyml"
