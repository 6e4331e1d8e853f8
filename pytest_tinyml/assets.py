"""Where the zoo's and the firmware's files are: in the package (a wheel) or in the repository (a checkout)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pytest_tinyml.errors import UsageError


def assets_dir(name: Literal["models", "firmware"]) -> Path:
    """Return the folder of the model zoo or of the firmware sources.

    Args:
        name: which of the two.

    Raises:
        UsageError: the installation holds neither copy of it.
    """
    package = Path(__file__).resolve().parent
    candidates = (package / "_assets" / name, package.parent / name)
    for folder in candidates:
        if folder.is_dir():
            return folder
    looked = " nor ".join(str(folder) for folder in candidates)
    msg = f"this installation of pytest-tinyml has no {name!r} folder: found neither {looked}; install it again"
    raise UsageError(msg)
