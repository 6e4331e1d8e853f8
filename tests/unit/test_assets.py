"""Where the zoo and the firmware are found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from pytest_tinyml import assets
from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["models", "firmware"])
def test_checkout(name: Literal["models", "firmware"]) -> None:
    """A checkout's own folders are found."""
    assert name == assets.assets_dir(name).name
    assert assets.assets_dir(name).is_dir()


def test_wheel_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy inside the package wins over a folder of the same name that happens to be beside it."""
    package = tmp_path / "pytest_tinyml"
    (package / "_assets" / "models").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(assets, "__file__", str(package / "assets.py"))
    assert package / "_assets" / "models" == assets.assets_dir("models")


def test_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is named as such, with both places that were looked at."""
    monkeypatch.setattr(assets, "__file__", str(tmp_path / "pytest_tinyml" / "assets.py"))
    with pytest.raises(UsageError, match=r"no 'firmware' folder.*_assets/firmware nor .*install it again"):
        assets.assets_dir("firmware")
