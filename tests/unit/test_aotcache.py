"""Generated sources in the cache: the same as generated anew, and never a wrong one."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.engines import aot, aotgenerate
from pytest_tinyml.errors import UnknownNameError, UnsupportedOperatorError, UsageError
from pytest_tinyml.records import PreprocessSpec
from tests.unit.tflite_models import Builder, dense, keras_mlp, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("TINYML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "generated"


def texts(generated: aot.EngineSources) -> list[bytes]:
    """Return all that a compiler would read."""
    files = [*generated.sources, *generated.vendor_sources]
    for folder in generated.include_dirs:
        files += sorted(folder.glob("*.h"))
    return [file.read_bytes() for file in files]


def sizes(generated: aot.EngineSources) -> Any:
    """Return what is not a path."""
    return generated.kernels, generated.arena_bytes, generated.weights_bytes, generated.kernels_used


@pytest.mark.parametrize("kernels", aot.KERNELS)
def test_equals_what_is_generated(store: Path, tmp_path: Path, kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made and read back, it is the same; the second time nothing is generated."""
    model = record(keras_mlp())
    expected = aot.generate(model, tmp_path / "out", kernels)
    first = aot.generated(model, kernels)
    monkeypatch.setattr(aotgenerate, "write", None)
    again = aot.generated(model, kernels)
    assert (texts(expected), sizes(expected)) == (texts(again), sizes(again))
    assert first == again
    assert [path.relative_to(tmp_path / "out") for path in expected.include_dirs] == [
        path.relative_to(again.include_dirs[0]) for path in again.include_dirs
    ]


def test_the_generator_is_not_even_imported(store: Path) -> None:
    """A run over sources that are there does without bakenn, which takes longer to import than all else here."""
    program = (
        "import sys; from pytest_tinyml.engines import aot; from pytest_tinyml.stores.models import load_model; "
        "aot.generated(load_model('s1-ptq')); print('bakenn' in sys.modules)"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True).stdout
        for _ in range(2)
    ]
    assert ["True\n", "False\n"] == outputs


def test_everything_that_counts_has_its_own_entry(store: Path) -> None:
    """Name, preprocessing, kernels and weights enter the sources, so they enter the digest."""
    model = record(keras_mlp())
    others = [
        dataclasses.replace(model, name="other"),
        dataclasses.replace(model, preprocess=PreprocessSpec(kind="l2axis1")),
        record(keras_mlp(per_channel=False)),
    ]
    entries = {aot.generated(each).include_dirs[0] for each in (model, *others)}
    entries.add(aot.generated(model, aot.CMSIS_NN).include_dirs[0])
    assert 5 == len(entries)
    assert entries == set(store.iterdir())


def change(entry: Path) -> None:
    """Change one byte."""
    path = entry / "aot_network.c"
    path.write_text(path.read_text().replace("int8_t", "int9_t", 1))


def cut(entry: Path) -> None:
    """Cut the manifest in the middle."""
    text = (entry / "manifest.json").read_bytes()
    (entry / "manifest.json").write_bytes(text[: len(text) // 2])


DAMAGES: list[Callable[[Path], object]] = [
    change,
    cut,
    lambda entry: (entry / "manifest.json").write_text("[]"),
    lambda entry: (entry / "manifest.json").unlink(),
    lambda entry: (entry / "aot_engine_config.h").unlink(),
    lambda entry: (entry / "stdint.h").write_text("planted"),
    lambda entry: shutil.rmtree(entry / "bakenn"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_made_again(store: Path, damage: Callable[[Path], object]) -> None:
    """Changed, cut, missing and foreign files: none is compiled."""
    model = record(keras_mlp())
    first = aot.generated(model)
    before = texts(first)
    damage(first.include_dirs[0])
    assert before == texts(aot.generated(model))
    assert [first.include_dirs[0]] == list(store.iterdir())


def test_a_refusal_is_not_kept(store: Path) -> None:
    """The same words twice, and nothing in the cache."""
    net = Builder()
    source = net.tensor([1, 6], scale=0.1)
    odd = net.tensor([1, 4], scale=0.1)
    net.operator("TANH", [dense(net, source, 4, 1)], [odd])
    model = record(net.finish(source, odd))
    messages = []
    for _ in range(2):
        with pytest.raises(UnsupportedOperatorError) as caught:
            aot.generated(model)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert [] == list(store.iterdir())


def test_unknown_kernels(store: Path) -> None:
    """Refused before anything is made."""
    with pytest.raises(UnknownNameError, match="no kernels named 'esp'"):
        aot.generated(record(keras_mlp()), "esp")
    assert not store.exists()


def test_full_disk(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails inside the generator is the cache's problem, not the model's."""

    def no_space(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bakenn.backend.portable_c.generator.os.replace", no_space)
    with pytest.raises(UsageError, match=r"cannot write the cache folder .*No space left on device.*TINYML_CACHE"):
        aot.generated(record(keras_mlp()))
    assert [] == list(store.iterdir())
